"""What a worker is asked: a blinded case, its arrays spelled out."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from harness.case.arrays import ArraySpec
from harness.case.model import (
    Backward,
    Call,
    Case,
    Cast,
    Eval,
    Forward,
    Load,
    LoadStep,
    Save,
    Set,
    Step,
    Train,
)
from harness.targets.given import added, assigned, state_arrays
from harness.targets.wire.arrays import packed
from harness.trace import Array


def line(**message: object) -> bytes:
    """Return a message as a line."""
    return json.dumps(message, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def case_message(case: Case, number: int) -> dict[str, Any]:
    """Return a blinded case as a worker sees it: arguments, arrays and steps.

    Parameters
    ----------
    case : Case
    number : int
        What the answer must repeat.
    """
    module = {name: scalar(value) for name, value in case.module.arguments().items()}
    state = {name: packed(array) for name, array in state_arrays(case.state, case.module)}
    steps = list(_steps(case))
    return {"number": number, "id": case.id, "module": module, "state": state, "steps": steps}


def scalar(value: object) -> object:
    """Return a number as strict JSON has it: one that is not finite by its name."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _steps(case: Case) -> Iterator[dict[str, Any]]:
    own: str = case.module.dtype
    types: list[str] = []
    for step in case.steps:
        types.append(own)
        yield _step(step, case, types)
        if isinstance(step, Cast) and step.converts:
            own = step.cast


def _step(step: Step, case: Case, types: list[str]) -> dict[str, Any]:
    """Return a step; `types` are the module's from the first step to this one."""
    own, channels = types[-1], case.module.num_features
    match step:
        case Train() | Eval():
            return {step.kind: _forward(step.forward, own, channels)}
        case Backward():
            later = step.backward
            forward, of = case.differentiated(step), later.of - 1
            gradient = _gradient(later.grad_output, forward.input.array((), types[of]))
            return {"backward": {"of": of, "grad_output": gradient}}
        case Set():
            settings = step.set.items()
            return {"set": {name: _setting(name, value, channels, own) for name, value in settings}}
        case Call() | Cast() | Save():
            return {step.kind: getattr(step, step.kind)}
        case LoadStep():
            return {"load": _load(step.load, channels, own)}


def _forward(forward: Forward, own: str, channels: int) -> dict[str, Any]:
    given = forward.input.array((), own)
    found: dict[str, Any] = {"input": packed(given), "repeat": forward.repeat}
    if forward.grad_output is not None:
        found["grad_output"] = _gradient(forward.grad_output, given)
    if "requires_grad" in forward.model_fields_set:
        found["requires_grad"] = list(forward.requires_grad)
    if forward.double_backward is not None:
        found["double_backward"] = {
            name: _gradient(spec, given)
            if name == "grad_input"
            else packed(spec.array((channels,), own))
            for name, spec in forward.double_backward.items()
        }
    return found


def _gradient(spec: ArraySpec, given: Array) -> dict[str, Any]:
    return packed(spec.array(given.shape, given.dtype.name, like=given))


def _setting(name: str, value: object, channels: int, own: str) -> object:
    given, parameter = assigned(name, value, channels, own)
    if not isinstance(given, np.ndarray):
        return scalar(given)
    return {"array": packed(given), "parameter": parameter}


def _load(load: Load, channels: int, own: str) -> dict[str, Any]:
    return {
        "from": load.source,
        "drop": list(load.drop),
        "add": {name: packed(array) for name, array in added(load, channels, own).items()},
        "strict": load.strict,
        "versioned": load.versioned,
    }
