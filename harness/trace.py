"""What a target did with a case: per step the results, the state left behind, or the error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

StateName = Literal["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
STATE = get_args(StateName)
"""The arrays that a module keeps from step to step."""

DoubleName = Literal["double_grad_input", "double_grad_weight", "double_grad_grad_output"]
DOUBLE = get_args(DoubleName)
"""What the double backward pass gives: the gradients of the gradients."""

ResultName = Literal["output", "grad_input", "grad_weight", "grad_bias", DoubleName]
RESULTS = get_args(ResultName)
"""The arrays that a train or eval step returns."""

IMAGES = frozenset(("output", "grad_input", "double_grad_input", "double_grad_grad_output"))
"""Those that have the shape of the input; the others have a number for each channel."""

LeafName = Literal["input", "weight", "bias"]
LEAVES = get_args(LeafName)
"""What gradients are taken by."""


@dataclass(frozen=True, slots=True)
class Raised:
    """An error that a target raised.

    Attributes
    ----------
    phase : str
        "construct", "forward", "backward", or the kind of a step without a forward pass.
    type : str
        The name of the exception's class, without its module.
    message : str
    """

    phase: str
    type: str
    message: str

    def __str__(self) -> str:
        where = f" {BACKWARD}" if self.phase == "backward" else ""
        return f"{self.type}{where}: {self.message}"


BACKWARD = "in the backward pass"
"""What is said of an error where the forward pass raised none."""

_NOTHING: Mapping[str, Any] = {}
"""Shared by all that have nothing of a kind; no mapping of a trace is changed."""


class StepTrace(NamedTuple):
    """One execution of a step.

    Attributes
    ----------
    step : int
        Index of the step in the case's list, from 0.
    repetition : int
        Index among the step's repetitions, from 0.
    results : mapping of str to array or None
        What a train or eval step returned, by the names of `RESULTS`; a quantity that
        was not asked for has no entry, one that does not exist is None.
    layouts : mapping of str to frozenset of str
        The memory formats that each 4-D result has.
    state : mapping of str to array or None
        The arrays of `STATE` after the step (copies).
    saved : mapping of str to array, or None
        The state_dict that a `save` step took.
    raised : Raised or None
    unsupported : str or None
        What the target says that it cannot do, as a reason for the user.
    input_changed : bool
        The target wrote into the case's input or output gradient.
    replaced : frozenset of str, or None
        The arrays of `STATE` that were there before the step and are not those after it: the
        module has another, elsewhere in memory, or none; None where the target does not tell.
    overwritten : frozenset of str
        The results, of this step or before, that the target has changed since it returned them.
    """

    step: int
    repetition: int
    results: Mapping[str, Array | None] = _NOTHING
    layouts: Mapping[str, frozenset[str]] = _NOTHING
    state: Mapping[str, Array | None] = _NOTHING
    saved: Mapping[str, Array] | None = None
    raised: Raised | None = None
    unsupported: str | None = None
    input_changed: bool = False
    replaced: frozenset[str] | None = None
    overwritten: frozenset[str] = frozenset()


class Trace(NamedTuple):
    """What a target did with a case.

    Attributes
    ----------
    initial : mapping of str to array or None
        The arrays of `STATE` before the first step.
    steps : tuple of StepTrace
        One for each execution of a step, as far as the target came.
    raised : Raised or None
        The error of the constructor; then there are no steps.
    unsupported : str or None
        Why the target cannot construct the case's module.
    """

    initial: Mapping[str, Array | None] = _NOTHING
    steps: tuple[StepTrace, ...] = ()
    raised: Raised | None = None
    unsupported: str | None = None


def same_bits(one: Array, other: Array) -> bool:
    """Whether two arrays have the same type, shape and bits (nan payloads and zero signs too)."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if one.size <= _FEW:
        return one.tobytes() == other.tobytes()
    bits = WORDS.get(one.dtype.itemsize)
    if bits is None:
        return one.tobytes() == other.tobytes()
    return np.array_equal(one.view(bits), other.view(bits))


_FEW = 4096
"""Elements that are copied faster than compared in place."""
WORDS = {size: np.dtype(f"u{size}") for size in (1, 2, 4, 8)}
"""The unsigned integer of each size, in bytes, that one can have."""
