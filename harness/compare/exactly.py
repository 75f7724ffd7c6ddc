"""Exact results of steps, each worked out once: implementations and cases share them.

Output and gradients of a training step depend on nothing but input, parameters and ε, whatever
momentum and running statistics are. So they are worked out apart from the update, and the cases of
a matrix that differ in momentum, flags or sequence meet the same results again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.compare.together import Extreme, Together, extreme
from harness.dtypes import precision
from harness.oracle import ACCURACIES, Declared, Expected, Quantity, Results, Step, exact
from harness.trace import Array

CLASSES = tuple(ACCURACIES)
"""The accuracy classes, from the strictest."""

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

    @cached_property
    def _spacing(self) -> list[float]:
        kind = precision(self.expected.dtype)
        _, exponent = np.frexp(np.maximum(self.largest, kind.tiny))
        spacing: list[float] = np.ldexp(1.0, exponent - kind.bits).tolist()
        return spacing

    def ulps(self, ratio: float, at: int) -> float:
        """Return an error in ulps of the largest value in its channel.

        Parameters
        ----------
        ratio : float
            Error over bound.
        at : int
            Index of the element in C order.
        """
        bound, axis = self.expected.bound, self.expected.channel_axis
        channel = at // math.prod(bound.shape[axis + 1 :]) % bound.shape[axis]
        distance: float = ratio * float(bound.flat[at]) / self._spacing[channel]
        return distance


class _Part:
    """Results of a step, with every standard that was asked for."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self.standards: dict[tuple[Quantity, str, Declared | None], Standard] = {}
        self.together: dict[tuple[tuple[Quantity, ...], str, Declared | None], Together | None] = {}

    def standard(self, quantity: Quantity, accuracy: str, declared: Declared | None) -> Standard:
        key = quantity, accuracy, declared
        if key not in self.standards:
            self.standards[key] = Standard(self.results.expected(*key))
        return self.standards[key]

    def extremes(
        self, computed: Mapping[Quantity, Array], accuracy: str, declared: Declared | None
    ) -> dict[Quantity, Extreme]:
        """Return the extreme of each quantity, together where that can be."""
        key = tuple(computed), accuracy, declared
        if key not in self.together:
            expected = {each: self.standard(each, accuracy, declared).expected for each in computed}
            small = self.results.step.input.size <= _LARGEST
            self.together[key] = None
            if small and expected and all(map(Together.fits, expected.values())):
                strictest = [self.results.bound(each, CLASSES[0], declared) for each in computed]
                self.together[key] = Together(expected, strictest)
        together = self.together[key]
        found = together.extremes(computed) if together is not None else {}
        return found or {
            each: extreme(array, self.standard(each, accuracy, declared).expected)
            for each, array in computed.items()
        }


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

    def extremes(
        self, computed: Mapping[Quantity, Array], accuracy: str, declared: Declared | None
    ) -> dict[Quantity, Extreme]:
        """Return the extreme of each quantity.

        Parameters
        ----------
        computed : mapping of str to array
            Each in its quantity's shape.
        accuracy : str
        declared : Declared or None
        """
        found: dict[Quantity, Extreme] = {}
        for part in dict.fromkeys(self._parts[each] for each in computed):
            own = {each: array for each, array in computed.items() if self._parts[each] is part}
            found.update(part.extremes(own, accuracy, declared))
        return found


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
