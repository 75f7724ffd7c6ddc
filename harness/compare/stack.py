"""Executions that ask the same in the same shapes, held against their bounds at once.

Channels are independent, so executions are stacked along the channel axis: on a few dozen elements
a call of NumPy costs more than its work, and on a stack of them hardly more than on one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.compare.exactly import Exact
from harness.compare.question import Question
from harness.dtypes import precision
from harness.oracle import (
    RUNNING,
    AnyQuantity,
    Channels,
    Declared,
    Expected,
    Step,
    ratios,
    self_consistent,
)
from harness.oracle.arithmetic import distance
from harness.oracle.judge import within
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

    def figures(self, quantity: AnyQuantity, computed: Sequence[Array]) -> list[Figures]:
        """Return the figures of one quantity, for each execution.

        Parameters
        ----------
        quantity : str
        computed : sequence of array
            In the quantity's shape, of any floating type.
        """
        exact, channels = self.exact
        if quantity in RUNNING:
            channels = slice(None)
        standard = exact.expected(quantity, self.accuracy, self.declared)
        given, expected = _joined(computed), standard.at(channels)
        with np.errstate(all="ignore"):
            error = distance(given, expected.exact)
        ratio = self._apart(within(error, given, expected))
        if not ratio.size:
            return [Figures(0.0, 0, 0.0, 0, 0, 0)] * len(self.questions)
        at = ratio.argmax(axis=1)
        places = np.arange(at.size)
        worst = ratio[places, at]
        held = np.full(at.size, len(CLASSES))
        for index, accuracy in enumerate(CLASSES):
            largest = worst
            if accuracy != self.accuracy:
                other = exact.expected(quantity, accuracy, self.declared).at(channels)
                largest = self._apart(within(error, given, other)).max(axis=1)
            held[(held > index) & (largest <= 1)] = index
            if (held <= index).all():
                break
        spacing = _spacing(standard)[channels].reshape(at.size, -1)
        bound = self._apart(expected.bound)[places, at]
        with np.errstate(all="ignore"):
            ulp = worst * bound / spacing[places, self._channel(quantity, at)]
        ulp[worst == 0] = 0.0
        return self._listed(standard, channels, worst, at, ulp, held)

    def consistency(
        self, output: Sequence[Array], mean: Sequence[Array], variance: Sequence[Array]
    ) -> list[Figures]:
        """Return the figures of each output against what follows from reported statistics.

        Their class is the strictest or none: there is no sum in it.

        Parameters
        ----------
        output, mean, variance : sequence of array
            Output, running_mean and running_var of each execution, which have a factor of 1.
        """
        expected = self_consistent(
            self._step, np.concatenate(mean), np.concatenate(variance), self.declared
        )
        worst = self._apart(ratios(_joined(output), expected)).max(axis=1, initial=0.0)
        held = np.where(worst <= 1, 0, len(CLASSES))
        nothing = np.zeros(worst.size)
        return self._listed(expected, slice(None), worst, nothing.astype(np.intp), nothing, held)

    @cached_property
    def _step(self) -> Step:
        return _stacked(self.questions)

    @cached_property
    def exact(self) -> tuple[Exact, Channels]:
        """The exact results of the distinct questions, and for each channel its place in them.

        Cases that differ in momentum, flags or sequence, and all implementations, meet the same
        inputs: what they return is worked out once.
        """
        if self.worked is not None:
            return self.worked.updating(self._step), slice(None)
        contents = [each.content for each in self.questions]
        places: dict[object, int] = {}
        distinct: list[Question] = []
        for content, each in zip(contents, self.questions, strict=True):
            if content not in places:
                places[content] = len(distinct)
                distinct.append(each)
        if len(distinct) == len(contents):
            return Exact(self._step, seeds=_seeds(distinct)), slice(None)
        of = np.array([places[content] for content in contents])
        channels = distinct[0].step.channels
        rows = (of[:, None] * channels + np.arange(channels)).ravel()
        updates = distinct[0].factor is not None
        update = self._step if updates else None
        return Exact(_stacked(distinct), update, rows, _seeds(distinct)), rows

    @property
    def _shape(self) -> tuple[int, ...]:
        return self.questions[0].input.shape

    def _apart(self, array: NDArray[np.float64]) -> NDArray[np.float64]:
        """Undo `_joined`: a row for each execution, its elements in C order."""
        executions = len(self.questions)
        if array.ndim > 1 and len(self._shape) == _IMAGES:
            count, channels, height, width = self._shape
            array = array.reshape(executions, channels, count, height * width)
            array = array.transpose(0, 2, 1, 3)
        return array.reshape(executions, array.size // executions)

    def _channel(self, quantity: AnyQuantity, at: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the channels of elements whose indices in C order are given."""
        if quantity not in IMAGES:
            return at
        if len(self._shape) != _IMAGES:
            return at // self._shape[1]
        _, channels, height, width = self._shape
        return at // (height * width) % channels

    def _listed(  # noqa: PLR0917  # what figures are made of
        self,
        standard: Expected,
        channels: Channels,
        worst: NDArray[np.float64],
        at: NDArray[np.intp],
        ulp: NDArray[np.float64],
        held: NDArray[np.intp],
    ) -> list[Figures]:
        counts = [
            np.zeros(worst.size, np.intp)
            if mask is None
            else _counted(mask)[channels].reshape(worst.size, -1).sum(axis=1)
            for mask in (standard.unjudged, standard.vacuous)
        ]
        columns = [column.tolist() for column in (worst, at, ulp, held, *counts)]
        return [Figures(*each) for each in zip(*columns, strict=True)]


