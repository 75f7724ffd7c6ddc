"""One implementation against the exact result: how far each number of its trace is off."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.case.model import Case
from harness.compare.exactly import CLASSES, Exact, Standard
from harness.compare.follow import Asked, follow, question, real
from harness.compare.together import Extreme, extreme
from harness.dtypes import name_of
from harness.oracle import (
    Declared,
    Expected,
    Quantity,
    Step,
    ratios,
    standard_accuracy,
)
from harness.oracle.arithmetic import distance
from harness.semantics import TORCH, Semantics
from harness.trace import STATE, Array, StepTrace, Trace, same_bits

Declarations = Callable[[Step], Declared | None]
"""What an implementation declares of its accuracy in a step."""


@dataclass(frozen=True)
class Judged:
    """One quantity of one execution against the exact result.

    Attributes
    ----------
    array : array
        What the implementation computed.
    exact : Exact
        Exact results from the implementation's own state before the step.
    declared : Declared or None
    accuracy : str
        The class whose bound is the standard.
    quantity : str
    extreme : Extreme
        The largest error over bound of the whole array.
    """

    array: Array
    exact: Exact
    declared: Declared | None
    accuracy: str
    quantity: Quantity
    extreme: Extreme

    @property
    def standard(self) -> Standard:
        """What the verdict holds the values against."""
        return self.exact.standard(self.quantity, self.accuracy, self.declared)

    @property
    def expected(self) -> Expected:
        """Exact values and the standard's bounds."""
        return self.standard.expected

    @cached_property
    def ratio(self) -> NDArray[np.float64]:
        """Error over bound of each element; above 1 is a mistake."""
        return ratios(self.array, self.expected)

    @property
    def worst(self) -> float:
        """The largest ratio."""
        return self.extreme.ratio

    @property
    def worst_index(self) -> tuple[int, ...]:
        """Where the largest ratio is."""
        return tuple(int(each) for each in np.unravel_index(self.extreme.at, self.array.shape))

    @cached_property
    def error(self) -> NDArray[np.float64]:
        """Absolute errors; a special value in the wrong place is infinitely wrong."""
        with np.errstate(all="ignore"):
            rounded = self.expected.values
            given = self.array.astype(np.float64)
            error = distance(self.array, self.expected.exact)
            same = (given == rounded) | (np.isnan(given) & np.isnan(rounded))
            return np.where(
                same & ~np.isfinite(rounded), 0.0, np.where(np.isnan(error), np.inf, error)
            )

    def ulp(self) -> float:
        """Return the error where the ratio is largest, in ulps of the channel's largest value."""
        worst = self.extreme.ratio
        return self.standard.ulps(worst, self.extreme.at) if worst else 0.0

    def held(self) -> int:
        """Return the index of the strictest class that the values hold, their number if none."""
        if self.extreme.strictest:
            return 0
        for index, accuracy in enumerate(CLASSES):
            if accuracy == self.accuracy:
                worst = self.worst
            else:
                standard = self.exact.standard(self.quantity, accuracy, self.declared)
                worst = extreme(self.array, standard.expected).ratio
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
    exact : Exact or None
        None where nothing is computed, or nothing can be said.
    judged : dict of str to Judged
        By quantity.
    semantics : Semantics
        What the implementation documents to mean otherwise.
    """

    asked: Asked
    before: Mapping[str, Array | None]
    done: StepTrace
    exact: Exact | None
    judged: dict[str, Judged]
    semantics: Semantics = TORCH


def assess(
    case: Case,
    trace: Trace,
    declarations: Declarations,
    accuracy: str | None = None,
    other: tuple[Assessed, ...] = (),
    *,
    semantics: Semantics = TORCH,
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
        where both had the same state before the step and mean the same.
    semantics : Semantics
        What the implementation documents to mean otherwise.
    """
    assessed: list[Assessed] = []
    before = trace.initial
    for position, (asked, done) in enumerate(zip(follow(case), trace.steps, strict=False)):
        shared = other[position] if position < len(other) else None
        exact = _exact(asked, before, done, shared, semantics)
        judged: dict[str, Judged] = {}
        if exact is not None:
            declared = declarations(exact.step)
            standard = accuracy or standard_accuracy(name_of(exact.step.input.dtype))
            same = shared.judged if shared is not None and shared.exact is exact else {}
            computed = dict(_computed(exact, before, done))
            for quantity, array in computed.items():
                theirs = same.get(quantity)
                if theirs and theirs.declared == declared and same_bits(theirs.array, array):
                    judged[quantity] = theirs
            new = {each: array for each, array in computed.items() if each not in judged}
            extremes = exact.extremes(new, standard, declared)
            for quantity, array in new.items():
                judged[quantity] = Judged(
                    array, exact, declared, standard, quantity, extremes[quantity]
                )
        assessed.append(Assessed(asked, before, done, exact, judged, semantics))
        before = done.state
    return tuple(assessed)


def _exact(
    asked: Asked,
    before: Mapping[str, Array | None],
    done: StepTrace,
    shared: Assessed | None,
    semantics: Semantics,
) -> Exact | None:
    if asked.step.forward is None or not ("output" in done.results or _updated(before, done)):
        return None
    if (
        shared is not None
        and shared.exact is not None
        and shared.semantics == semantics
        and _same(before, shared.before)
    ):
        return shared.exact
    try:
        step = question(asked, before, gradients=done.raised is None, semantics=semantics)
    except ValueError:  # an implementation that computes where no result is defined
        return None
    # Without elements, torch takes types that it computes nothing in.
    return None if step is None or not real(step) else Exact(step)


def _updated(before: Mapping[str, Array | None], done: StepTrace) -> bool:
    """Whether a step that has no output, since it raised, has moved the running statistics."""
    names = ("running_mean", "running_var")
    return done.raised is not None and not _same(before, done.state, names)


def _same(
    one: Mapping[str, Array | None],
    other: Mapping[str, Array | None],
    names: tuple[str, ...] = STATE,
) -> bool:
    for name in names:
        mine, theirs = one.get(name), other.get(name)
        if (mine is None) != (theirs is None):
            return False
        if mine is not None and theirs is not None and not same_bits(mine, theirs):
            return False
    return True


def _computed(
    exact: Exact, before: Mapping[str, Array | None], done: StepTrace
) -> Iterator[tuple[Quantity, Array]]:
    """Yield those quantities of a step that the implementation has in the expected shape."""
    shape, row = exact.step.input.shape, (exact.step.channels,)
    failed = done.raised is not None and done.raised.phase == "forward"
    for quantity in exact.quantities:
        running = quantity.startswith("running")
        # A step that raised before its update owes none.
        if running and failed and not _updated(before, done):
            continue
        array = (done.state if running else done.results).get(quantity)
        if array is None or array.dtype.kind == "c":  # its type differs, and it has no distance
            continue
        if array.shape == (shape if quantity in ("output", "grad_input") else row):
            yield quantity, array
