"""Arrays that a case says are written in place: who keeps a module's buffer sees it change."""

from __future__ import annotations

from collections.abc import Iterator

from harness.case.model import Case, Expectation
from harness.compare.findings import Culprit, Divergence
from harness.compare.published import refused
from harness.trace import StepTrace, Trace
from harness.versions import holds

WRITTEN, REPLACED, MISSING = "written in place", "replaced by another array", "missing"


def in_place(case: Case, target: Trace, baseline: Trace, torch: str) -> Iterator[Divergence]:
    """Yield where an array that a step should write into is another after it, or missing.

    Nothing is held against a target that does not tell, or does not support what leads there.

    Parameters
    ----------
    case : Case
    target, baseline : Trace
    torch : str
        The baseline's version of torch, as for published numbers.
    """
    for expectation, name in _asked(case, torch):
        wrong: dict[Culprit, tuple[StepTrace, str]] = {}
        sides: tuple[tuple[Culprit, Trace], ...] = (("target", target), ("baseline", baseline))
        for side, trace in sides:
            for done in _executions(expectation, trace):
                became = _became(expectation, name, done, trace)
                if became != WRITTEN:
                    wrong.setdefault(side, (done, became))
        if not wrong:
            continue
        culprit: Culprit = "both" if len(wrong) > 1 else next(iter(wrong))
        done, became = wrong["baseline" if culprit == "baseline" else "target"]
        yield Divergence(
            step=done.step,
            repetition=done.repetition,
            quantity=name,
            aspect="memory",
            culprit=culprit,
            expected=WRITTEN,
            actual=became,
        )


def untold(case: Case, trace: Trace, torch: str) -> str | None:
    """Return why a target cannot be held to what a case says of arrays, None if it can."""
    for expectation, _ in _asked(case, torch):
        if any(done.replaced is None for done in _executions(expectation, trace)):
            return "it does not tell whether arrays of the state are replaced"
    return None


def _asked(case: Case, torch: str) -> Iterator[tuple[Expectation, str]]:
    for expectation in case.expect:
        if expectation.in_place and holds(torch, expectation.since, expectation.before):
            for name in expectation.in_place:
                yield expectation, name


def _executions(expectation: Expectation, trace: Trace) -> Iterator[StepTrace]:
    """Yield the executions of a step: all repetitions, or the one that is named."""
    for done in trace.steps:
        if done.step == expectation.after - 1 and expectation.repetition in (
            None,
            done.repetition + 1,
        ):
            yield done


def _became(expectation: Expectation, name: str, done: StepTrace, trace: Trace) -> str:
    array = done.state.get(name)
    if done.replaced is None or refused(expectation, array, trace):
        return WRITTEN
    if array is None:
        return MISSING
    return REPLACED if name in done.replaced else WRITTEN
