"""Cases for what has no backward pass, or none of its own: the rest of their results is judged."""

from __future__ import annotations

from typing import Literal

from harness.case.model import Backward, Case, Set, Settings
from harness.case.model import Step as CaseStep
from harness.trace import Trace

Pass = Literal["backward", "double_backward"]


def without(missing: Pass, case: Case) -> Case:
    """Return the case with no step that asks for a pass; a step that only does is empty."""
    if not any(_asks(missing, step) for step in case.steps):
        return case
    steps = tuple(_rest(missing, step) for step in case.steps)
    return case.model_copy(update={"steps": steps})


def lacking(missing: Pass, case: Case, trace: Trace, reason: str) -> Trace:
    """Return a trace that says of each step which asks for a pass why that was not done.

    Parameters
    ----------
    missing : "backward" or "double_backward"
    case : Case
        As it is spelled.
    trace : Trace
        What was done with the case that is `without` it.
    reason : str
        For the user.
    """
    steps = tuple(
        done._replace(unsupported=done.unsupported or reason)
        if _asks(missing, step) and not done.raised
        else done
        for done, (_, _, step) in zip(trace.steps, case.executions(), strict=False)
    )
    return trace._replace(steps=steps)


def _asks(missing: Pass, step: CaseStep) -> bool:
    forward = step.forward
    if missing == "double_backward":
        return forward is not None and forward.double_backward is not None
    return isinstance(step, Backward) or (forward is not None and forward.grad_output is not None)


def _rest(missing: Pass, step: CaseStep) -> CaseStep:
    if not _asks(missing, step):
        return step
    if step.forward is None:
        return Set(set=Settings())
    left_out = {"double_backward": None}
    if missing == "backward":
        left_out["grad_output"] = None
    return step.model_copy(update={step.kind: step.forward.model_copy(update=left_out)})
