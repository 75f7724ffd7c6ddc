"""What the baseline refuses and no case foresees: agreement there is about the error alone."""

from __future__ import annotations

from collections.abc import Iterator

from harness.report.model import CaseResult, Report, Unforeseen
from harness.report.text import PYTHON

SHOWN = 10
"""Most cases that are told one by one."""


def unforeseen(report: Report) -> Iterator[str]:
    """Yield a line for each hand-written case of which the baseline raises an unexpected error."""
    found = [(case, each) for case in report.cases if (each := _of(case)) is not None]
    for case, error in found[:SHOWN]:
        place = "" if case.file == PYTHON else f"{case.file}:{case.line}: "
        yield f"{place}{case.id}: {_described(error, report.baseline)}"
    if len(found) > SHOWN:
        yield f"... and {len(found) - SHOWN:,} more cases with an error that they do not expect"


def _described(error: Unforeseen, baseline: str) -> str:
    message, *_ = error.message.splitlines() or [""]
    where = f"step {error.step + 1}" if error.step >= 0 else "the constructor"
    return (
        f"{baseline} refuses {where}: {error.type}: {message}; if that is the fact, say so: "
        f"raises: {{type: {error.type}}}"
    )


def _of(case: CaseResult) -> Unforeseen | None:
    found = (each.unforeseen for each in case.results.values())
    return next((each for each in found if each is not None), None)
