"""Numbers that a case publishes, checked against the baseline as well as the target."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.case.model import Case, Expectation
from harness.compare.findings import Culprit, Divergence, number
from harness.trace import Array, StepTrace, Trace
from harness.versions import holds


def published(case: Case, target: Trace, baseline: Trace, torch: str) -> Iterator[Divergence]:
    """Yield where a published number does not hold.

    Nothing is held against a target that says that it does not support what leads there.

    Parameters
    ----------
    case : Case
    target, baseline : Trace
    torch : str
        The baseline's version of torch: expectations may hold from one version, or up to one.
    """
    for expectation in case.expect:
        if not holds(torch, expectation.since, expectation.before):
            continue
        for quantity, value in expectation.numbers():
            yield from _quantity(expectation, quantity, value, target, baseline)


def _quantity(
    expectation: Expectation, quantity: str, value: object, target: Trace, baseline: Trace
) -> Iterator[Divergence]:
    wanted = None if value is None else np.asarray(value, dtype=np.float64)
    wrong: dict[Culprit, tuple[int, ...]] = {}
    sides: dict[Culprit, Array | None] = {
        "target": _find(expectation, quantity, target),
        "baseline": _find(expectation, quantity, baseline),
    }
    traces: dict[Culprit, Trace] = {"target": target, "baseline": baseline}
    for side, array in sides.items():
        if refused(expectation, array, traces[side]):
            continue
        index = _differs(array, wanted, float(expectation.within))
        if index is not None:
            wrong[side] = index
    if not wrong:
        return
    culprit: Culprit = "both" if len(wrong) > 1 else next(iter(wrong))
    index = wrong.get("target", wrong.get("baseline", ()))
    at = expectation.after - 1, (expectation.repetition or 1) - 1
    blamed = sides["target" if "target" in wrong else "baseline"]
    yield Divergence(
        step=at[0],
        repetition=at[1],
        quantity=quantity,
        aspect="published",
        culprit=culprit,
        expected=_shown(wanted, index),
        actual=_shown(blamed, index),
        index=index,
    )


def _find(expectation: Expectation, quantity: str, trace: Trace) -> Array | None:
    if expectation.after == 0:
        return trace.initial.get(quantity)
    done = [step for step in trace.steps if step.step == expectation.after - 1]
    if expectation.repetition is not None:
        done = [step for step in done if step.repetition == expectation.repetition - 1]
    if not done:
        return None
    return done[-1].results.get(quantity, done[-1].state.get(quantity))


def refused(expectation: Expectation, array: Array | None, trace: Trace) -> bool:
    """Whether the target says that it does not support what the expectation needs."""
    return trace.unsupported is not None or any(
        # Without its gradients a step still has an output and a state.
        array is None or "output" not in step.results
        for step in trace.steps
        if step.step < expectation.after and _unsupported(step)
    )


def _unsupported(step: StepTrace) -> bool:
    refusal = step.raised is not None and step.raised.type == "NotImplementedError"
    return refusal or step.unsupported is not None


def _differs(array: Array | None, wanted: Array | None, within: float) -> tuple[int, ...] | None:
    """Return the index of the worst element that is not as published, None if all are."""
    if array is None or wanted is None:
        return None if array is wanted else ()
    if array.shape != wanted.shape or array.dtype.kind == "c":
        return ()
    given = array.astype(np.float64)
    with np.errstate(invalid="ignore"):
        distance = np.abs(given - wanted)
    distance = np.where((given == wanted) | (np.isnan(given) & np.isnan(wanted)), 0.0, distance)
    distance = np.where(np.isnan(distance), np.inf, distance)
    if not distance.size or distance.max() <= within:
        return None
    return tuple(int(each) for each in np.unravel_index(int(distance.argmax()), distance.shape))


def _shown(array: Array | None, index: tuple[int, ...]) -> str | float:
    if array is None:
        return "None"
    if array.ndim != len(index) or array.dtype.kind == "c":
        return f"{array.dtype.name} array of shape {array.shape}"
    return number(array[index])
