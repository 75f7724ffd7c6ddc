"""Shards of a run, and the whole."""

from __future__ import annotations

import pytest
import torch
from made_reports import case, report

from harness.case.suite import Selection, load
from harness.errors import InvalidInput
from harness.plan import Plan
from harness.report.document import from_json, to_json
from harness.report.merge import merge
from harness.runner import run

torch.set_num_threads(1)

CASES = """
- id: grid
  why: shards share its cases.
  matrix:
    shape: [[2, 3, 2, 2], [1, 3, 4, 4]]
    dtype: [float32, bfloat16]
    sequence: [TE]
    momentum: [0.1, null]
    fill: [normal, exact]
- id: alone
  why: one shard has it.
  module: {num_features: 1}
  steps: [{train: {input: {shape: [4, 1, 3, 3], fill: normal, seed: 1}}}]
"""
WRONG = """
from harness.reference import BatchNorm2d

class Wrong(BatchNorm2d):
    def __call__(self, given):
        output = super().__call__(given)
        return output * 2 if given.shape[0] == 1 else output
"""
PLAN = Plan(("reference", "wrong.py:Wrong"))


def selected(suite, plan=PLAN, shard=None, **more):
    """Return the report of a run, as one reads it from its file."""
    chosen = {"cases": ["cases.yaml"], **more, **({"shard": list(shard)} if shard else {})}
    part = suite.select(Selection(shard=shard))
    return from_json(to_json(run(part, plan, jobs=0, selection=chosen).report), "report")


@pytest.fixture
def suite(tmp_path, monkeypatch):
    """Return a suite, and stand where a wrong target is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cases.yaml").write_text(CASES)
    (tmp_path / "wrong.py").write_text(WRONG)
    return load(["cases.yaml"])


@pytest.mark.parametrize("parts", [1, 3, 20])
def test_shards_become_the_whole_byte_for_byte(suite, parts):
    """Last first, with shards that have no case, the report is that of a run in one piece."""
    shards = [(str(i), selected(suite, shard=(i, parts))) for i in range(parts, 0, -1)]

    assert to_json(merge(shards)) == to_json(selected(suite))


def test_a_full_listing_is_merged_too(suite):
    """With the agreeing cases of matrices listed, the report is that of a run in one piece."""
    plan = Plan(("reference",), full=True)
    shards = [(str(i), selected(suite, plan, (i, 2))) for i in (1, 2)]

    assert to_json(merge(shards)) == to_json(selected(suite, plan))


def part(number, of=2, **more):
    """Return a shard's name and report."""
    mine = [case(f"of-{number}")]
    fields = {"cases": mine, "selection": {"shard": [number, of]}, **more}
    return f"{number}.json", report(**fields)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([part(1, 3), part(3, 3)], "shard 2 of 3 missing"),
        ([part(1), part(1)], "1.json and 1.json are both shard 1/2"),
        ([part(1, 2), part(2, 3)], "1.json is one of 2 shards, 2.json one of 3"),
        ([part(1), part(2, selection={})], "2.json: the report of no shard"),
        ([part(1), part(2, selection={"shard": "2"})], "should be .I, N"),
        ([part(1), part(2, selection={"shard": [3, 2]})], "should be .I, N"),
        ([part(1), part(2, partial=True)], "interrupted; run shard 2/2 again"),
        ([part(1), part(2, environment={"torch": "1.8"})], "environment: threads is 1 in one"),
        ([part(1), part(2, targets=["mine", "other"])], "run: targets is"),
        ([part(1), part(2, baseline="other")], "run: baseline is torch in one, other"),
        ([part(1), part(2, absent={"cuda": "none"})], "absent targets: cuda"),
        ([part(1), part(2, selection={"shard": [2, 2], "tags": ["a"]})], "selection: tags is None"),
        ([part(1), part(2, cases=[case("of-1")])], "both have the case 'of-1'"),
    ],
)
def test_what_is_not_all_of_one_run_is_refused(parts, message):
    """Gaps, overlaps, interrupted shards and shards of different runs are named."""
    with pytest.raises(InvalidInput, match=message):
        merge(parts)


def test_a_run_of_no_case_at_all_is_refused():
    """Shards may be empty, not all of them."""
    empty = [part(number, cases=[], summary={}, accuracy={}) for number in (1, 2)]
    with pytest.raises(InvalidInput, match="no case at all"):
        merge(empty)
