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
from harness.trace import DOUBLE, LEAVES, Array


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
        results = self._left if quantity in RUNNING else self._returned
        return results.expected(cast("Quantity", quantity), accuracy, declared)
