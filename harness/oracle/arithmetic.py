"""The arithmetic that exact results are computed in: wider than the data's own.

float64 for float32, float16 and bfloat16. For float64 the 80-bit long double where there is one,
else double-double. The formulas are written once, with operators and the functions below.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.oracle.doubledouble import DoubleDouble
from harness.oracle.parts import parts, summed

Array: TypeAlias = NDArray[Any]
Float64: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]

Wide: TypeAlias = Any
"""An array of float64 or long double, or a DoubleDouble."""

Arithmetic: TypeAlias = Literal["float64", "longdouble", "double-double"]

_EXTENDED_BITS = 63
_ROWS = 2


def wider_than(dtype: np.dtype[Any]) -> Arithmetic:
    """Return the arithmetic for data of `dtype`, on this machine."""
    if dtype != np.float64:
        return "float64"
    # IBM's long double has 105 bits, but no correct rounding: 64 and 113 bits are IEEE's.
    extended = np.finfo(np.longdouble).nmant in (_EXTENDED_BITS, 112)
    return "longdouble" if extended else "double-double"


def widen(value: ArrayLike, arithmetic: Arithmetic) -> Wide:
    """Convert numbers or arrays of any floating type, without error.

    To C order, so that sums do not depend on the strides of what is given.
    """
    if arithmetic == "double-double":
        return DoubleDouble(np.asarray(value).astype(np.float64, order="C"))
    kind = np.float64 if arithmetic == "float64" else np.longdouble
    return np.asarray(value).astype(kind, order="C")


def narrow(a: Wide) -> Float64:
    """Round to float64; an overflow gives infinity."""
    if isinstance(a, DoubleDouble):
        return a.high
    return a if a.dtype == np.float64 else a.astype(np.float64)  # type: ignore[no-any-return]


def total(a: Wide) -> Wide:
    """Sum along axis 1, keeping it with length 1; pairwise in every arithmetic."""
    if isinstance(a, DoubleDouble):
        return a.total()
    return np.add.reduce(a, axis=1, keepdims=True)


def square_root(a: Wide) -> Wide:
    """Return √a; nan below zero."""
    return a.sqrt() if isinstance(a, DoubleDouble) else np.sqrt(a)


def select(condition: Mask, a: Wide, b: Wide) -> Wide:
    """Choose from `a` where `condition`, else from `b`."""
    if isinstance(a, DoubleDouble):
        return DoubleDouble.where(condition, a, b)
    return np.where(condition, a, b)


def rearrange(a: Wide, function: Callable[[Any], Any]) -> Wide:
    """Reshape, transpose or index."""
    return a.apply(function) if isinstance(a, DoubleDouble) else function(a)


def distance(actual: Array, exact: Wide) -> Float64:
    """Return |actual − exact| in float64, to within 2⁻⁵² of itself.

    exact = h + l in two float64 numbers (`halves`), and the distance is |(actual − h) − l|. The
    first difference has no error where actual is between h/2 and 2h (Sterbenz). Elsewhere it is
    more than |h|/2, 2⁵² times |l|, so that nothing cancels: two roundings at most. In float64's
    subnormal range h and the distance are multiples of its smallest number, as any float64 is.
    """
    if not isinstance(exact, DoubleDouble) and exact.dtype != np.float64:
        exact = halves(exact)
    high = exact.high if isinstance(exact, DoubleDouble) else exact
    if actual.dtype.kind != "f":  # bfloat16
        actual = actual.astype(np.float64)
    error: Float64 = np.subtract(actual, high, out=np.empty(high.shape))
    if isinstance(exact, DoubleDouble):
        error -= exact.low
    return np.abs(error, out=error)


def halves(exact: Wide) -> Wide:
    """Return numbers as float64, or as sums of two: what `distance` is fastest from.

    A long double of 64 bits is such a sum exactly, down to float64's smallest number; one of 113
    bits to within 2⁻¹⁰⁶ of itself. What rounds to infinity is infinity alone.
    """
    if isinstance(exact, DoubleDouble) or exact.dtype == np.float64:
        return exact
    high, low = np.empty(exact.shape), np.empty(exact.shape)
    for part in parts(exact.shape) if exact.ndim == _ROWS else (...,):
        a, h, rest = exact[part], high[part], low[part]
        with np.errstate(all="ignore"):
            h[...] = a
            rest[...] = a - h
        if not math.isfinite(np.add.reduce(rest, axis=None)):
            rest[~np.isfinite(rest)] = 0.0
    return DoubleDouble.of_parts(high, low)


def magnitude(a: Wide) -> Float64:
    """Return |a|, rounded to float64, in an array of its own."""
    if isinstance(a, DoubleDouble) or a.dtype == np.float64:
        return np.abs(narrow(a))
    rounded = narrow(a)
    return np.abs(rounded, out=rounded)


def total_of_products(a: Wide, b: Wide) -> Wide:
    """Return `total` of a·b, for rows of one shape."""
    if isinstance(a, DoubleDouble) or isinstance(b, DoubleDouble):
        return total(a * b)
    return summed(lambda part: a[part] * b[part], a.shape)
