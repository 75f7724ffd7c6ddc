"""What the harness and a worker process say to each other, as ``docs/protocol.md`` has it."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import as_strided
from pydantic import BaseModel, ConfigDict, Field

from harness.case.arrays import ArraySpec, DTypeName
from harness.case.layouts import describe
from harness.case.model import (
    Call,
    Case,
    Cast,
    Eval,
    Forward,
    Load,
    LoadStep,
    Parameter,
    Save,
    Set,
    Step,
    Train,
)
from harness.case.needs import dtypes
from harness.dtypes import dtype
from harness.oracle import Declared
from harness.targets.base import Declaration, TargetInfo
from harness.targets.driver import state_arrays
from harness.trace import Array, Raised, StepTrace, Trace

PROTOCOL = 1
"""Version of the protocol; a worker must speak the same."""


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WireArray(_Message):
    """An array: type, shape, strides in elements (row-major unless given) and its memory."""

    dtype: DTypeName
    shape: tuple[int, ...] = Field(max_length=32)
    strides: tuple[int, ...] | None = None
    data: str

    def array(self) -> Array:
        """Return the array; ValueError where shape, strides and data do not fit."""
        stored = dtype(self.dtype).newbyteorder("<")
        raw = base64.b64decode(self.data, validate=True)
        if len(raw) % stored.itemsize:
            raise ValueError(f"{len(raw)} bytes are no whole number of {self.dtype}")
        memory = np.frombuffer(raw, stored).astype(dtype(self.dtype))
        strides = row_major(self.shape) if self.strides is None else self.strides
        if len(strides) != len(self.shape) or min((*self.shape, *strides), default=0) < 0:
            raise ValueError(f"strides {list(strides)} do not fit the shape {list(self.shape)}")
        needed = extent(self.shape, strides)
        if memory.size != needed:
            raise ValueError(
                f"shape {list(self.shape)} with strides {list(strides)} has {needed} elements "
                f"in memory, the data {memory.size}"
            )
        return as_strided(memory, self.shape, [each * memory.itemsize for each in strides])

    def formats(self) -> frozenset[str]:
        """Return the memory formats of its strides; without elements it has none to tell."""
        # NumPy keeps no strides of empty arrays, so no other target can tell them either.
        if 0 in self.shape:
            return describe(np.empty(self.shape))
        return describe((self.shape, self.strides or row_major(self.shape)))


class WireRaised(_Message):
    """An error that the worker's module raised."""

    phase: str
    type: str
    message: str


_State = Literal["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
_Result = Literal["output", "grad_input", "grad_weight", "grad_bias"]


class WireStep(_Message):
    """One execution of a step."""

    step: int
    repetition: int
    results: dict[_Result, WireArray | None] = {}
    state: dict[_State, WireArray | None] = {}
    saved: dict[str, WireArray] | None = None
    raised: WireRaised | None = None
    unsupported: str | None = None
    input_changed: bool = False
    replaced: frozenset[_State] | None = None

    def trace(self) -> StepTrace:
        """Return it as a trace keeps it; ValueError where an array is none."""
        return StepTrace(
            self.step,
            self.repetition,
            results=_arrays(self.results),
            layouts={
                name: array.formats()
                for name, array in self.results.items()
                if array is not None and len(array.shape) == 4  # noqa: PLR2004  # as in the driver
            },
            state=_arrays(self.state),
            saved=None if self.saved is None else _arrays(self.saved),  # type: ignore[arg-type]  # none is None
            raised=_raised(self.raised),
            unsupported=self.unsupported,
            input_changed=self.input_changed,
            replaced=self.replaced,
        )


class WireTrace(_Message):
    """A worker's answer to a case."""

    number: int
    initial: dict[_State, WireArray | None] = {}
    steps: tuple[WireStep, ...] = ()
    raised: WireRaised | None = None
    unsupported: str | None = None

    def trace(self, case: Case) -> Trace:
        """Return the trace; ValueError where it is not one of the case."""
        if self.raised is None and self.unsupported is None:
            executed = [(each.step, each.repetition) for each in self.steps]
            if executed != [(index, repetition) for index, repetition, _ in case.executions()]:
                raise ValueError(f"its steps are not those of the case: {str(executed)[:200]}")
        return Trace(
            _arrays(self.initial),
            tuple(each.trace() for each in self.steps),
            _raised(self.raised),
            self.unsupported,
        )


class WireDeclaration(_Message):
    """Lower accuracy that a worker declares, as `harness.oracle.Declared`."""

    parameters: DTypeName
    reason: str = Field(min_length=1)
    statistics: DTypeName | None = None
    saved_statistics: DTypeName | None = None
    parameter_gradients: DTypeName | None = None
    flush_to_zero: bool = False


class Hello(_Message):
    """What a worker says of itself."""

    protocol: int
    versions: dict[str, str] = {}
    dtypes: tuple[DTypeName, ...]
    backward: bool = True
    state_dict: bool = True
    declares: tuple[WireDeclaration, ...] = ()

    def info(self, name: str) -> TargetInfo:
        """Return what the report says of the worker, under a name."""
        declarations = tuple(
            Declaration(each.parameters, Declared(**each.model_dump(exclude={"parameters"})))
            for each in self.declares
        )
        return TargetInfo(name, versions=self.versions, declarations=declarations)

    def lacks(self, case: Case) -> str | None:
        """Return what of the case the worker says that it cannot do, None if there is nothing."""
        missing = sorted(dtypes(case) - set(self.dtypes))
        if missing:
            return f"the worker has no {' and no '.join(missing)}"
        if not self.state_dict and any(isinstance(step, Save) for step in case.steps):
            return "the worker has no state_dict"
        return None


class Answer(_Message):
    """A line from a worker."""

    hello: Hello | None = None
    trace: WireTrace | None = None


def line(**message: object) -> bytes:
    """Return a message as a line."""
    return json.dumps(message, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def case_message(case: Case, number: int, *, backward: bool = True) -> dict[str, Any]:
    """Return a blinded case as a worker sees it: arguments, arrays and steps.

    Parameters
    ----------
    case : Case
    number : int
        What the answer must repeat.
    backward : bool
        Whether to ask for gradients.
    """
    module = {name: scalar(value) for name, value in case.module.arguments().items()}
    state = {name: packed(array) for name, array in state_arrays(case.state, case.module)}
    steps = list(_steps(case, backward))
    return {"number": number, "id": case.id, "module": module, "state": state, "steps": steps}


def scalar(value: object) -> object:
    """Return a number as strict JSON has it: one that is not finite by its name."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def packed(array: Array) -> dict[str, object]:
    """Return an array as a message has it, its memory with what lies between its elements."""
    strides = [each // array.itemsize for each in array.strides]
    memory = as_strided(array, (extent(array.shape, strides),), (array.itemsize,))
    little = memory.astype(memory.dtype.newbyteorder("<"))
    data = base64.b64encode(little.tobytes()).decode()
    found: dict[str, object] = {"dtype": array.dtype.name, "shape": list(array.shape)}
    if strides != list(row_major(array.shape)):
        found["strides"] = strides
    return {**found, "data": data}


def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides, in elements, of a row-major array; an empty axis counts as one."""
    return tuple(
        math.prod(max(size, 1) for size in shape[axis + 1 :]) for axis in range(len(shape))
    )


def extent(shape: tuple[int, ...], strides: tuple[int, ...] | list[int]) -> int:
    """Return how many elements of memory an array spans."""
    if 0 in shape:
        return 0
    return 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))


