"""Exact results of a step, or of a stack of them, by quantity and accuracy class.

Output and gradients of a training step depend on nothing but input, parameters and ε, whatever
momentum and running statistics are. So they are worked out apart from the update, in their own
types.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import cast

from harness.oracle import (
    ACCURACIES,
    RUNNING,
    AnyQuantity,
    Channels,
    Declared,
    DoubleQuantity,
    Expected,
    Quantity,
    Results,
    Step,
    double_backward,
    exact,
)
from harness.oracle.arithmetic import Float64
from harness.oracle.judge import spacing
from harness.oracle.parts import WHOLE, Part
from harness.oracle.worst import Counts
from harness.trace import DOUBLE, LEAVES, Array

_Key = tuple[AnyQuantity, str, Declared | None]


class Exact:
    """The exact results of a step.

    Parameters
    ----------
    step : Step
    update : Step, optional
        Whose running statistics are asked for, if not this step's: of channels that have the
        same input and eps as some of this step's.
    channels : slice or index array
        For each channel of `update`, the one of `step`.
    seeds : mapping of str to array
        Where a double backward pass of `step` begins, by the names of gradients.
    """

    def __init__(
        self,
        step: Step,
        update: Step | None = None,
        channels: Channels = slice(None),
        seeds: Mapping[str, Array] = MappingProxyType({}),
    ) -> None:
        self._step, self._update, self._channels = step, update or step, channels
        self._seeds = seeds
        self._twice: dict[str, Mapping[DoubleQuantity, Expected]] = {}
        self._wholes: dict[_Key, Expected] = {}
        self._latest: tuple[_Key, Part, Expected] | None = None
        self._counts: dict[_Key, Counts] = {}
        self._spacings: dict[AnyQuantity, Float64] = {}

    @cached_property
    def _alone(self) -> Step:
        """The step, without the update where output and gradients do not depend on it."""
        if not self._step.batch_statistics:
            return self._step
        return replace(self._step, running_mean=None, running_var=None, factor=None)

    @cached_property
    def _returned(self) -> Results:
        return exact(self._alone)

    @cached_property
    def _left(self) -> Results:
        update = replace(self._update, weight=None, bias=None, grad_output=None)
        return self._returned.updating(update, self._channels)

    def updating(self, update: Step) -> Exact:
        """Return the same output and gradients, with the running statistics of another step."""
        other = Exact(self._step, update, seeds=self._seeds)
        other.__dict__["_returned"], other._twice = self._returned, self._twice
        other._counts = {key: self._counts[key] for key in self._counts if key[0] not in RUNNING}
        spacings = self._spacings.items()
        other._spacings = {name: found for name, found in spacings if name not in RUNNING}
        return other

    def _double(self, accuracy: str) -> Mapping[DoubleQuantity, Expected]:
        if accuracy not in self._twice:
            begun = [self._seeds.get(f"grad_{leaf}") for leaf in LEAVES]
            self._twice[accuracy] = double_backward(self._alone, *begun, accuracy=accuracy)
        return self._twice[accuracy]

    def expected(self, quantity: AnyQuantity, accuracy: str, declared: Declared | None) -> Expected:
        """Return what is expected of a quantity in an accuracy class.

        Raises
        ------
        ValueError
            The step doesn't compute the quantity.
        """
        if quantity in DOUBLE:
            return self._double(accuracy)[cast("DoubleQuantity", quantity)]
        found = cast("Quantity", quantity)
        return self._results(found).expected(found, accuracy, declared)

    def part(
        self,
        quantity: AnyQuantity,
        accuracy: str,
        declared: Declared | None,
        part: Part = WHOLE,
    ) -> Expected:
        """Return what is expected of a part of the quantity's rows (C, n), or columns (C, 1).

        The exact values are float64, or sums of two (`halves`); errors as of `expected`.
        """
        # By given statistics there is no sum in these: one class expects what another does.
        alike = not self._step.batch_statistics and quantity in ("output", "grad_input")
        key = quantity, "" if alike and accuracy in ACCURACIES else accuracy, declared
        if part is WHOLE:
            if key not in self._wholes:
                self._wholes[key] = self._part(quantity, accuracy, declared, part)
            return self._wholes[key]
        if not alike:
            return self._part(quantity, accuracy, declared, part)
        # One is asked for after the other, and of many parts none is kept for longer.
        if self._latest is None or self._latest[:2] != (key, part):
            self._latest = key, part, self._part(quantity, accuracy, declared, part)
        return self._latest[2]

    def _part(
        self, quantity: AnyQuantity, accuracy: str, declared: Declared | None, part: Part
    ) -> Expected:
        if quantity in DOUBLE:
            return self._double(accuracy)[cast("DoubleQuantity", quantity)].part(part)
        found = cast("Quantity", quantity)
        return self._results(found).part(found, accuracy, declared, part)

    def counts(
        self, quantity: AnyQuantity, accuracy: str, declared: Declared | None
    ) -> tuple[Counts, bool]:
        """Return how many elements of each channel say nothing, and whether to count them yet."""
        key = quantity, accuracy, declared
        fresh = key not in self._counts
        if fresh:
            of = self._update if quantity in RUNNING else self._step
            self._counts[key] = Counts(of.channels)
        return self._counts[key], fresh

    def spacing(self, quantity: AnyQuantity, accuracy: str) -> Float64:
        """Return the unit in the last place of each channel's largest exact value, (C,)."""
        if quantity not in self._spacings:
            self._spacings[quantity] = self._spacing(quantity, accuracy)
        return self._spacings[quantity]

    def _spacing(self, quantity: AnyQuantity, accuracy: str) -> Float64:
        if quantity in DOUBLE:
            whole = self._double(accuracy)[cast("DoubleQuantity", quantity)].part(WHOLE)
            return spacing(abs(whole.values), whole.dtype)
        found = cast("Quantity", quantity)
        return self._results(found).spacing(found)

    def _results(self, quantity: Quantity) -> Results:
        return self._left if quantity in RUNNING else self._returned
