"""One implementation against the exact result: how far each number of its trace is off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.case.model import Case
from harness.compare.follow import Asked, follow, question
from harness.oracle import (
    ACCURACIES,
    QUANTITIES,
    Declared,
    Expected,
    Quantity,
    Results,
    Step,
    exact,
    ratios,
    standard_accuracy,
    ulps,
)
from harness.trace import STATE, Array, StepTrace, Trace, same_bits

CLASSES = tuple(ACCURACIES)
"""The accuracy classes, from the strictest."""

Declarations = Callable[[Step], Declared | None]
"""What an implementation declares of its accuracy in a step."""


@dataclass(frozen=True)
class Judged:
    """One quantity of one execution against the exact result.

    Attributes
    ----------
    array : array
        What the implementation computed.
    results : Results
        Exact results from the implementation's own state before the step.
    declared : Declared or None
    accuracy : str
        The class whose bound is the standard.
    quantity : str
    """

    array: Array
    results: Results
    declared: Declared | None
    accuracy: str
    quantity: Quantity

    @cached_property
    def expected(self) -> Expected:
        """Exact values and the standard's bounds."""
        return self.results.expected(self.quantity, self.accuracy, self.declared)

    @cached_property
    def ratio(self) -> NDArray[np.float64]:
        """Error over bound of each element; above 1 is a mistake."""
        return ratios(self.array, self.expected)

    @cached_property
    def worst(self) -> float:
        """The largest ratio."""
        return float(self.ratio.max(initial=0.0))

    @cached_property
    def error(self) -> NDArray[np.float64]:
        """Absolute errors; a special value in the wrong place is infinitely wrong."""
        with np.errstate(all="ignore"):
            rounded = self.expected.values
            given = self.array.astype(np.float64)
            error = np.abs(given - self.expected.exact).astype(np.float64)
            same = (given == rounded) | (np.isnan(given) & np.isnan(rounded))
            return np.where(same, 0.0, np.where(np.isnan(error), np.inf, error))

    @cached_property
    def ulp(self) -> float:
        """Largest error in ulps of the largest value in the channel."""
        return float(ulps(self.array, self.expected, at="channel").max(initial=0.0))

    @cached_property
    def held(self) -> int:
        """Index of the strictest class that the values hold, the number of classes if none."""
        for index, accuracy in enumerate(CLASSES):
            if accuracy == self.accuracy:
                worst = self.worst
            else:
                expected = self.results.expected(self.quantity, accuracy, self.declared)
                worst = float(ratios(self.array, expected).max(initial=0.0))
            if worst <= 1:
                return index
        return len(CLASSES)


@dataclass(frozen=True)
class Assessed:
    """One execution of a step against the exact result.

    Attributes
    ----------
    asked : Asked
    before : mapping of str to array or None
        The implementation's state before the execution.
    done : StepTrace
    results : Results or None
        None where nothing is computed, or nothing can be said.
    judged : dict of str to Judged
        By quantity.
    """

    asked: Asked
    before: Mapping[str, Array | None]
    done: StepTrace
    results: Results | None
    judged: dict[str, Judged]


def assess(
    case: Case,
    trace: Trace,
    declarations: Declarations,
    accuracy: str | None = None,
    other: tuple[Assessed, ...] = (),
) -> tuple[Assessed, ...]:
    """Judge every number of a trace against the exact result.

    Parameters
    ----------
    case : Case
    trace : Trace
    declarations : callable
        From a step to what the implementation declares of its accuracy in it.
    accuracy : str, optional
        The class whose bound is the standard; by default that of the input's type.
    other : tuple of Assessed
        Another implementation's assessment of the same case, whose exact results are used again
        where both had the same state before the step.
    """
    assessed: list[Assessed] = []
    before = trace.initial
    for position, (asked, done) in enumerate(zip(follow(case), trace.steps, strict=False)):
        shared = other[position] if position < len(other) else None
        results = _results(asked, before, done, shared)
        judged = {}
        if results is not None:
            declared = declarations(results.step)
            standard = accuracy or standard_accuracy(results.step.input.dtype.name)
            judged = {
                quantity: Judged(array, results, declared, standard, quantity)
                for quantity, array in _computed(results, done)
            }
        assessed.append(Assessed(asked, before, done, results, judged))
        before = done.state
    return tuple(assessed)


def _results(
    asked: Asked, before: Mapping[str, Array | None], done: StepTrace, shared: Assessed | None
) -> Results | None:
    if asked.step.forward is None or "output" not in done.results:
        return None
    if shared is not None and shared.results is not None and _same(before, shared.before):
        return shared.results
    try:
        step = question(asked, before)
    except ValueError:  # an implementation that computes where no result is defined
        return None
    return None if step is None else exact(step)


def _same(one: Mapping[str, Array | None], other: Mapping[str, Array | None]) -> bool:
    for name in STATE:
        mine, theirs = one.get(name), other.get(name)
        if (mine is None) != (theirs is None):
            return False
        if mine is not None and theirs is not None and not same_bits(mine, theirs):
            return False
    return True


def _computed(results: Results, done: StepTrace) -> list[tuple[Quantity, Array]]:
    """Return those quantities of a step that the implementation has in the expected shape."""
    shape, row = results.step.input.shape, (results.step.channels,)
    found = []
    for quantity in QUANTITIES:
        source = done.state if quantity.startswith("running") else done.results
        array = source.get(quantity)
        if quantity not in results.quantities or array is None:
            continue
        if array.shape == (shape if quantity in ("output", "grad_input") else row):
            found.append((quantity, array))
    return found
