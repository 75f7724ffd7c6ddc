"""Exact results of a step, or of a stack of them, by quantity and accuracy class.

Output and gradients of a training step depend on nothing but input, parameters and ε, whatever
momentum and running statistics are. So they are worked out apart from the update, in their own
types.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from harness.oracle import RUNNING, Channels, Declared, Expected, Quantity, Results, Step, exact


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
    """

    def __init__(
        self, step: Step, update: Step | None = None, channels: Channels = slice(None)
    ) -> None:
        self._step, self._update, self._channels = step, update or step, channels

    @cached_property
    def _returned(self) -> Results:
        step = self._step
        if not step.batch_statistics:
            return exact(step)
        return exact(replace(step, running_mean=None, running_var=None, factor=None))

    @cached_property
    def _left(self) -> Results:
        update = replace(self._update, weight=None, bias=None, grad_output=None)
        return self._returned.updating(update, self._channels)

    def updating(self, update: Step) -> Exact:
        """Return the same output and gradients, with the running statistics of another step."""
        other = Exact(self._step, update)
        other.__dict__["_returned"] = self._returned
        return other

    def expected(self, quantity: Quantity, accuracy: str, declared: Declared | None) -> Expected:
        """Return what is expected of a quantity in an accuracy class.

        Raises
        ------
        ValueError
            The step doesn't compute the quantity.
        """
        results = self._left if quantity in RUNNING else self._returned
        return results.expected(quantity, accuracy, declared)
