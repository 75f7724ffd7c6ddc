"""What each fill does."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.case.fills import FILLS, to_dtype
from harness.dtypes import FLOATING, precision

SEEDS = st.integers(0, 2**64 - 1)
SHAPE = (6, 5, 4, 7)


def draw(name, shape=SHAPE, **parameters):
    """Return what a recipe draws."""
    return FILLS[name](**parameters).draw(shape)


def channels(values):
    """Return (N, C, ...) as (C, n)."""
    return np.moveaxis(values, 1, 0).reshape(values.shape[1], -1)


def test_normal_moments():
    """The normal fill has its mean and variance within five standard errors; its ends are ±6."""
    n = 200_000
    values = draw("normal", (n,), mean=3, std=2)

    assert abs(values.mean() - 3) < 5 * 2 / math.sqrt(n)
    assert abs(values.var() / 4 - 1) < 5 * math.sqrt(2 / n)
    assert np.abs(values - 3).max() < 12.1


def test_normal_significand():
    """The normal fill shows a cast to float32: hardly a value survives it."""
    values = draw("normal", (10_000,))

    assert (to_dtype(values, "float32").astype(np.float64) != values).mean() > 0.999


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), SEEDS)
def test_uniform_range(a, b, seed):
    """The uniform fill stays between its ends."""
    values = draw("uniform", (20,), low=min(a, b), high=max(a, b), seed=seed)

    assert values.min() >= min(a, b)
    assert values.max() <= max(a, b)


def test_offset_channels():
    """In the offset fill, each channel's mean has a sign and a size of its own."""
    means = channels(draw("offset", (50, 10, 4, 4), mean=1000, std=1)).mean(axis=1)

    expected = [1000 * (-1) ** c * (1 + c % 8 / 8) for c in range(10)]
    np.testing.assert_allclose(means, expected, atol=0.2)


def test_relu():
    """The relu fill is never negative, and about half of it is 0."""
    values = draw("relu", (10_000,))

    assert values.min() == 0
    assert abs((values == 0).mean() - 0.5) < 0.03


def test_sorted():
    """The sorted fill ascends within each channel, and channels differ."""
    rows = channels(draw("sorted"))

    assert (np.diff(rows, axis=1) > 0).all()
    assert len(np.unique(rows)) == rows.size


def test_lognormal():
    """The log-normal fill is positive, between its ends, and as much above 1 as below it."""
    values = draw("lognormal", (20_000,))

    assert values.min() >= 2.0**-6
    assert values.max() < 2.0**7
    assert abs(np.log2(values).mean() - 0.557) < 0.05
    assert abs(np.log2(values).std() - math.sqrt(5 + 0.0823)) < 0.05


@pytest.mark.parametrize("amplitude", [1e4, 77.0])
def test_outlier(amplitude):
    """The outlier fill has one value of its amplitude in each channel, at places that vary."""
    rows = channels(draw("outlier", (6, 30, 4, 7), amplitude=amplitude))
    found = np.abs(rows) == amplitude

    assert (found.sum(axis=1) == 1).all()
    assert len(set(found.argmax(axis=1))) > 10
    assert set(rows[found]) == {amplitude, -amplitude}


@given(st.floats(), st.floats(), SEEDS)
def test_two_valued(low, high, seed):
    """The two-valued fill has both of its values and no other."""
    values = draw("two_valued", (200,), low=low, high=high, seed=seed)

    expected = np.unique(np.array([low, high]))
    np.testing.assert_array_equal(np.unique(values), expected)


@given(st.integers(-(2**31), 2**31 - 1), st.integers(0, 5), SEEDS)
def test_small_integers(low, span, seed):
    """The integer fill has every integer of its range and no other."""
    high = min(low + span, 2**31 - 1)
    values = draw("small_integers", (400,), low=low, high=high, seed=seed)

    assert set(values.tolist()) == set(range(low, high + 1))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_special(value):
    """The special fill has its value at one element of one channel; all others are finite."""
    rows = channels(draw("special", value=value, channel=3, index=9))

    np.testing.assert_array_equal(np.argwhere(~np.isfinite(rows)), [[3, 9]])
    np.testing.assert_equal(rows[3, 9], value)


