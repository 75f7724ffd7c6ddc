"""Rounding to the types that a case can name."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.case.fills import to_dtype
from harness.dtypes import FLOATING, OTHERS, dtype, precision

NUMBERS = st.floats(allow_nan=False)
# Halves in the octaves where the spacing of bfloat16, float16 and float32 is 1: every other a tie.
TIES = st.builds(
    lambda octave, halves: octave + halves / 2,
    st.sampled_from([2.0**7, 2.0**10, 2.0**23]),
    st.integers(0, 255),
)


def one(value: float, name: str):
    """Round one number."""
    return to_dtype(np.array([value]), name)[0]


def nearest(value: float, name: str) -> float:
    """Round to nearest, ties to even, in rational arithmetic."""
    kind = precision(name)
    exact = Fraction(value)
    spacing = Fraction(kind.subnormal)
    while abs(exact) >= spacing * 2**kind.bits:
        spacing *= 2
    rounded = round(exact / spacing) * spacing  # round() takes ties to even
    limit = Fraction(kind.max)
    return float(rounded) if abs(rounded) <= limit else float("inf") * (1 if value > 0 else -1)


@pytest.mark.parametrize("name", ["float16", "float32"])
@given(value=NUMBERS.filter(np.isfinite) | TIES)
def test_nearest_even(name, value):
    """float32 and float16 are the nearest values to the float64, ties to even."""
    assert float(one(value, name)) == nearest(value, name)


@given(NUMBERS.filter(np.isfinite) | TIES)
def test_bfloat16(value):
    """bfloat16 is rounded twice: to float32, and from there to nearest."""
    once = nearest(value, "float32")
    expected = nearest(once, "bfloat16") if np.isfinite(once) else once

    assert float(one(value, "bfloat16")) == expected


def test_bfloat16_twice():
    """Where the float32 is a tie that the float64 is not, the tie decides."""
    value = 1 + 2.0**-8 + 2.0**-30

    assert nearest(value, "bfloat16") == 1 + 2.0**-7
    assert float(one(value, "bfloat16")) == 1


@pytest.mark.parametrize("name", FLOATING)
def test_not_finite(name):
    """Nan and infinities stay what they are, and an overflow is infinite without a warning."""
    found = to_dtype(np.array([np.nan, np.inf, -np.inf, 1e308]), name).astype(np.float64)

    np.testing.assert_array_equal(
        found, [np.nan, np.inf, -np.inf, 1e308 if name == "float64" else np.inf]
    )


@pytest.mark.parametrize("name", ["uint8", "int32", "int64"])
@given(value=st.floats())
def test_integers(name, value):
    """Integers are truncated and kept within their range; nan is 0."""
    info = np.iinfo(name)
    expected = 0 if np.isnan(value) else int(max(min(value, 2.0**70), -(2.0**70)))

    assert int(one(value, name)) == max(info.min, min(info.max, expected))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("bool", [True, False, False, True]), ("complex64", [0.1, 0, -0.0, complex(np.nan, 0)])],
)
def test_others(name, expected):
    """A bool says what is not 0; a complex number has the imaginary part 0."""
    found = to_dtype(np.array([0.1, 0.0, -0.0, np.nan]), name)

    np.testing.assert_array_equal(found, np.array(expected, dtype=name))


@pytest.mark.parametrize("name", FLOATING + OTHERS)
def test_new_array(name):
    """The result is a new array of the shape and the type that were asked for."""
    values = np.zeros((2, 0, 3))
    found = to_dtype(values, name)

    assert found.shape == values.shape
    assert found.dtype == dtype(name)
    assert found is not values
