"""What a worker answers: who it is, and the trace of a case."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from harness.case.arrays import DTypeName
from harness.case.model import Backward, Case, Save
from harness.case.needs import dtypes
from harness.semantics import Differences, LowerAccuracy
from harness.targets.base import Declaration, TargetInfo
from harness.targets.lacking import Pass
from harness.targets.wire.arrays import Message, WireArray
from harness.trace import DOUBLE, STATE, Array, Raised, ResultName, StateName, StepTrace, Trace

PROTOCOL = 1
"""Version of the protocol; a worker must speak the same."""


_IMAGES = 4


class WireRaised(Message):
    """An error that the worker's module raised."""

    phase: str
    type: str
    message: str


class WireStep(Message):
    """One execution of a step."""

    step: int
    repetition: int
    results: dict[ResultName, WireArray | None] = Field(default_factory=dict)
    state: dict[StateName, WireArray | None] = Field(default_factory=dict)
    saved: dict[str, WireArray] | None = None
    raised: WireRaised | None = None
    unsupported: str | None = None
    input_changed: bool = False
    replaced: frozenset[StateName] | None = None

    def trace(self) -> StepTrace:
        """Return it as a trace keeps it; ValueError where an array is none."""
        return StepTrace(
            self.step,
            self.repetition,
            results=_arrays(self.results),
            layouts={
                name: array.formats()
                for name, array in self.results.items()
                if name not in DOUBLE and array is not None and len(array.shape) == _IMAGES
            },
            state=_state(self.state),
            saved=None if self.saved is None else _arrays(self.saved),  # type: ignore[arg-type]  # none is None
            raised=_raised(self.raised),
            unsupported=self.unsupported,
            input_changed=self.input_changed,
            replaced=self.replaced,
        )


class WireTrace(Message):
    """A worker's answer to a case."""

    number: int
    initial: dict[StateName, WireArray | None] | None = None
    steps: tuple[WireStep, ...] = ()
    raised: WireRaised | None = None
    unsupported: str | None = None

    def trace(self, case: Case) -> Trace:
        """Return the trace; ValueError where it is not one of the case."""
        initial: dict[str, Array | None] = {}
        if self.raised is None and self.unsupported is None:
            if self.initial is None:
                raise ValueError("it lacks 'initial', the state before the first step")
            initial = _state(self.initial)
            executed = [(each.step, each.repetition) for each in self.steps]
            if executed != [(index, repetition) for index, repetition, _ in case.executions()]:
                raise ValueError(f"its steps are not those of the case: {str(executed)[:200]}")
        return Trace(
            initial,
            tuple(each.trace() for each in self.steps),
            _raised(self.raised),
            self.unsupported,
        )


class Hello(Message):
    """What a worker says of itself."""

    protocol: int
    versions: dict[str, str] = Field(default_factory=dict)
    dtypes: tuple[DTypeName, ...]
    backward: bool = True
    double_backward: bool = False
    state_dict: bool = True
    declares: tuple[LowerAccuracy, ...] = ()
    differs: Differences = Differences()

    def info(self, name: str) -> TargetInfo:
        """Return what the report says of the worker, under a name."""
        declarations = tuple(
            Declaration(each.parameters, each.declared()) for each in self.declares
        )
        return TargetInfo(
            name,
            versions=self.versions,
            declarations=declarations,
            semantics=self.differs.semantics(),
        )

    @property
    def missing(self) -> tuple[Pass, ...]:
        """Which passes the worker is not asked for."""
        if not self.backward:
            return ("backward",)
        return () if self.double_backward else ("double_backward",)

    def lacks(self, case: Case) -> str | None:
        """Return what of the case the worker says that it cannot do, None if there is nothing."""
        missing = sorted(dtypes(case) - set(self.dtypes))
        if missing:
            return f"the worker has no {' and no '.join(missing)}"
        if not self.state_dict and any(isinstance(step, Save) for step in case.steps):
            return "the worker has no state_dict"
        return None


class Answer(Message):
    """A line from a worker."""

    hello: Hello | None = None
    trace: WireTrace | None = None


def most_bytes(case: Case) -> int:
    """Return more bytes than any sound answer to the case has."""
    channels = case.module.num_features
    total = 0
    for step in case.steps:
        later = isinstance(step, Backward)
        forward = case.differentiated(step) if isinstance(step, Backward) else step.forward
        given = math.prod(forward.input.size or ()) if forward else 0
        repeat = forward.repeat if forward and not later else 1
        images = 4 if forward and forward.double_backward and not later else 2
        # Output and gradients, with gaps, and some ten arrays of C, in base64 of complex128.
        total += repeat * (2**16 + 64 * images * given + 512 * max(channels, 0))
    return 2**20 + total


def _arrays(found: Mapping[Any, WireArray | None]) -> dict[str, Array | None]:
    arrays: dict[str, Array | None] = {}
    for name, array in found.items():
        try:
            arrays[name] = None if array is None else array.array()
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return arrays


def _state(found: Mapping[Any, WireArray | None]) -> dict[str, Array | None]:
    """Return all arrays of the state; what a worker leaves out is None."""
    return {**dict.fromkeys(STATE), **_arrays(found)}


def _raised(found: WireRaised | None) -> Raised | None:
    return None if found is None else Raised(found.phase, found.type, found.message)
