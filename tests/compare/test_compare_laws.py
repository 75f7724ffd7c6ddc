"""Laws of the comparison that hold for whatever case."""

from __future__ import annotations

import itertools
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.case.matrix import Matrix
from harness.case.suite import Entry
from harness.plan import Plan
from harness.report.collect import Collector, Origin
from harness.report.document import to_json
from harness.worker import Worker

MATRIX = Matrix.model_validate(
    {
        "id": "small",
        "why": "every flag with every kind of data.",
        "matrix": {
            "shape": [[2, 1, 1, 1], [2, 3, 2, 2], [1, 2, 1, 1], [0, 2, 3, 3]],
            "momentum": [0.1, None, 1],
            "affine": [True, False],
            "track_running_stats": [True, False],
            "sequence": ["T", "E", "TE", "TTE"],
            "fill": ["normal", "zeros", {"fill": "normal", "mean": 1e5, "std": 0.001}],
            "dtype": ["float32", "float64", "float16"],
            "grad": [True, False],
        },
        "strength": 2,
    }
)


@cache
def cases():
    """Return the matrix's cases."""
    return tuple(MATRIX.cases())


@cache
def worker():
    """Return a worker that judges torch, and the reference by it."""
    return Worker(Plan(("torch", "reference")))


ORIGIN = Origin("small.yaml", 1, (), "small")
HAND = Origin("hand.yaml", 7, ("tag",), None)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_the_baseline_agrees_with_itself(data):
    """Torch against itself agrees, is inaccurate by its own fault, or cannot be judged."""
    case = data.draw(st.sampled_from(cases()))
    here = worker()
    own, _ = here.judge(here.batch(), ORIGIN, case)

    assert own.verdict in ("agree", "baseline_inaccurate", "unjudged")
    assert own.bitwise_equal


@cache
def batches():
    """Return what each of some cases gives alone, and their collection at once."""
    here, chosen = worker(), cases()[:18]
    origins = [ORIGIN if place % 3 else HAND for place in range(len(chosen))]
    whole = here.run(list(zip(origins, chosen, strict=True)))
    return [here.run([task]) for task in zip(origins, chosen, strict=True)], whole


def shown(collector):
    """Return the bytes of a collector's report."""
    return to_json(collector.report({"torch": "2"}, "torch", ["torch", "reference"]))


@given(st.permutations(range(18)), st.lists(st.integers(0, 18), max_size=3))
@settings(max_examples=40, deadline=None)
def test_parts_merge_in_any_order_to_the_same_bytes(order, cuts):
    """Cases collected apart, in whatever parts and order, give the report of one piece."""
    alone, whole = batches()
    edges = [0, *sorted(cuts), len(order)]
    total = Collector()
    for start, end in itertools.pairwise(edges):
        part = Collector()
        for place in order[start:end]:
            part.merge(alone[place].collector)
        total.merge(part)

    assert shown(total) == shown(whole.collector)


@pytest.mark.parametrize("full", [True, False])
def test_full_lists_what_agrees(full):
    """The agreeing cases of a matrix are counted; with full they are listed as well."""
    here = Worker(Plan(("reference",), full=full))
    agreeing = next(case for case in cases() if case.id)
    entry = Entry(MATRIX, "small.yaml", 1)
    batch = here.run([(Origin.of(entry), agreeing)])
    report = batch.collector.report({}, "torch", ["reference"])

    assert [case.id for case in report.cases] == ([agreeing.id] if full else [])
    assert report.matrices[0].results["reference"].counts.agree == 1
