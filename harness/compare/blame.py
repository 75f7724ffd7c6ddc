"""Whose mistake it is: the target's numbers and the baseline's, each against the exact result."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.compare.findings import Culprit, Divergence, number
from harness.compare.joined import stacked_rows
from harness.compare.judged import Judged
from harness.oracle import ulps
from harness.trace import WORDS, Array


def blame(at: tuple[int, int], target: Judged, baseline: Judged) -> list[Divergence]:
    """Return the divergences of one quantity in one execution.

    The target is blamed where it is outside its bound and farther from its exact result than the
    baseline is from its own: what reproduces the baseline bit for bit is never blamed. A baseline
    outside its bound is found too, and held against nobody else.

    Parameters
    ----------
    at : (int, int)
        Step and repetition, from 0.
    target, baseline : Judged
        The same quantity of both.
    """
    found = []
    if baseline.figures.ratio > 1:
        found.append(_divergence(at, "baseline", baseline, baseline.ratio > 1, baseline))
    if target.figures.ratio > 1 and target is not baseline:
        outside = (target.ratio > 1) & (target.error > baseline.error)
        if outside.any():
            culprit: Culprit = "both" if baseline.figures.ratio > 1 else "target"
            found.append(_divergence(at, culprit, target, outside, baseline))
    return found


def _divergence(
    at: tuple[int, int],
    culprit: Culprit,
    judged: Judged,
    outside: NDArray[np.bool_],
    baseline: Judged,
) -> Divergence:
    """Walk to the worst element and describe it."""
    flat = int(np.argmax(np.where(outside, judged.ratio, -1.0)))
    index = tuple(int(each) for each in np.unravel_index(flat, outside.shape))
    exact, error = float(judged.expected.values[index]), float(judged.error[index])
    return Divergence(
        step=at[0],
        repetition=at[1],
        quantity=judged.quantity,
        aspect="value",
        culprit=culprit,
        expected=number(baseline.array[index]),
        actual=number(judged.array[index]),
        exact=number(exact),
        index=index,
        abs=number(error),
        rel=number(error / abs(exact)) if exact else None,
        ulp=number(ulps(judged.array, judged.expected)[index]),
        ratio=number(judged.ratio[index]),
        count=int(np.count_nonzero(outside)),
    )


def equal_elements(one: Array, other: Array) -> int:
    """Return how many elements of two arrays of one shape are equal bit for bit."""
    if one is other:
        return one.size
    if one.dtype != other.dtype:
        return 0
    words = WORDS.get(one.dtype.itemsize)
    if words is None:  # a long double has bits that mean nothing
        return int(np.count_nonzero(one == other))
    return int(np.count_nonzero(one.view(words) == other.view(words)))


def equal_by_row(ones: Sequence[Array], others: Sequence[Array]) -> NDArray[np.intp]:
    """Return how many elements of each of some arrays, all of one form, equal those of others."""
    words = WORDS.get(ones[0].dtype.itemsize)
    if words is None:
        return np.array([equal_elements(*each) for each in zip(ones, others, strict=True)], np.intp)
    equal = stacked_rows(ones).view(words) == stacked_rows(others).view(words)
    counts: NDArray[np.intp] = np.count_nonzero(equal.reshape(len(ones), -1), axis=1)
    return counts
