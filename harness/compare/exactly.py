"""Exact results of steps, each worked out once: implementations and cases share them.

Output and gradients of a training step depend on nothing but input, parameters and ε, whatever
momentum and running statistics are. So they are worked out apart from the update, and the cases of
a matrix that differ in momentum, flags or sequence meet the same results again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.oracle import Declared, Expected, Quantity, Results, Step, exact
from harness.trace import Array

_LARGEST = 4096
"""Most elements of an input whose results are kept."""
_KEPT = 1024
"""Most steps whose results are kept: some ten kilobytes each."""


@dataclass(frozen=True, eq=False)
class Standard:
    """What is expected of one quantity in one accuracy class.

    Attributes
    ----------
    expected : Expected
    """

    expected: Expected

    @cached_property
    def unjudged(self) -> int:
        """Elements that no value can be held against."""
        mask = self.expected.unjudged
        return 0 if mask is None else int(np.count_nonzero(mask))

    @cached_property
    def vacuous(self) -> int:
        """Elements whose bound is more than a tenth of the value."""
        return int(np.count_nonzero(self.expected.vacuous))

    @cached_property
    def largest(self) -> NDArray[np.float64]:
        """The largest finite magnitude of each channel."""
        values = np.abs(self.expected.values)
        values = np.where(np.isfinite(values), values, 0.0)
        axes = tuple(i for i in range(values.ndim) if i != self.expected.channel_axis)
        return np.asarray(values.max(axis=axes, initial=0.0) if axes else values)


class _Part:
    """Results of a step, with every standard that was asked for."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self.standards: dict[tuple[Quantity, str, Declared | None], Standard] = {}

    def standard(self, quantity: Quantity, accuracy: str, declared: Declared | None) -> Standard:
        key = quantity, accuracy, declared
        if key not in self.standards:
            self.standards[key] = Standard(self.results.expected(*key))
        return self.standards[key]


class Exact:
    """The exact results of one step.

    Parameters
    ----------
    step : Step
    """

    def __init__(self, step: Step) -> None:
        self.step = step
        batch = step.batch_statistics
        normalised = Step(
            input=step.input,
            eps=step.eps,
            batch_statistics=batch,
            weight=step.weight,
            bias=step.bias,
            running_mean=None if batch else step.running_mean,
            running_var=None if batch else step.running_var,
            grad_output=step.grad_output,
        )
        self._parts: dict[Quantity, _Part] = {}
        part = _part(normalised)
        self._parts.update(dict.fromkeys(part.results.quantities, part))
        if batch and step.running_mean is not None and step.factor is not None:
            update = Step(
                input=step.input,
                eps=step.eps,
                batch_statistics=True,
                running_mean=step.running_mean,
                running_var=step.running_var,
                factor=step.factor,
                unbiased=step.unbiased,
            )
            part = _Part(part.results.updating(update))
            self._parts["running_mean"] = self._parts["running_var"] = part

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """The quantities that the step computes."""
        return tuple(self._parts)

    def standard(self, quantity: Quantity, accuracy: str, declared: Declared | None) -> Standard:
        """Return what is expected of a quantity in an accuracy class."""
        return self._parts[quantity].standard(quantity, accuracy, declared)


def _part(step: Step) -> _Part:
    if step.input.size > _LARGEST:
        return _Part(exact(step))
    arrays = (
        step.input,
        step.weight,
        step.bias,
        step.running_mean,
        step.running_var,
        step.grad_output,
    )
    scalars = (step.eps, step.factor, step.batch_statistics, step.unbiased)
    return _kept(_Keyed((*map(_bits, arrays), *scalars), step))


@dataclass(frozen=True)
class _Keyed:
    """A step that is known by its content."""

    content: tuple[Any, ...]
    step: Step = field(compare=False)


@lru_cache(maxsize=_KEPT)
def _kept(keyed: _Keyed) -> _Part:
    return _Part(exact(keyed.step))


def _bits(array: Array | None) -> tuple[Any, ...] | None:
    return None if array is None else (array.dtype, array.shape, array.tobytes())
