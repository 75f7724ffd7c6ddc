"""What a worker is asked: a blinded case, its arrays spelled out."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from harness.case.model import (
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
    for step in case.steps:
        yield _step(step, case.module.num_features, own)
        if isinstance(step, Cast) and step.converts:
            own = step.cast


def _step(step: Step, channels: int, own: str) -> dict[str, Any]:
    match step:
        case Train() | Eval():
            return {step.kind: _forward(step.forward, own)}
        case Set():
            settings = step.set.items()
            return {"set": {name: _setting(name, value, channels, own) for name, value in settings}}
        case Call():
            return {"call": step.call}
        case Cast():
            return {"cast": step.cast}
        case Save():
            return {"save": step.save}
        case LoadStep():
            return {"load": _load(step.load, channels, own)}


def _forward(forward: Forward, own: str) -> dict[str, Any]:
    given = forward.input.array((), own)
    found: dict[str, Any] = {"input": packed(given), "repeat": forward.repeat}
    if forward.grad_output is not None:
        gradient = forward.grad_output.array(given.shape, given.dtype.name, like=given)
        found["grad_output"] = packed(gradient)
    return found


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
