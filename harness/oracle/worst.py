"""What was computed in rows (R, n) against what is expected of them: the worst of each row."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harness.oracle.arithmetic import Array, Float64, Mask, distance
from harness.oracle.judge import Expected, within
from harness.oracle.parts import WHOLE, Part, parts
from harness.oracle.step import Channels


class Held:
    """A part of rows, held against what is expected of it.

    Parameters
    ----------
    part : Part
        Which.
    given : array
        What was computed there, of any floating type.
    expected : Expected
        Of the same shape.
    """

    def __init__(self, part: Part, given: Array, expected: Expected) -> None:
        self.part, self.given, self.expected = part, given, expected
        with np.errstate(all="ignore"):
            self.error = distance(given, expected.exact)
            self._finite = math.isfinite(np.add.reduce(self.error, axis=None))

    def ratio(self) -> Float64:
        """Return error over bound of each element."""
        if self.expected.unjudged is None and self._finite:
            with np.errstate(all="ignore"):
                ratio: Float64 = self.error / self.expected.bound
                if math.isfinite(np.add.reduce(ratio, axis=None)):
                    return ratio
        return within(self.error, self.given, self.expected)

    def exceeds(self, other: Expected, channels: Channels) -> Mask:
        """Return the rows with an element beyond the bound of another class of accuracy.

        `channels` are those of the other class's rows that belong to these.
        """
        bound, unjudged = other.bound[channels], other.unjudged
        if unjudged is None and self._finite:
            # Division rounds no quotient of an error above its bound to 1.
            return _any(self.error > bound)
        unjudged = None if unjudged is None else unjudged[channels]
        expected = replace(self.expected, bound=bound, unjudged=unjudged)
        return _any(within(self.error, self.given, expected) > 1)


class Sweep:
    """Rows, held part by part against what is expected of them.

    Parameters
    ----------
    given : (R, n) array
        What was computed.
    channels : slice or index array
        For each row, the one of what is expected.
    expected : function of Part
        What is expected of a part of all channels; of the whole, if `channels` are not a slice.
    """

    def __init__(
        self, given: Array, channels: Channels, expected: Callable[[Part], Expected]
    ) -> None:
        self._given, self._channels, self._expected = given, channels, expected
        self._cut = list(parts(given.shape)) if isinstance(channels, slice) else [WHOLE]
        self._kept: Held | None = None

    def worst(self, counts: Counts | None, other: Callable[[Part], Expected]) -> tuple[Worst, Mask]:
        """Return the worst of each row, and which have an element beyond another class's bound.

        `counts` are given all parts of what is expected.
        """
        worst, beyond = Worst(len(self._given)), np.zeros(len(self._given), np.bool_)
        for part in self._cut:
            expected = self._expected(part)
            if counts is not None:
                counts.add(part, expected)
            held = self._hold(part, expected)
            worst.add(held)
            beyond[part[0]] |= held.exceeds(other(part), self._channels)
        return worst, beyond

    def beyond(self, other: Callable[[Part], Expected]) -> Mask:
        """Return which rows have an element beyond another class's bound."""
        beyond = np.zeros(len(self._given), np.bool_)
        for part in self._cut:
            held = self._kept or self._hold(part, self._expected(part))
            beyond[part[0]] |= held.exceeds(other(part), self._channels)
        return beyond

    def _hold(self, part: Part, expected: Expected) -> Held:
        held = Held(part, self._given[part], expected.at(self._channels))
        # Of many none is kept: together they would leave the cache.
        self._kept = held if len(self._cut) == 1 else None
        return held


class Worst:
    """The largest error over bound of each row, as its parts are met from left to right.

    Attributes
    ----------
    ratio, bound : (R,) float64 arrays
        Error over bound of that element, and its bound.
    at : (R,) integer array
        Its place in the row: the first of several.
    """

    def __init__(self, rows: int) -> None:
        self.ratio = np.full(rows, -1.0)
        self.bound = np.zeros(rows)
        self.at = np.zeros(rows, np.intp)

    def add(self, held: Held) -> None:
        """Take the next part."""
        channels, elements = held.part
        ratio, bound = held.ratio(), held.expected.bound
        if ratio.shape[1] == 1:  # columns
            at, found, bound = np.zeros(len(ratio), np.intp), ratio[:, 0], bound[:, 0]
        else:
            at = ratio.argmax(axis=1)
            rows = np.arange(at.size)
            found, bound = ratio[rows, at], bound[rows, at]
        if held.part is WHOLE:
            self.ratio, self.bound, self.at = found, bound, at
            return
        better = ~(found <= self.ratio[channels])
        rows = np.flatnonzero(better) + channels.start
        self.ratio[rows] = found[better]
        self.bound[rows] = bound[better]
        self.at[rows] = at[better] + elements.start


class Counts:
    """How many elements of each row say nothing, as parts are met.

    Attributes
    ----------
    unjudged, vacuous : (R,) integer arrays
        Those that no value can be held against; those with a bound of more than a tenth of the
        value.
    """

    def __init__(self, rows: int) -> None:
        self.unjudged = np.zeros(rows, np.intp)
        self.vacuous = np.zeros(rows, np.intp)

    def add(self, part: Part, expected: Expected) -> None:
        """Take the next part."""
        _count(expected.vacuous, self.vacuous[part[0]])
        if expected.unjudged is not None:
            _count(expected.unjudged, self.unjudged[part[0]])


# To count a whole mask takes a tenth of what a reduction of its rows takes.
def _count(mask: Mask, counts: NDArray[np.intp]) -> None:
    if np.count_nonzero(mask):
        counts += np.add.reduce(mask, axis=1, dtype=np.intp)


def _any(mask: Mask) -> Mask:
    if mask.shape[1] == 1:
        return mask[:, 0]
    if not np.count_nonzero(mask):
        return np.zeros(len(mask), np.bool_)
    rows: Mask = np.logical_or.reduce(mask, axis=1)
    return rows
