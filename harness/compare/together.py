"""All quantities of a step held against their bounds at once.

In a case of a few dozen elements every call of NumPy costs more than its work, so the quantities
are laid end to end: one difference, one quotient and one comparison do for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.oracle import Expected, Quantity, ratios
from harness.oracle.doubledouble import DoubleDouble
from harness.trace import Array


class Extreme(NamedTuple):
    """Where one quantity comes nearest to its bound, or farthest beyond it.

    Attributes
    ----------
    ratio : float
        Error over bound.
    at : int
        Index of the element in C order.
    strictest : bool
        All elements are known to hold the strictest class.
    """

    ratio: float
    at: int
    strictest: bool


def extreme(array: Array, expected: Expected) -> Extreme:
    """Return the extreme of one quantity, whatever its values are."""
    ratio = ratios(array, expected)
    if not ratio.size:
        return Extreme(0.0, 0, False)
    at = int(ratio.argmax())
    return Extreme(float(ratio.flat[at]), at, False)


@dataclass(frozen=True, slots=True)
class _Span:
    quantity: Quantity
    start: int
    stop: int
    values: Array
    """View of what is given, in the quantity's shape."""


class Together:
    """What is expected of several quantities, end to end.

    Parameters
    ----------
    expected : mapping of str to Expected
        By quantity, for the class that a verdict asks for.
    strictest : sequence of array
        The bounds of the strictest class.

    Notes
    -----
    Only for finite numbers that can all be judged; see `fits`.
    """

    def __init__(
        self, expected: Mapping[Quantity, Expected], strictest: Sequence[NDArray[np.float64]]
    ) -> None:
        self._exact = np.concatenate([each.exact.ravel() for each in expected.values()])
        self._bound = np.concatenate([each.bound.ravel() for each in expected.values()])
        self._strictest = np.concatenate([each.ravel() for each in strictest])
        self._given = np.empty_like(self._exact)
        self._spans: list[_Span] = []
        start = 0
        for quantity, each in expected.items():
            stop = start + each.bound.size
            values = self._given[start:stop].reshape(each.bound.shape)
            self._spans.append(_Span(quantity, start, stop, values))
            start = stop
        self._starts = [span.start for span in self._spans]

    @staticmethod
    def fits(expected: Expected) -> bool:
        """Say whether an expectation is of numbers alone."""
        return (
            expected.unjudged is None
            and expected.special is None
            and expected.bound.size > 0
            and not isinstance(expected.exact, DoubleDouble)
        )

    def extremes(self, computed: Mapping[Quantity, Array]) -> dict[Quantity, Extreme]:
        """Return the extreme of each quantity; nothing where a value is not a finite number.

        Parameters
        ----------
        computed : mapping of str to array
            Every quantity, in its shape and any floating type.
        """
        with np.errstate(all="ignore"):
            for span in self._spans:
                span.values[...] = computed[span.quantity]
            error = np.abs(self._given - self._exact).astype(np.float64, copy=False)
            ratio = error / self._bound
            if not math.isfinite(np.add.reduce(ratio)):
                return {}
            holds = np.logical_and.reduceat(error <= self._strictest, self._starts).tolist()
        found: dict[Quantity, Extreme] = {}
        for span, strictest in zip(self._spans, holds, strict=True):
            at = int(ratio[span.start : span.stop].argmax())
            found[span.quantity] = Extreme(float(ratio[span.start + at]), at, strictest)
        return found
