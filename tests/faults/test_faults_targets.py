"""Faults of targets: the case that is hit says so, and the others are judged as ever."""

from __future__ import annotations

from pathlib import Path

import pytest
from table import ENDED, GLOBAL, HELD, LEFT, RAISED

from harness.case.suite import load
from harness.plan import Plan
from harness.report.document import from_json, to_json
from harness.runner import run

TARGETS = Path(__file__).with_name("targets.py")
CALM = """
- id: calm-{number}
  why: nothing is done in it.
  module: {{num_features: 1}}
  steps:
    - train: {{input: {{shape: [4, 1, 2, 2], fill: normal, seed: {number}}}, grad_output: *grad}}
    - eval: {{input: {{shape: [1, 1, 2, 2], fill: normal, std: 1e-39, seed: {number}}}}}
"""
HIT = """
- id: hit-{number}
  why: the fault of this row is done in it.
  module: {{num_features: {channels}}}
  steps:
    - train: {{input: {{shape: [4, {channels}, 2, 2], fill: normal}}, grad_output: *grad}}
"""
FIRST = """
- id: first
  why: it says what the others differentiate by.
  module: {num_features: 1}
  steps:
    - train: {input: {shape: [4, 1, 2, 2], fill: normal}, grad_output: &grad {fill: normal}}
"""


def suite(folder, faults):
    """Return a suite in which a calm case follows each that is hit."""
    pairs = (
        HIT.format(number=number, channels=number + 2) + CALM.format(number=number)
        for number in range(len(faults))
    )
    (folder / "cases.yaml").write_text(FIRST + "".join(pairs))
    return load([folder / "cases.yaml"])


def results(report, name):
    """Return the result of each case by a target."""
    return {case.id: case.results[name] for case in report.cases}


def said(result):
    """Return what a report says of a result."""
    return " ".join(
        [result.reason or "", *(f"{d.quantity} {d.actual}" for d in result.divergences)]
    )


@pytest.mark.parametrize(
    ("cls", "faults", "jobs", "timeout"),
    [
        ("Survived", (*GLOBAL, *LEFT, *RAISED), 1, 60),
        ("Ended", ENDED, 2, 60),
        ("Held", HELD, 1, 8),
    ],
)
def test_a_fault_is_the_verdict_of_its_case_alone(  # noqa: PLR0917
    tmp_path, monkeypatch, cls, faults, jobs, timeout
):
    """Each fault has its verdict and reason; all else equals a run in which nothing is done."""
    monkeypatch.chdir(tmp_path)
    cases, faulty = suite(tmp_path, faults), f"{TARGETS}:{cls}"
    plan = Plan(("torch", faulty), full=True, timeout=timeout)
    report = run(cases, plan, jobs=jobs).report
    calm = run(cases, Plan(("torch", "reference"), full=True), jobs=0).report

    hit = [results(report, faulty)[f"hit-{number}"] for number in range(len(faults))]
    found = {
        fault.done: (each.verdict, fault.reason in said(each))
        for fault, each in zip(faults, hit, strict=True)
    }
    assert found == {fault.done: (fault.outcome, True) for fault in faults}
    assert results(report, "torch") == results(calm, "torch")
    ours, theirs = (
        {key: each for key, each in results(*of).items() if not key.startswith("hit")}
        for of in ((report, faulty), (calm, "reference"))
    )
    assert ours == theirs
    assert from_json(to_json(report), "report") == report

    assert report.summary["torch"].cases == 2 * len(faults) + 1
