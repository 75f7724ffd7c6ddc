"""The emulated fma beside rational arithmetic."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.reference.fma import fma

FORMATS = {np.float32: (32, 2**128), np.float64: (64, 2**1024)}
"""Bits, and the power of two that infinity stands for when overflow is rounded."""


def rational(number, dtype):
    """Return a number as a fraction, infinity as the power of two that it stands for."""
    if math.isinf(number):
        return FORMATS[dtype][1] if number > 0 else -FORMATS[dtype][1]
    return Fraction(float(number))


def nearest(exact, near, dtype):
    """Return the number nearest to a fraction, among one and its neighbours; ties go to even."""
    near = dtype(near)
    candidates = [near, np.nextafter(near, dtype(np.inf)), np.nextafter(near, dtype(-np.inf))]
    bits = np.uint32 if dtype is np.float32 else np.uint64
    return min(candidates, key=lambda t: (abs(rational(t, dtype) - exact), int(t.view(bits)) % 2))


def triples(width):
    """Return a strategy of three finite numbers of a format."""
    number = st.floats(width=width, allow_nan=False, allow_infinity=False)
    # Few bits at many exponents: products that lie between two numbers, and what breaks the tie.
    few_bits = st.builds(math.ldexp, st.integers(-4097, 4097), st.integers(-70, 30))
    return st.one_of(st.tuples(number, number, number), st.tuples(few_bits, few_bits, few_bits))


def assert_rounded_once(triple, dtype):
    """Assert that fma gives the number nearest to the exact ab + c."""
    a, b, c = (dtype(t) for t in triple)
    found = fma(*(np.array([t]) for t in (a, b, c)))[0]
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    with np.errstate(all="ignore"):
        expected = nearest(exact, found, dtype)

    assert found.dtype == dtype
    assert found == expected


@settings(max_examples=200, deadline=None)
@given(triples(32))
@example((1 + 2**-12, 1 + 2**-12, 2.0**-60))
@example((1 + 2**-12, 1 + 2**-12, -(2.0**-60)))
@example((2.0**-100, 2.0**-49, 2.0**-149))
@example((2.0**-75, 2.0**-75, 2.0**-149))
@example((2.0**127, 2.0, -(2.0**127)))
@example((2.0**64, 2.0**64, -(2.0**103)))
def test_float32_is_rounded_once(triple):
    """In float32, ab + c is the number nearest to the exact one, ties and tiny terms included."""
    assert_rounded_once(triple, np.float32)


@settings(max_examples=200, deadline=None)
@given(triples(64))
@example((1 + 2**-27, 1 + 2**-26, 2.0**-160))
@example((1 + 2**-27, 1 + 2**-26, -(2.0**-160)))
@example((1 + 2**-30, 1 - 2**-30, -1.0))
@example((2.0**-600, 2.0**-470, 2.0**-1074))
@example((2.0**1000, 2.0**100, -(2.0**1023)))
@example((2.0**600, 2.0**423, 2.0**1023))
@example((-(2.0**600), 2.0**423, -(2.0**1023)))
def test_float64_is_rounded_once(triple):
    """In float64, ab + c is the number nearest to the exact one, beyond all ranges too."""
    assert_rounded_once(triple, np.float64)


@pytest.mark.parametrize("dtype", FORMATS)
def test_infinities_and_zeros(dtype):
    """Infinities, nan and the signs of zeros are those of IEEE 754."""
    inf, nan, large = np.inf, np.nan, float(np.finfo(dtype).max)
    table = [
        (inf, 1, 1, inf),
        (inf, 0, 1, nan),
        (inf, 1, -inf, nan),
        (nan, 1, 1, nan),
        (1, 1, nan, nan),
        (large, large, -inf, -inf),
        (large, -large, 1, -inf),
        (1, 1, -1, 0.0),
        (-1, 0, -0.0, -0.0),
        (-1, 0, 0.0, 0.0),
        (1, 0, 3, 3),
    ]
    a, b, c, expected = np.array(table, dtype).T
    found = fma(a, b, c)

    assert np.array_equal(found, expected, equal_nan=True)
    assert np.array_equal(np.signbit(found[7:]), np.signbit(expected[7:]))


@pytest.mark.parametrize("dtype", FORMATS)
def test_arguments_are_broadcast(dtype):
    """Shapes broadcast and strides do not matter, as for any sum of a product."""
    x = np.arange(24, dtype=dtype).reshape(2, 3, 4)
    alpha, beta = np.array([2, 3, 4], dtype)[:, None], np.array([5, 6, 7], dtype)[:, None]

    assert np.array_equal(fma(x, alpha, beta), x * alpha + beta)
    assert np.array_equal(fma(x[..., ::2], alpha, beta), (x * alpha + beta)[..., ::2])