def most_bytes(case: Case) -> int:
    """Return more bytes than any sound answer to the case has."""
    channels = case.module.num_features
    total = 0
    for step in case.steps:
        given = math.prod(step.forward.input.size or ()) if step.forward else 0
        repeat = step.forward.repeat if step.forward else 1
        # Output and gradient, with gaps, and some ten arrays of C, in base64 of complex128.
        total += repeat * (2**16 + 128 * given + 512 * max(channels, 0))
    return 2**20 + total


def _arrays(found: Mapping[Any, WireArray | None]) -> dict[str, Array | None]:
    arrays: dict[str, Array | None] = {}
    for name, array in found.items():
        try:
            arrays[name] = None if array is None else array.array()
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return arrays


def _raised(found: WireRaised | None) -> Raised | None:
    return None if found is None else Raised(found.phase, found.type, found.message)


def _converts(step: Cast) -> bool:
    """Whether the module takes the type; it refuses to become integers, and stays what it was."""
    return dtype(step.cast).kind not in "biu"


def _steps(case: Case, backward: bool) -> Iterator[dict[str, Any]]:
    own: str = case.module.dtype
    for step in case.steps:
        yield _step(step, case.module.num_features, own, backward)
        if isinstance(step, Cast) and _converts(step):
            own = step.cast


def _step(step: Step, channels: int, own: str, backward: bool) -> dict[str, Any]:
    match step:
        case Train() | Eval():
            return {step.kind: _forward(step.forward, own, backward)}
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


def _forward(forward: Forward, own: str, backward: bool) -> dict[str, Any]:
    given = forward.input.array((), own)
    found: dict[str, Any] = {"input": packed(given), "repeat": forward.repeat}
    if forward.grad_output is not None and backward:
        gradient = forward.grad_output.array(given.shape, given.dtype.name, like=given)
        found["grad_output"] = packed(gradient)
    return found


def _setting(name: str, value: object, channels: int, own: str) -> object:
    parameter = isinstance(value, Parameter)
    spec = value.parameter if isinstance(value, Parameter) else value
    if not isinstance(spec, ArraySpec):
        return scalar(spec)
    integer = name == "num_batches_tracked"
    array = spec.array(() if integer else (channels,), "int64" if integer else own)
    return {"array": packed(array), "parameter": parameter or name in ("weight", "bias")}


def _load(load: Load, channels: int, own: str) -> dict[str, Any]:
    added = {
        key: packed(spec.array(() if key == "num_batches_tracked" else (channels,), own))
        for key, spec in load.add.items()
    }
    return {
        "from": load.source,
        "drop": list(load.drop),
        "add": added,
        "strict": load.strict,
        "versioned": load.versioned,
    }
