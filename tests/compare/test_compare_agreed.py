"""Cases that are told of together, and what is found of each alone."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.case.suite import Selection, load
from harness.compare import Account, Hearing, agreements, judge
from harness.plan import Plan
from harness.report.collect import Collector, Origin
from harness.runner import run
from harness.targets import blinded, resolve
from harness.trace import Raised, Trace

torch.set_num_threads(1)


@cache
def tasks():
    """Return cases of matrices, each with where it comes from and what two did with it."""
    suite = load(["cases/core"]).select(Selection(sample=150))
    targets = [resolve("torch"), resolve("reference")]

    def account(of, case):
        return Account(of.info.name, of.execute(blinded(case)), of.info.declares, of.info.semantics)

    return [
        (Origin.of(entry), case, [account(each, case) for each in targets])
        for entry, case in suite.cases()
    ]


def collected(tasks, together):
    """Return what is collected of cases; of those that agree together, or each alone."""
    collector, listed = Collector(), []
    hearings = [
        Hearing(case, torch.__version__, baseline, tuple(heard), origin.matrix)
        for origin, case, (baseline, *heard) in tasks
    ]
    told = set()
    for agreement in agreements(hearings) if together else ():
        origins = {origin.matrix: origin for origin, _, _ in tasks}
        collector.add_agreement(origins[agreement.matrix], agreement)
        told.update(agreement.cases)
    rest = [each for each in hearings if each.case.id not in told]
    for hearing, comparisons in zip(rest, judge(rest), strict=True):
        origin = next(each for each, case, _ in tasks if case.id == hearing.case.id)
        for comparison in comparisons:
            collector.add(origin, comparison)
        listed += [each for each in comparisons if each.verdict != "agree"]
    return collector, listed, told


def changed(draw, account):
    """Return the account with something else in one of its steps, or before them."""
    initial, steps = account.trace.initial, list(account.trace.steps)
    index = draw.integers(-1, len(steps))
    if 0 <= index < len(steps):
        steps[index] = CHANGES[draw.integers(len(CHANGES))](draw, steps[index])
    else:
        initial = touched(draw, initial)
    trace = Trace(initial, tuple(steps))
    return Account(account.name, trace, account.declarations, account.semantics)


def touched(draw, arrays):
    """Return arrays, of which one has another number, type or shape, or is absent."""
    names = [name for name, array in arrays.items() if array is not None and array.size]
    if not names:
        return arrays
    name = names[draw.integers(len(names))]
    array = arrays[name].copy()
    match ("bit", "value", "type", "shape", "none")[draw.integers(5)]:
        case "bit":
            array.reshape(-1).view(np.uint8)[0] ^= 1
        case "value":
            array.reshape(-1)[-1] = draw.integers(4)
        case "type":
            array = array.astype(np.float64 if array.dtype != np.float64 else np.float32)
        case "shape":
            array = array[..., None]
        case "none":
            array = None
    return {**arrays, name: array}


CHANGES = [
    lambda draw, step: step._replace(results=touched(draw, step.results)),
    lambda draw, step: step._replace(state=touched(draw, step.state)),
    lambda draw, step: step._replace(state=touched(draw, step.state)),
    lambda _, step: step._replace(layouts={**step.layouts, "output": frozenset()}),
    lambda _, step: step._replace(input_changed=True),
    lambda _, step: step._replace(overwritten=frozenset(["output"])),
    lambda _, step: step._replace(unsupported="it is not built in"),
    lambda _, step: step._replace(raised=Raised("forward", "ValueError", "no")),
    lambda _, step: step._replace(results={}, raised=Raised("forward", "ValueError", "no")),
]


def test_most_cases_of_a_matrix_that_agree_are_told_of_together():
    """What is left to be judged case by case is a case in ten."""
    _, _, told = collected(tasks(), together=True)

    assert len(told) > 0.9 * len(tasks())


@given(st.integers(0, 2**32), st.sampled_from([0.05, 0.5]))
@settings(max_examples=25, deadline=None)
def test_what_is_told_together_is_what_is_found_of_each_alone(seed, share):
    """Whatever some of the traces have done, every count, measure and divergence is the same."""
    draw = np.random.default_rng(seed)
    drawn = []
    for origin, case, accounts in tasks():
        who = draw.integers(2)
        if draw.random() < share and accounts[who].trace.steps:
            other = changed(draw, accounts[who])
            drawn.append((origin, case, [*accounts[:who], other, *accounts[who + 1 :]]))
        else:
            drawn.append((origin, case, accounts))
    together, listed, _ = collected(drawn, together=True)
    alone, all_listed, _ = collected(drawn, together=False)

    assert listed == all_listed
    assert together == alone


def test_a_report_that_lists_every_case_has_the_same_sums():
    """With --full each case is judged by itself; verdicts, accuracy and matrices are the same."""
    suite = load(["cases/core"]).select(Selection(sample=300))
    targets = "reference", "reference:arithmetic=fused"
    brief, full = (run(suite, Plan(targets, full=full), jobs=0).report for full in (False, True))

    assert len(brief.cases) < len(full.cases)
    assert brief.model_copy(update={"cases": full.cases}) == full


def test_cases_that_nothing_can_be_said_of_are_not_told_of(tmp_path):
    """Where no element of a case has a finite bound it is left, and judged to be unjudged."""
    (tmp_path / "cases.yaml").write_text(
        "- {id: endless, why: 1 / √0 has no bound., matrix: {shape: [[2, 2, 1, 1]], fill: ones,"
        " sequence: E, eps: 0, momentum: [0.1, 0.5], state: {running_var: [0, 0]}}}\n"
    )
    report = run(load([tmp_path / "cases.yaml"]), Plan(("reference",)), jobs=0).report

    assert report.summary["reference"].unjudged == 2
