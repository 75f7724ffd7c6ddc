"""Executions that ask the same in the same shapes, held against their bounds at once.

Channels are independent, so executions are stacked along the channel axis: on a few dozen elements
a call of NumPy costs more than its work, and on a stack of them hardly more than on one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.compare.exactly import Exact
from harness.compare.joined import stacked, stacked_rows, stacked_seeds
from harness.compare.question import Question
from harness.oracle import (
    RUNNING,
    AnyQuantity,
    Channels,
    Declared,
    Expected,
    Step,
    self_consistent,
)
from harness.oracle.parts import Part, parts
from harness.oracle.worst import Counts, Held, Sweep, Worst
from harness.trace import IMAGES, Array
from harness.verdicts import CLASSES

_IMAGES = 4


class Figures(NamedTuple):
    """How near one quantity of one execution came to the exact result.

    Attributes
    ----------
    ratio : float
        Largest error over bound.
    at : int
        Index of that element in C order.
    ulp : float
        The error there in ulps of the channel's largest value.
    held : int
        Index of the strictest class that all elements hold, the number of classes if none.
    unjudged, vacuous : int
        Elements that no value can be held against; with a bound of more than a tenth of the value.
    """

    ratio: float
    at: int
    ulp: float
    held: int
    unjudged: int
    vacuous: int


class Columns(NamedTuple):
    """The fields of `Figures` as arrays, an element for each execution."""

    ratio: NDArray[Any]
    at: NDArray[Any]
    ulp: NDArray[Any]
    held: NDArray[Any]
    unjudged: NDArray[Any]
    vacuous: NDArray[Any]

    @classmethod
    def zeros(cls, *shape: int) -> Columns:
        """Return the figures of what has no elements."""
        return cls(*(np.zeros(shape, kind) for kind in (float, int, float, int, int, int)))

    def each(self, taken: Callable[[NDArray[Any]], NDArray[Any]]) -> Columns:
        """Return what is taken of each array."""
        return Columns(*map(taken, self))

    def listed(self) -> list[Figures]:
        """Return the figures of each execution."""
        return [Figures(*each) for each in zip(*(one.tolist() for one in self), strict=True)]


@dataclass(frozen=True, eq=False)
class Stack:
    """Executions of one form.

    Attributes
    ----------
    questions : sequence of Question
        K of them, of C channels each.
    accuracy : str
        The class whose bound is the standard.
    declared : Declared or None
        What the implementations declare of their accuracy.
    worked : Exact or None
        The exact results of a question of the same content as all of these, if there are some.
    """

    questions: Sequence[Question]
    accuracy: str
    declared: Declared | None
    worked: Exact | None = None

    def columns(self, quantity: AnyQuantity, computed: Sequence[Array]) -> Columns:
        """Return the figures of one quantity of each execution.

        Executions that ask the same, and have computed the same bits, have the same figures.

        Parameters
        ----------
        quantity : str
        computed : sequence of array
            In the quantity's shape, of any floating type.
        """
        places, chosen = self._distinct(quantity, computed)
        given = stacked_rows([computed[each] for each in chosen])
        if not given.size:
            return Columns.zeros(len(self.questions))
        exact, channels = self.exact[0], self._channels(quantity, chosen)

        def expected(accuracy: str) -> Callable[[Part], Expected]:
            return partial(exact.part, quantity, accuracy, self.declared)

        sweep = Sweep(given, channels, expected(self.accuracy))
        counts, fresh = exact.counts(quantity, self.accuracy, self.declared)
        worst, beyond = sweep.worst(counts if fresh else None, expected(CLASSES[0]))
        row, at = self._worst(quantity, worst)
        ratio = worst.ratio[row]
        held = np.full(at.size, len(CLASSES))
        for index, accuracy in enumerate(CLASSES):
            if accuracy == self.accuracy:
                holds = ratio <= 1
            else:
                rows = sweep.beyond(expected(accuracy)) if index else beyond
                holds = ~np.logical_or.reduce(rows.reshape(at.size, -1), axis=1)
            held[(held > index) & holds] = index
            if (held <= index).all():
                break
        spacing = exact.spacing(quantity, self.accuracy)[channels]
        with np.errstate(all="ignore"):
            ulp = ratio * worst.bound[row] / spacing[row]
        ulp[ratio == 0] = 0.0
        found = _columns(ratio, at, ulp, held, counts.unjudged[channels], counts.vacuous[channels])
        return found.each(lambda each: each[places]) if at.size < len(places) else found

    def consistency(
        self, output: Sequence[Array], mean: Sequence[Array], variance: Sequence[Array]
    ) -> Columns:
        """Return the figures of each output against what follows from reported statistics.

        Their class is the strictest or none: there is no sum in it.

        Parameters
        ----------
        output, mean, variance : sequence of array
            Output, running_mean and running_var of each execution, which have a factor of 1.
        """
        given = stacked_rows(output)
        worst, counts = Worst(len(given)), Counts(len(given))
        reported = np.concatenate(mean), np.concatenate(variance)
        for part in parts(given.shape):
            expected = self_consistent(self._step, *reported, self.declared, part)
            worst.add(Held(part, given[part], expected))
            counts.add(part, expected)
        ratio = worst.ratio.reshape(len(output), -1).max(axis=1)
        held = np.where(ratio <= 1, 0, len(CLASSES))
        nothing = np.zeros(ratio.size)
        at = nothing.astype(np.intp)
        return _columns(ratio, at, nothing, held, counts.unjudged, counts.vacuous)

    @cached_property
    def _step(self) -> Step:
        return stacked(self.questions)

    @cached_property
    def exact(self) -> tuple[Exact, Channels]:
        """The exact results of the distinct questions, and for each channel its place in them.

        Cases that differ in momentum, flags or sequence, and all implementations, meet the same
        inputs: what they return is worked out once.
        """
        if self.worked is not None:
            return self.worked.updating(self._step), slice(None)
        of, first = self._asked
        distinct = [self.questions[each] for each in first]
        if len(distinct) == len(of):
            return Exact(self._step, seeds=stacked_seeds(distinct)), slice(None)
        rows = self._rows_of(range(len(of)))
        update = None if distinct[0].factor is None else stacked(self.questions, whole=False)
        return Exact(stacked(distinct), update, rows, stacked_seeds(distinct)), rows

    @cached_property
    def _asked(self) -> tuple[list[int], list[int]]:
        """Which of the distinct contents each question has, and the first of each content."""
        alone = len(self.questions) == 1
        return _numbered([None] if alone else [each.content for each in self.questions])

    def _distinct(
        self, quantity: AnyQuantity, computed: Sequence[Array]
    ) -> tuple[Sequence[int], Sequence[int]]:
        """Return which of the executions that are to be judged each is, and those executions."""
        of, first = self._asked
        # What has few elements is sooner judged again than found to be the same.
        if quantity not in IMAGES or len(first) == len(of):
            return range(len(of)), range(len(of))
        return _numbered(list(zip(of, [array.tobytes() for array in computed], strict=True)))

    def _channels(self, quantity: AnyQuantity, chosen: Sequence[int]) -> Channels:
        """Return the channels of some executions among the exact results'."""
        of, first = self._asked
        if quantity in RUNNING or len(chosen) == len(first):
            return slice(None)
        return self.exact[1] if len(chosen) == len(of) else self._rows_of(chosen)

    def _rows_of(self, executions: Sequence[int]) -> NDArray[np.intp]:
        """Return the channels of some executions among those of the distinct questions."""
        of = np.array([self._asked[0][each] for each in executions])
        channels = self.questions[0].step.channels
        rows: NDArray[np.intp] = (of[:, None] * channels + np.arange(channels)).ravel()
        return rows

    def _worst(
        self, quantity: AnyQuantity, rows: Worst
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the row of the worst element of each execution, and its index in C order."""
        shape = self.questions[0].input.shape
        channels = self.questions[0].step.channels
        ratio, element = rows.ratio.reshape(-1, channels), rows.at.reshape(-1, channels)
        channel = np.arange(channels)
        if quantity not in IMAGES:
            at = np.broadcast_to(channel, ratio.shape)
        elif len(shape) == _IMAGES:
            area = shape[2] * shape[3]
            image, place = np.divmod(element, area)
            at = (image * channels + channel) * area + place
        else:
            at = element + channel * shape[1]
        # Of several that are as far, the first.
        at = np.where(ratio == ratio.max(axis=1, keepdims=True), at, np.iinfo(np.intp).max)
        first = at.argmin(axis=1)
        executions = np.arange(first.size)
        return executions * channels + first, at[executions, first]


def _columns(  # noqa: PLR0917  # what figures are made of
    ratio: NDArray[np.float64],
    at: NDArray[np.intp],
    ulp: NDArray[np.float64],
    held: NDArray[np.intp],
    unjudged: NDArray[np.intp],
    vacuous: NDArray[np.intp],
) -> Columns:
    """Return figures, of counts by channel."""
    counts = [each.reshape(at.size, -1).sum(axis=1) for each in (unjudged, vacuous)]
    return Columns(ratio, at, ulp, held, *counts)


def _numbered(keys: Sequence[Hashable]) -> tuple[list[int], list[int]]:
    """Return for each key its number among the distinct ones, and the first place of each."""
    numbers: dict[Hashable, int] = {}
    of = [numbers.setdefault(key, len(numbers)) for key in keys]
    first = dict(zip(reversed(of), reversed(range(len(of))), strict=True))
    return of, [first[number] for number in range(len(numbers))]