@pytest.mark.parametrize("name", FLOATING)
@given(value=st.floats(-60000, 60000), ulps=st.integers(0, 9), seed=SEEDS)
def test_few_ulps(name, value, ulps, seed):
    """Values are whole spacings of the type from the rounded value, no more than was asked."""
    centre = Fraction(float(to_dtype(np.array(value), name)))
    ulp = Fraction(precision(name).subnormal)
    while abs(centre) >= ulp * 2 ** precision(name).bits:
        ulp *= 2
    values = draw("few_ulps", (200,), value=value, ulps=ulps, precision=name, seed=seed)
    steps = {(Fraction(x) - centre) / ulp for x in values.tolist()}

    assert steps <= set(range(-ulps, ulps + 1))


@pytest.mark.parametrize("factor", [0.01, 1, 10])
def test_near_eps(factor):
    """The variance is about the asked share of eps."""
    values = draw("near_eps", (20_000,), eps=1e-3, factor=factor)

    assert abs(values.var() / (factor * 1e-3) - 1) < 0.05


@pytest.mark.parametrize("name", FLOATING)
def test_subnormal(name):
    """The subnormal fill has both signs, no zero, no normal number and no rounding."""
    values = draw("subnormal", (500,), precision=name)
    kind = precision(name)

    assert (to_dtype(values, name).astype(np.float64) == values).all()
    assert np.abs(values).min() >= kind.subnormal
    assert kind.tiny / 2 < np.abs(values).max() < kind.tiny
    assert set(np.sign(values)) == {-1, 1}


def test_ramp():
    """A ramp goes from end to end in equal steps, c + 1 times as high in channel c."""
    rows = channels(draw("ramp", (5, 3, 1, 1), low=2, high=4))

    expected = np.outer([1, 2, 3], [2, 2.5, 3, 3.5, 4])
    np.testing.assert_array_equal(rows, expected)


def test_alternating():
    """Neighbours cancel but for the drift."""
    rows = channels(draw("alternating", (6, 2, 1, 1), amplitude=8, drift=0.5))

    expected = np.outer([1, 2], [8, -7.5, 9, -6.5, 10, -5.5])
    np.testing.assert_array_equal(rows, expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("zeros", [0, 0, 0]), ("ones", [1, 1, 1]), ("constant", [1, 1, 1]), ("arange", [0, 1, 2])],
)
def test_plain(name, expected):
    """The plain fills are what their names say."""
    assert draw(name, (3,)).tolist() == expected


@pytest.mark.parametrize("channel", [None, 1])
def test_one_hot(channel):
    """A one-hot gradient is 0 but for one element of every channel, or of one."""
    rows = channels(draw("one_hot", (2, 3, 2, 2), index=5, channel=channel, value=4))

    expected = [[c, 5] for c in range(3) if channel in (None, c)]
    np.testing.assert_array_equal(np.argwhere(rows == 4), expected)
    assert np.count_nonzero(rows) == len(expected)


@given(st.integers(0, 9), st.sampled_from(FLOATING), SEEDS)
def test_zero_sum(n, name, seed):
    """Each channel's exact sum is 0, after rounding to any type too."""
    values = to_dtype(draw("zero_sum", (n, 3), seed=seed), name).astype(np.float64)

    assert [sum(map(Fraction, row)) for row in values.T.tolist()] == [0, 0, 0]


@pytest.mark.parametrize("dtype", FLOATING)
def test_proportional(dtype):
    """The proportional gradient is x̂ times its factor."""
    x = to_dtype(draw("offset"), dtype)
    rows = channels(x.astype(np.float64))
    d = rows - rows.mean(axis=1, keepdims=True)
    found = FILLS["proportional"](factor=-3, eps=0.5).draw(SHAPE, like=x)

    expected = -3 * d / np.sqrt((d * d).mean(axis=1, keepdims=True) + 0.5)
    np.testing.assert_allclose(channels(found), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("value", [math.nan, math.inf, 1.7e308])
def test_proportional_not_finite(value):
    """A channel of the input without finite statistics spoils no other channel's gradient."""
    x = draw("normal")
    x[:, 2] = value
    rows = channels(FILLS["proportional"]().draw(SHAPE, like=x))

    assert np.isnan(rows[2]).all()
    assert np.isfinite(np.delete(rows, 2, axis=0)).all()
