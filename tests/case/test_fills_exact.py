"""The fill `exact` and its sums."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.case.fills import FILLS, to_dtype

Exact = FILLS["exact"]
CHANNELS = 6


def sums(rows, rng):
    """Sum each row in float32, element after element, in a random order."""
    shuffled = rng.permuted(rows.astype(np.float32), axis=1)
    return np.cumsum(shuffled, axis=1, dtype=np.float32)[:, -1]


@pytest.mark.parametrize("seed", [0, 1])
def test_exact_sums(seed):
    """For n of 1 to 200, mean and variance come out exactly from float32 sums in any order."""
    rng = np.random.default_rng(seed)
    for n in range(1, 201):
        rows = Exact(seed=seed).draw((n, CHANNELS, 1, 1)).reshape(n, CHANNELS).T
        mean = sums(rows, rng) / np.float32(n)
        square = sums((rows - mean[:, None]) ** 2, rng) / np.float32(n)
        spacing = np.sqrt(square / {1: 1, 2: 1}.get(n, 2))

        assert (mean == sums(rows, rng) / np.float32(n)).all()
        assert (rows.sum(axis=1) == n * mean.astype(np.float64)).all()
        assert set(spacing.tolist()) <= ({0.0} if n == 1 else {0.25, 0.5, 1.0, 2.0})
        assert (n == 1) or (np.abs(mean / spacing) <= 15).all()


@pytest.mark.parametrize("n", [1000, 65537])
def test_exact_large(n):
    """Float32 sums stay exact for large n, at the largest centre that n allows."""
    centre = min(254, 2**24 // n - 2)
    rows = Exact(centre=centre).draw((n, CHANNELS)).T
    found = sums(rows, np.random.default_rng(0))

    assert (found == rows.sum(axis=1)).all()


@given(st.integers(0, 40), st.integers(1, 254), st.integers(0, 2**64 - 1))
def test_exact_representable(n, centre, seed):
    """Every value is a float16 and a bfloat16."""
    values = Exact(centre=centre, seed=seed).draw((n, 3))

    for name in ("float16", "bfloat16"):
        assert (to_dtype(values, name).astype(np.float64) == values).all()


def test_exact_channels_differ():
    """Channels have means and spacings of their own, and orders of their own."""
    rows = Exact().draw((12, 8, 1, 1)).reshape(12, 8).T
    standard = (rows - rows.mean(axis=1, keepdims=True)) / rows.std(axis=1, keepdims=True)

    assert len(set(rows.mean(axis=1))) > 5
    assert len(set(rows.std(axis=1))) > 2
    assert len({tuple(row) for row in standard.round(3).tolist()}) == 8
