"""Compare what was computed with what was expected."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.dtypes import precision
from harness.oracle.arithmetic import (
    Array,
    Float64,
    Mask,
    Wide,
    distance,
    halves,
    narrow,
    rearrange,
)
from harness.oracle.parts import Part, taken
from harness.oracle.step import Channels

Special = Literal["same", "or-nan", "non-finite"]


@dataclass(frozen=True, eq=False)
class Expected:
    """The exact value of a quantity and how far from it a sound implementation may be.

    Attributes
    ----------
    exact : wide array
        Of the quantity's shape. Its nan and infinities are required, not numbers.
    bound : float64 array
        Largest absolute error; of exact's shape.
    unjudged : bool array or None
        Elements that no value can be held against; None: every element is judged.
    dtype : str
        Type of the quantity; where its range ends, infinity begins.
    special : bool array or None
        Elements where nan conforms as well as exact's infinity ("or-nan"), or any nan or
        infinity conforms ("non-finite").
    rule : "same", "or-nan" or "non-finite"
        What holds where `special` is set.
    """

    exact: Wide
    bound: Float64
    unjudged: Mask | None
    dtype: str
    special: Mask | None = None
    rule: Special = "same"

    def at(self, channels: Channels) -> Expected:
        """Return what is expected of some channels, which lie along the first axis."""
        if isinstance(channels, slice) and channels == slice(None):
            return self
        return self._moved(lambda array: array[channels])

    def part(self, part: Part) -> Expected:
        """Return what is expected of a part of rows (C, n), or of columns (C,) as (C, 1).

        The exact values as float64, or sums of two (`halves`).
        """
        split = replace(self, exact=halves(self.exact))
        return split._moved(lambda a: taken(a if a.ndim > 1 else a[:, np.newaxis], part))

    def _moved(self, moved: Callable[[NDArray[Any]], NDArray[Any]]) -> Expected:
        return Expected(
            rearrange(self.exact, moved),
            moved(self.bound),
            None if self.unjudged is None else moved(self.unjudged),
            self.dtype,
            None if self.special is None else moved(self.special),
            self.rule,
        )

    @property
    def values(self) -> Float64:
        """The exact values, rounded to float64."""
        return narrow(self.exact)

    @property
    def vacuous(self) -> Mask:
        """Elements whose bound says little: more than a tenth of the value."""
        tenth = np.abs(self.values)
        tenth /= 10
        return ~(self.bound <= tenth)


def ratios(actual: Array, expected: Expected) -> Float64:
    """Return error/bound for each element; above 1 is a mistake.

    0 where nothing is to be judged or a special value is as required, infinity where it is not.
    An infinity in place of a finite number counts by how far the largest number of the type is
    from the exact value. Signs of zeros are not compared.

    Parameters
    ----------
    actual : array of the quantity's shape, any floating type
    expected : Expected

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if actual.shape != expected.bound.shape:
        raise ValueError(f"actual: expected the shape {expected.bound.shape}, got {actual.shape}")
    with np.errstate(all="ignore"):
        return within(distance(actual, expected.exact), actual, expected)


def within(error: Float64, actual: Array, expected: Expected) -> Float64:
    """Return error/bound for each element, the `distance` from the exact values being known."""
    with np.errstate(all="ignore"):
        ratio: Float64 = error / expected.bound
        # Adding up is the cheapest test for nan and infinity.
        if expected.unjudged is None and math.isfinite(ratio.sum() + error.sum()):
            return ratio
        return _with_special_values(actual.astype(np.float64), expected, ratio)


def _with_special_values(actual: Float64, expected: Expected, ratio: Float64) -> Float64:
    exact, bound = expected.values, expected.bound
    number = np.isfinite(exact)
    largest = precision(expected.dtype).max
    overflow = np.maximum(largest - np.sign(actual) * exact, 0.0) / bound
    ratio = np.where(np.isinf(actual), overflow, ratio)
    ratio = np.where(number & np.isnan(actual), np.inf, ratio)

    right = (actual == exact) | (np.isnan(actual) & np.isnan(exact))
    if expected.special is not None and expected.rule == "or-nan":
        right |= expected.special & np.isnan(actual)
    elif expected.special is not None and expected.rule == "non-finite":
        right |= expected.special & ~np.isfinite(actual)
    ratio = np.where(number, ratio, np.where(right, 0.0, np.inf))
    if expected.unjudged is not None:
        ratio = np.where(expected.unjudged, 0.0, ratio)
    return ratio


def spacing(sizes: Float64, dtype: str) -> Float64:
    """Return the unit in the last place, in a type, of the largest finite number of each row.

    `sizes` are the absolute values of the numbers.
    """
    kind = precision(dtype)
    alone = sizes.shape[1] == 1
    largest = sizes[:, 0] if alone else np.maximum.reduce(sizes, axis=1, initial=0.0)
    if not math.isfinite(np.add.reduce(largest)):
        largest = np.where(np.isfinite(sizes), sizes, 0.0).max(axis=1, initial=0.0)
    exponent: NDArray[np.intc] = np.frexp(np.maximum(largest, kind.tiny))[1]
    return np.ldexp(1.0, exponent - kind.bits)


def ulps(actual: Array, expected: Expected) -> Float64:
    """Return the distance from the exact value in units in its last place.

    Parameters
    ----------
    actual : array of the quantity's shape
    expected : Expected

    Returns
    -------
    float64 array
        0 where both are the same special value, infinity where just one of them is special.
    """
    kind = precision(expected.dtype)
    exact = expected.values
    with np.errstate(all="ignore"):
        scale = np.where(np.isfinite(exact), np.abs(exact), 0.0)
        spacing = np.ldexp(1.0, np.frexp(np.maximum(scale, kind.tiny))[1] - kind.bits)
        error = distance(actual, expected.exact)
        given = actual.astype(np.float64)
        same = (given == exact) | (np.isnan(given) & np.isnan(exact))
        distances = np.where(np.isnan(error), np.inf, error / spacing)
        return np.where(same & ~np.isfinite(exact), 0.0, distances)