def _stacked(questions: Sequence[Question]) -> Step:
    """Return one step of (C, n) rows that asks all questions."""
    first, channels = questions[0], questions[0].step.channels

    def joined(name: str) -> Array | None:
        there = getattr(first, name) is not None
        return _joined([getattr(each, name) for each in questions]) if there else None

    factors = [each.factor for each in questions if each.factor is not None]
    return Step(
        input=_joined([each.input for each in questions]),
        eps=np.repeat([each.eps for each in questions], channels),
        batch_statistics=first.batch_statistics,
        weight=joined("weight"),
        bias=joined("bias"),
        running_mean=joined("running_mean"),
        running_var=joined("running_var"),
        factor=np.repeat(factors, channels) if factors else None,
        grad_output=joined("grad_output"),
        unbiased=first.unbiased,
    )


def _seeds(questions: Sequence[Question]) -> dict[str, Array]:
    """Return where the double backward passes of all questions begin."""
    return {name: _joined([each.seeds[name] for each in questions]) for name in questions[0].seeds}


def _joined(arrays: Sequence[Array]) -> Array:
    """Lay arrays out as rows (K·C, n), or as columns (K·C,)."""
    whole, shape = np.concatenate(arrays), arrays[0].shape
    if len(shape) != _IMAGES:
        return whole
    count, channels, height, width = shape
    return (
        whole.reshape(len(arrays), count, channels, height * width)
        .transpose(0, 2, 1, 3)
        .reshape(len(arrays) * channels, count * height * width)
    )


def _counted(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return how many elements of each channel are set."""
    return np.count_nonzero(mask, axis=1) if mask.ndim > 1 else mask.astype(np.intp)


def _spacing(expected: Expected) -> NDArray[np.float64]:
    """Return the unit in the last place of each channel's largest finite value."""
    kind = precision(expected.dtype)
    values = np.abs(expected.values)
    values = np.where(np.isfinite(values), values, 0.0)
    largest = values.max(axis=1, initial=0.0) if values.ndim > 1 else values
    exponent: NDArray[np.intc] = np.frexp(np.maximum(largest, kind.tiny))[1]
    return np.ldexp(1.0, exponent - kind.bits)
