"""What each execution of a case asks of the mathematics, step by step.

Scalars (mode, momentum, eps, flags) are followed from the case alone. Arrays are taken from the
implementation's own trace, as they stood before the execution: so a mistake is found in the step
that made it, and only there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from harness.case.arrays import ArraySpec
from harness.case.model import Case, Cast, Set
from harness.case.model import Step as CaseStep
from harness.dtypes import name_of
from harness.trace import Array


@dataclass(eq=False)
class Asked:
    """One execution of a step.

    Attributes
    ----------
    index, repetition : int
        As in the trace, from 0.
    step : step of a case
    mode : str
        The step's kind: "train", "eval", "set", ...
    eps, momentum : float, or None
    track : bool
        The flag track_running_stats.
    dtype : str
        Type of inputs that spell none: that of the module.
    """

    index: int
    repetition: int
    step: CaseStep
    mode: str
    eps: float
    momentum: float | None
    track: bool
    dtype: str

    @property
    def layout(self) -> str:
        """The layout of a forward step's input."""
        forward = self.step.forward
        return "contiguous" if forward is None else forward.input.layout

    @cached_property
    def input(self) -> Array | None:
        """The input, read-only; None for what is no forward pass."""
        forward = self.step.forward
        return None if forward is None else _values(forward.input, (), self.dtype, None)

    @cached_property
    def grad_output(self) -> Array | None:
        """The gradient of the output as autograd takes it, read-only; None where it takes none.

        A complex gradient of a real output is refused; a real one is cast to the output's type
        (validate_outputs in torch/csrc/autograd/engine.cpp).
        """
        forward, given = self.step.forward, self.input
        if forward is None or forward.grad_output is None or given is None:
            return None
        gradient = _values(forward.grad_output, given.shape, name_of(given.dtype), given)
        if gradient.dtype == given.dtype:
            return gradient
        with np.errstate(all="ignore"):
            return None if gradient.dtype.kind == "c" else gradient.astype(given.dtype)


def _values(spec: ArraySpec, shape: tuple[int, ...], dtype: str, like: Array | None) -> Array:
    # Only an expanded array has other values than the dense one.
    make = spec.array if spec.layout == "expanded" else spec.dense
    return make(shape, dtype, like)


def follow(case: Case) -> Iterator[Asked]:
    """Yield each execution with the scalars that hold in it."""
    module = case.module
    eps, momentum, track = module.eps, module.momentum, module.track_running_stats
    dtype: str = module.dtype
    for index, repetition, step in case.executions():
        if isinstance(step, Set):
            changed = dict(step.set.items())
            eps = changed.get("eps", eps)
            momentum = changed.get("momentum", momentum)
            track = changed.get("track_running_stats", track)
        if isinstance(step, Cast) and step.converts:
            dtype = step.cast
        yield Asked(index, repetition, step, step.kind, eps, momentum, track, dtype)
