"""A whole run of the harness in one process, as a user has it."""

from __future__ import annotations

from benchmarks.script import cpu
from harness.case.suite import Selection, Suite, load

CASES = "cases/core"
TINY: dict[str, str | int] = {"cases": "cases/core/special-values.yaml", "sample": 5}


def selected(cases: str, sample: int) -> Suite:
    """Return the suite of a folder or file, or a sample of it (0 for all)."""
    return load([cases]).select(Selection(sample=sample or None))


def run(cases: str, sample: int) -> float:
    """Return the CPU seconds from case files to a report in JSON; imports are done before."""
    import torch

    from harness.plan import Plan
    from harness.report.document import to_json
    from harness.runner import run as run_suite

    torch.set_num_threads(1)
    start = cpu()
    outcome = run_suite(selected(cases, sample), Plan(("reference",)), jobs=0)
    to_json(outcome.report)
    return cpu() - start


def counts(cases: str, sample: int) -> tuple[int, int]:
    """Return the number of cases, and that of their inputs: each train and eval step has one."""
    made = [case for _, case in selected(cases, sample).cases()]
    inputs = sum(step.forward is not None for case in made for _, _, step in case.executions())
    return len(made), inputs
