"""What each execution of a case asks of the mathematics, step by step.

Scalars (mode, momentum, eps, flags) are followed from the case alone. Arrays are taken from the
implementation's own trace, as they stood before the execution: so a mistake is found in the step
that made it, and only there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from harness.case.arrays import ArraySpec
from harness.case.model import Backward, Case, Cast, ModuleConfig, Set
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
        The step's kind: "train", "eval", "set", ...; of a backward step that of its forward pass.
    eps, momentum : float, or None
    track : bool
        The flag track_running_stats.
    dtype : str
        Type of inputs that spell none: that of the module.
    of : Asked, or None
        The forward pass whose gradients a backward step takes, by whose mode and scalars it goes.
    """

    index: int
    repetition: int
    step: CaseStep
    mode: str
    eps: float
    momentum: float | None
    track: bool
    dtype: str
    of: Asked | None = None

    @property
    def layout(self) -> str:
        """The layout of a forward pass's input."""
        forward = (self.of or self).step.forward
        return "contiguous" if forward is None else forward.input.layout

    @cached_property
    def input(self) -> Array | None:
        """The input, read-only; None where there is no forward pass."""
        if self.of is not None:
            return self.of.input
        forward = self.step.forward
        return None if forward is None else _values(forward.input, (), self.dtype, None)

    @cached_property
    def grad_output(self) -> Array | None:
        """The gradient of the output as autograd takes it, read-only; None where it takes none.

        A complex gradient of a real output is refused; a real one is cast to the output's type
        (validate_outputs in torch/csrc/autograd/engine.cpp).
        """
        part, given = getattr(self.step, self.step.kind), self.input
        spec = getattr(part, "grad_output", None)
        if spec is None or given is None:
            return None
        gradient = _values(spec, given.shape, name_of(given.dtype), given)
        if gradient.dtype == given.dtype:
            return gradient
        with np.errstate(all="ignore"):
            return None if gradient.dtype.kind == "c" else gradient.astype(given.dtype)

    @cached_property
    def seeds(self) -> Mapping[str, Array]:
        """Where a double backward pass begins, read-only: by the name of each gradient."""
        forward, given = self.step.forward, self.input
        twice = None if forward is None else forward.double_backward
        if twice is None or given is None:
            return NO_SEEDS
        channels, own = (given.shape[1],), self.dtype
        return {
            name: _values(spec, given.shape, name_of(given.dtype), given)
            if name == "grad_input"
            else _values(spec, channels, own, None)
            for name, spec in twice.items()
        }

    def by(self, module: ModuleConfig) -> Asked:
        """Return the same execution by another module's scalars, for a case that sets none."""
        other = object.__new__(Asked)
        other.__dict__ = self.__dict__ | {
            "eps": module.eps,
            "momentum": module.momentum,
            "track": module.track_running_stats,
        }
        return other


NO_SEEDS: Mapping[str, Array] = {}


def _values(spec: ArraySpec, shape: tuple[int, ...], dtype: str, like: Array | None) -> Array:
    # Only an expanded array has other values than the dense one.
    make = spec.array if spec.layout == "expanded" else spec.dense
    return make(shape, dtype, like)


def follow(case: Case) -> Iterator[Asked]:
    """Yield each execution with the scalars that hold in it."""
    module = case.module
    eps, momentum, track = module.eps, module.momentum, module.track_running_stats
    dtype: str = module.dtype
    passed: dict[int, Asked] = {}
    for index, repetition, step in case.executions():
        if isinstance(step, Set):
            changed = dict(step.set.items())
            eps = changed.get("eps", eps)
            momentum = changed.get("momentum", momentum)
            track = changed.get("track_running_stats", track)
        if isinstance(step, Cast) and step.converts:
            dtype = step.cast
        if isinstance(step, Backward):
            of = passed[step.backward.of - 1]
            yield replace(of, index=index, repetition=0, step=step, of=of)
            continue
        passed[index] = Asked(index, repetition, step, step.kind, eps, momentum, track, dtype)
        yield passed[index]
