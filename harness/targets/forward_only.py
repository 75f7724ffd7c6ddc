"""Cases for what has no backward pass: its results are judged, and its gradients unsupported."""

from __future__ import annotations

from dataclasses import replace

from harness.case.model import Backward, Case, Set, Settings
from harness.case.model import Step as CaseStep
from harness.trace import Trace


def without_gradients(case: Case) -> Case:
    """Return the case with no step that asks for gradients; a step that only does is empty."""
    if not any(map(_differentiates, case.steps)):
        return case
    return case.model_copy(update={"steps": tuple(map(_forward_only, case.steps))})


def lacking_gradients(case: Case, trace: Trace, reason: str) -> Trace:
    """Return a trace that says of each step which the case differentiates why that was not done.

    Parameters
    ----------
    case : Case
        As it is spelled.
    trace : Trace
        What was done with the case `without_gradients`.
    reason : str
        For the user.
    """
    steps = tuple(
        replace(done, unsupported=reason) if _differentiates(step) and not done.raised else done
        for done, (_, _, step) in zip(trace.steps, case.executions(), strict=False)
    )
    return replace(trace, steps=steps)


def _differentiates(step: CaseStep) -> bool:
    forward = step.forward
    return isinstance(step, Backward) or (forward is not None and forward.grad_output is not None)


def _forward_only(step: CaseStep) -> CaseStep:
    if isinstance(step, Backward):
        return Set(set=Settings())
    if step.forward is None or not _differentiates(step):
        return step
    forward = step.forward.model_copy(update={"grad_output": None})
    return step.model_copy(update={step.kind: forward})
