"""The fused multiply-add ab + c, rounded once, made of operations that each round.

Rounding to odd keeps, in its last bit, whether a sum is inexact, so that rounding it again to a
format at least two bits shorter gives what rounding once would have given (Boldo & Melquiond,
*Emulation of a FMA and correctly rounded sums: proved algorithms using rounding to odd*, IEEE
Transactions on Computers 57(4), 2008).
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from harness.reference.mathematics import Array

_SPLITTER = 2.0**27 + 1
_LARGE, _SMALL = 2.0**900, 2.0**-900


@np.errstate(all="ignore")
def fma(a: Array, b: Array, c: Array) -> Array:
    """Return ab + c of float32 or float64 arrays of one type, rounded once, to nearest even."""
    if a.dtype == np.float32:
        # The product of two float32 is a float64, and 53 bits are more than 24 + 2.
        product = a.astype(np.float64) * b.astype(np.float64)
        narrow: Array = _sum_to_odd(product, c.astype(np.float64)).astype(np.float32)
        return narrow
    return _fma_of_float64(*np.broadcast_arrays(a, b, c))


def _fma_of_float64(a: Array, b: Array, c: Array) -> Array:
    """Return ab + c by Boldo & Melquiond's algorithm, and by rational numbers where it overflows.

    With ab = p + q exactly, it rounds p + q + c by way of two exact sums and one to odd.
    """
    p, q = _product(a, b)
    t, t_error = _sum(c, q)
    v, v_error = _sum(p, t)
    found = v + _sum_to_odd(t_error, v_error)
    # An exact zero has the sign that a plain sum gives it.
    found = np.where(found == 0, a * b + c, found)
    largest = np.maximum(np.maximum(np.abs(a), np.abs(b)), np.maximum(np.abs(p), np.abs(c)))
    in_range = (largest < _LARGE) & ((np.abs(p) > _SMALL) | (a == 0) | (b == 0))
    for index in np.argwhere(~in_range):
        at = tuple(index)
        found[at] = _rational(float(a[at]), float(b[at]), float(c[at]))
    return found


def _sum(a: Array, b: Array) -> tuple[Array, Array]:
    """Return a + b and its rounding error, exactly (Knuth's TwoSum)."""
    s = a + b
    b_part = s - a
    return s, (a - (s - b_part)) + (b - b_part)


def _product(a: Array, b: Array) -> tuple[Array, Array]:
    """Return ab and its rounding error, exactly (Dekker's product of Veltkamp's halves)."""
    p = a * b
    a_high, a_low = _halves(a)
    b_high, b_low = _halves(b)
    return p, a_low * b_low - (((p - a_high * b_high) - a_low * b_high) - a_high * b_low)


def _halves(a: Array) -> tuple[Array, Array]:
    """Return two numbers of 26 bits whose sum is `a`."""
    scaled = _SPLITTER * a
    high = scaled - (scaled - a)
    return high, a - high


def _sum_to_odd(a: Array, b: Array) -> Array:
    """Return a + b in float64: itself where exact, else the neighbour whose last bit is 1."""
    s, error = _sum(a, b)
    inexact = np.isfinite(error) & (error != 0)
    even = s.view(np.int64) % 2 == 0
    return np.where(inexact & even, np.nextafter(s, np.copysign(np.inf, error)), s)


def _rational(a: float, b: float, c: float) -> float:
    """Return ab + c by exact arithmetic; a sum of infinities or nan by IEEE 754's rules."""
    if not (math.isfinite(a) and math.isfinite(b)):
        return a * b + c
    if not math.isfinite(c):
        return c
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if exact == 0:
        return a * b + c
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf
