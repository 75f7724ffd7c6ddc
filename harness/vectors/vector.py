"""A case as a test vector: arguments, and for each step what it starts from and must come to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.case.model import Case
from harness.compare.follow import Asked
from harness.compare.question import row
from harness.oracle import RUNNING, Results, standard_accuracy
from harness.targets.base import LOW_PRECISION, declared
from harness.targets.wire import scalar
from harness.trace import RESULTS, Array, Raised, StepTrace, same_bits
from harness.vectors.exactly import exactly
from harness.vectors.expectation import expectation
from harness.vectors.store import Store


def vector(case: Case, store: Store, accuracy: str | None = None) -> dict[str, Any]:
    """Return a case as a test vector, its arrays by their names in the store.

    Parameters
    ----------
    case : Case
    store : Store
    accuracy : str, optional
        Class of the bounds; by default that which verdicts ask for.
    """
    walked = exactly(case)
    trace = walked.trace
    found: dict[str, Any] = {
        "id": case.id,
        "why": case.why,
        "tags": list(case.tags),
        "module": {name: scalar(value) for name, value in case.module.model_dump().items()},
    }
    if trace.raised is not None:
        return {**found, "raises": _raises(trace.raised)}
    steps = []
    for asked, done, results, before in zip(
        walked.asked, trace.steps, walked.results, walked.before, strict=True
    ):
        steps.append(
            {
                **_asked(asked, results, store),
                **({} if asked.of is None else {"before": _arrays(before, store)}),
                **_done(done, store),
                **_expect(asked, before, done, results, store, accuracy),
            }
        )
    return {**found, "initial": _arrays(trace.initial, store), "steps": steps}


def _asked(asked: Asked, results: Results | None, store: Store) -> dict[str, Any]:
    """Return what happens, and the scalars that hold in it."""
    found: dict[str, Any] = {
        "step": asked.index + 1,
        "repetition": asked.repetition + 1,
        "kind": asked.step.kind,
    }
    forward = (asked.of or asked).step.forward
    if forward is None:
        return {
            **found,
            "spelled": _plain(asked.step.model_dump(exclude_unset=True, by_alias=True)),
        }
    given = forward.input.array((), asked.dtype)
    gradient = None if results is None else results.step.grad_output
    spec = getattr(asked.step, asked.step.kind).grad_output
    if gradient is None and spec is not None:
        gradient = spec.array(given.shape, given.dtype.name, like=given)
    return {
        **found,
        **({} if asked.of is None else {"of": asked.of.index + 1}),
        "eps": scalar(float(asked.eps)),
        "momentum": None if asked.momentum is None else scalar(float(asked.momentum)),
        "track_running_stats": asked.track,
        "input": store.add(given),
        **({} if gradient is None else {"grad_output": store.add(gradient)}),
    }


def _done(done: StepTrace, store: Store) -> dict[str, Any]:
    """Return the error and the state that the step leaves."""
    found: dict[str, Any] = {"after": _arrays(done.state, store)}
    if done.raised is not None:
        found["raises"] = _raises(done.raised)
    return found


def _expect(  # noqa: PLR0917  # what is expected follows from all of it
    asked: Asked,
    before: Mapping[str, Array | None],
    done: StepTrace,
    results: Results | None,
    store: Store,
    accuracy: str | None,
) -> dict[str, Any]:
    """Return the exact results, and which formula they are of."""
    if results is None:
        return {}
    step = results.step
    accuracy = accuracy or standard_accuracy(step.input.dtype.name)
    said = declared(LOW_PRECISION, step)  # so that torch conforms to the vectors
    expect = {
        quantity: expectation(results.expected(quantity, accuracy, said), store)
        for quantity in results.quantities
        if _wanted(asked, quantity) and _owed(quantity, before, done)
    }
    if not expect:
        return {}
    return {
        "batch_statistics": step.batch_statistics,
        "factor": None if step.factor is None else scalar(float(step.factor)),
        "expect": expect,
    }


def _wanted(asked: Asked, quantity: str) -> bool:
    """Whether a step is asked for a quantity."""
    forward = (asked.of or asked).step.forward
    if quantity in RESULTS[1:] and forward is not None:
        return quantity.removeprefix("grad_") in forward.requires_grad
    return asked.of is None


def _owed(quantity: str, before: Mapping[str, Array | None], done: StepTrace) -> bool:
    """Whether a step computes a quantity in spite of the error that it raises."""
    if done.raised is None:
        return True
    if quantity in RUNNING:
        old, new = before[quantity], done.state[quantity]
        return old is not None and new is not None and not same_bits(old, new)
    return quantity == "output" and done.raised.phase == "backward"


def _arrays(state: Mapping[str, Array | None], store: Store) -> dict[str, str | None]:
    """Store a state; what has a value for each channel has an axis, where it is one channel too."""
    return {
        name: None
        if array is None
        else store.add(array if name == "num_batches_tracked" else row(array))
        for name, array in state.items()
    }


def _raises(raised: Raised) -> dict[str, str]:
    return {"phase": raised.phase, "type": raised.type, "message": raised.message}


def _plain(value: Any) -> Any:  # noqa: ANN401  # whatever a case file can hold
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return scalar(value)
