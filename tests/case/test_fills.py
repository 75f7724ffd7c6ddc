"""What every fill promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from harness.case.fills import FILLS

SHAPES = array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4)
NAMES = st.sampled_from([*FILLS])
SEEDS = st.integers(0, 2**64 - 1)
SEEDED = [name for name, fill in FILLS.items() if "seed" in fill.model_fields]
SHAPE = (6, 5, 4, 7)


def ramp(shape):
    """Return an input of `shape` for the fills that follow one."""
    return np.arange(math.prod(shape), dtype=np.float64).reshape(shape)


def draw(name, shape=SHAPE, **parameters):
    """Return what a recipe draws."""
    return FILLS[name](**parameters).draw(shape, like=ramp(shape))


def channels(values):
    """Return (N, C, ...) as (C, n)."""
    return np.moveaxis(values, 1, 0).reshape(values.shape[1], -1)


@given(NAMES, SHAPES)
def test_draw(name, shape):
    """Every fill draws any shape, empty ones and vectors too, as C-contiguous float64."""
    values = draw(name, shape)

    assert values.shape == shape
    assert values.dtype == np.float64
    assert values.flags.c_contiguous
    assert values.flags.writeable


@given(NAMES, SHAPES)
def test_deterministic(name, shape):
    """The same recipe gives the same bits, in a new array."""
    first, second = draw(name, shape), draw(name, shape)

    assert first.tobytes() == second.tobytes()
    assert not np.shares_memory(first, second)


@pytest.mark.parametrize("name", SEEDED)
def test_seed(name):
    """Seeds differ in what they give, and so do fills of one seed."""
    drawn = {draw(name, seed=seed).tobytes() for seed in range(4)}

    assert len(drawn) == 4


@pytest.mark.parametrize("name", FILLS)
@pytest.mark.parametrize("exponent", [-20, 12])
def test_exponent(name, exponent):
    """An exponent multiplies every value by a power of two, exactly."""
    expected = np.ldexp(draw(name, exponent=0), exponent)

    np.testing.assert_array_equal(draw(name, exponent=exponent), expected)


@pytest.mark.parametrize("name", ["uniform", "normal", "lognormal", "two_valued", "few_ulps"])
@given(shape=SHAPES.filter(math.prod), seed=SEEDS)
def test_prefix(name, shape, seed):
    """Elementwise fills give an array the first values of a longer one, in row-major order."""
    longer = draw(name, (math.prod(shape) + 3,), seed=seed)

    assert draw(name, shape, seed=seed).ravel().tolist() == longer[:-3].tolist()


@pytest.mark.parametrize("name", [name for name, fill in FILLS.items() if fill.iid])
def test_iid(name):
    """A fill that is declared independent and continuous repeats no value and has no long tail."""
    rows = channels(draw(name, (100, 5, 10, 4)))
    centred = rows - rows.mean(axis=1, keepdims=True)
    lagged = (centred[:, 1:] * centred[:, :-1]).mean(axis=1) / centred.var(axis=1)

    assert np.unique(rows).size == rows.size
    assert (np.abs(lagged) < 5 / math.sqrt(rows.shape[1])).all()
    assert (np.abs(centred).max(axis=1) < 7 * centred.std(axis=1)).all()
