"""Arrays of unevaluated sums of two float64: 106 bits of significand, float64's range."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float64: TypeAlias = NDArray[np.float64]
Operand: TypeAlias = Union["DoubleDouble", ArrayLike]

_SPLIT = 2.0**27 + 1
_LARGE = 2.0**990


def _two_sum(a: Float64, b: Float64) -> tuple[Float64, Float64]:
    """Return fl(a + b) and its error (Knuth, TAOCP 2, theorem 4.2.2B)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _halves(a: Float64) -> tuple[Float64, Float64]:
    """Split into two numbers of 26 bits (Veltkamp); large ones are scaled to stay finite."""
    scale = np.where(np.abs(a) > _LARGE, 2.0**-30, 1.0)
    scaled = a * scale
    high = _SPLIT * scaled
    high = (high - (high - scaled)) / scale
    return high, a - high


def _two_product(a: Float64, b: Float64) -> tuple[Float64, Float64]:
    """Return fl(a·b) and its error (Dekker 1971)."""
    product = a * b
    (a1, a2), (b1, b2) = _halves(a), _halves(b)
    return product, ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2


class DoubleDouble:
    """Array of numbers `high + low` with |low| ≤ ulp(high) / 2.

    Follows Dekker, "A floating-point technique for extending the available precision" (1971).
    Sums, products, quotients and roots err by a few 2^-104, relative to the larger operand.
    nan and infinity live in `high`.

    Parameters
    ----------
    high, low : float64 arrays of equal shape, or numbers
        The two parts; they need not be normalised.
    """

    __array_ufunc__ = None  # lets `ndarray - DoubleDouble` reach __rsub__

    def __init__(self, high: ArrayLike, low: ArrayLike = 0.0) -> None:
        first, second = np.asarray(high, np.float64), np.asarray(low, np.float64)
        total = np.where(np.isfinite(first), first + second, first)
        # An infinite or nan sum has no error; computing one would turn inf into nan.
        finite = np.isfinite(total)
        error = (first - np.where(finite, total, 0.0)) + second
        self.high: Float64 = total
        self.low: Float64 = np.where(finite, error, 0.0)

    @staticmethod
    def of(value: Operand) -> DoubleDouble:
        """Wrap a number or an array; a DoubleDouble is returned as it is."""
        return value if isinstance(value, DoubleDouble) else DoubleDouble(value)

    @classmethod
    def of_parts(cls, high: Float64, low: Float64) -> DoubleDouble:
        """Wrap two parts that are normalised: |low| ≤ ulp(high) / 2, 0 beside nan and infinity."""
        made = cls.__new__(cls)
        made.high, made.low = high, low
        return made

    @staticmethod
    def where(condition: NDArray[np.bool_], a: DoubleDouble, b: DoubleDouble) -> DoubleDouble:
        """Choose from `a` where `condition`, else from `b`."""
        return DoubleDouble(np.where(condition, a.high, b.high), np.where(condition, a.low, b.low))

    def apply(self, function: Callable[[Float64], Float64]) -> DoubleDouble:
        """Move elements about (reshape, transpose, index): `function` acts on both parts."""
        return DoubleDouble.of_parts(function(self.high), function(self.low))

    def total(self) -> DoubleDouble:
        """Sum along axis 1, keeping it with length 1; pairwise."""
        high, low = self.high, self.low
        while high.shape[1] > 1:
            half = high.shape[1] // 2
            rest = DoubleDouble(high[:, 2 * half :], low[:, 2 * half :])
            pairs = DoubleDouble(high[:, :half], low[:, :half]) + DoubleDouble(
                high[:, half : 2 * half], low[:, half : 2 * half]
            )
            high = np.concatenate([pairs.high, rest.high], axis=1)
            low = np.concatenate([pairs.low, rest.low], axis=1)
        return DoubleDouble(high, low)

    def sqrt(self) -> DoubleDouble:
        """Square root: one Newton step from the float64 one."""
        root = np.sqrt(self.high)
        residual = (self - DoubleDouble(*_two_product(root, root))).high
        correction = np.where(root > 0, residual / (2 * np.where(root > 0, root, 1.0)), 0.0)
        return DoubleDouble(root, np.where(np.isfinite(root), correction, 0.0))

    def __neg__(self) -> DoubleDouble:
        return DoubleDouble.of_parts(-self.high, -self.low)

    def __add__(self, other: Operand) -> DoubleDouble:
        o = DoubleDouble.of(other)
        high, error = _two_sum(self.high, o.high)
        low, lowest = _two_sum(self.low, o.low)
        middle = DoubleDouble(high, error + low)
        return DoubleDouble(middle.high, middle.low + lowest)

    def __sub__(self, other: Operand) -> DoubleDouble:
        return self + (-DoubleDouble.of(other))

    def __mul__(self, other: Operand) -> DoubleDouble:
        o = DoubleDouble.of(other)
        high, error = _two_product(self.high, o.high)
        return DoubleDouble(high, error + (self.high * o.low + self.low * o.high))

    def __truediv__(self, other: Operand) -> DoubleDouble:
        o = DoubleDouble.of(other)
        first = self.high / o.high
        second = (self - o * first).high / o.high
        third = (self - o * first - o * second).high / o.high
        exact = np.isfinite(first) & np.isfinite(o.high)
        return DoubleDouble(first, np.where(exact, second, 0.0)) + np.where(exact, third, 0.0)

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: Operand) -> DoubleDouble:
        return DoubleDouble.of(other) - self

    def __rtruediv__(self, other: Operand) -> DoubleDouble:
        return DoubleDouble.of(other) / self
