"""From a step to what is expected of each of its quantities."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np

from harness.dtypes import name_of
from harness.oracle.accuracy import (
    Accuracy,
    Declared,
    Types,
    accuracy_class,
    types_of,
)
from harness.oracle.arithmetic import Arithmetic, Float64, Mask, Wide, narrow, rearrange
from harness.oracle.bounds import Bounds
from harness.oracle.doubt import Doubt, either
from harness.oracle.exact import Forward, Gradients, forward, gradients, updated
from harness.oracle.judge import Expected, Special
from harness.oracle.magnitudes import GradientMagnitudes, Magnitudes
from harness.oracle.step import Channels, Step, column, unrows

Quantity = Literal[
    "output", "running_mean", "running_var", "grad_input", "grad_weight", "grad_bias"
]
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)
RUNNING: tuple[Quantity, ...] = ("running_mean", "running_var")

_UNCHANGED = 5e-324


def quantities_of(step: Step) -> tuple[Quantity, ...]:
    """Return the quantities that a step computes."""
    updated = step.batch_statistics and step.running_mean is not None and step.factor is not None
    has = {
        "output": True,
        "running_mean": updated,
        "running_var": updated,
        "grad_input": step.grad_output is not None,
        "grad_weight": step.grad_output is not None and step.weight is not None,
        "grad_bias": step.grad_output is not None and step.bias is not None,
    }
    return tuple(quantity for quantity in QUANTITIES if has[quantity])


@dataclass(frozen=True, eq=False)
class _Exact:
    """One quantity's exact value and what follows from it alone."""

    shaped: Wide
    rows: Float64
    dtype: str
    special: Mask | None
    rule: Special


class Results:
    """Exact results of a step, and bounds on request. Made by `exact`."""

    def __init__(self, step: Step, arithmetic: Arithmetic | None = None) -> None:
        self.step = step
        with np.errstate(all="ignore"):
            self._forward: Forward = forward(step, arithmetic)
        self._exact: dict[Quantity, _Exact] = {}
        self._doubts: dict[Declared | None, Doubt] = {}
        self._bounds: dict[tuple[Accuracy, Declared | None], Bounds] = {}

    def updating(self, step: Step, channels: Channels = slice(None)) -> Results:
        """Return the running statistics that a step leaves behind, its batch being this one's.

        What follows from the input alone is shared.

        Parameters
        ----------
        step : Step
            By batch statistics.
        channels : slice or index array
            For each of the step's channels, the one of this step that has its input and eps.
        """
        shared = copy.copy(self)
        shared.step = step
        with np.errstate(all="ignore"):
            if step.updates:
                shared._forward = updated(step, self._forward, channels)
            shared.__dict__.update(_size=self._size.columns(channels), _back=None)
        shared._exact, shared._bounds, shared._doubts = {}, {}, {}
        shared.__dict__["quantities"] = RUNNING
        return shared

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        """The quantities that this step computes."""
        return quantities_of(self.step)

    def exact(self, quantity: Quantity) -> Wide:
        """Return the exact value: input's shape for output and grad_input, else (C,).

        Raises
        ------
        ValueError
            If the step doesn't compute the quantity.
        """
        with np.errstate(all="ignore"):
            return self._exactly(quantity).shaped

    def expected(
        self,
        quantity: Quantity,
        accuracy: str | Accuracy = "tree",
        declared: Declared | None = None,
    ) -> Expected:
        """Return exact value and bound of one quantity.

        Parameters
        ----------
        quantity : str
            One of `quantities`.
        accuracy : str or Accuracy
            "wide", "tree" or "any-order".
        declared : Declared, optional
            What the implementation says it does less accurately.

        Raises
        ------
        ValueError
            If the step doesn't compute the quantity, or there is no such class.
        """
        with np.errstate(all="ignore"):
            self._exactly(quantity)
            bound = self._bound(quantity, self.bounds(accuracy, declared))
            return self._within(quantity, bound, declared)

    def within(self, quantity: Quantity, bound: Float64, declared: Declared | None) -> Expected:
        """Return the exact value with a bound of rows (C, n) or a column (C, 1)."""
        with np.errstate(all="ignore"):
            return self._within(quantity, bound, declared)

    def _within(self, quantity: Quantity, bound: Float64, declared: Declared | None) -> Expected:
        exact = self._exactly(quantity)
        unjudged: Mask | None = getattr(self._doubt_for(declared), quantity)
        if not np.isfinite(np.add.reduce(bound, axis=None)):
            unjudged = either(unjudged, ~np.isfinite(bound) & np.isfinite(exact.rows))
        if bound.shape != exact.rows.shape:
            bound = np.broadcast_to(bound, exact.rows.shape)
        if unjudged is not None:
            unjudged = np.broadcast_to(unjudged, exact.rows.shape)
            unjudged = self._shaped(quantity, unjudged) if unjudged.any() else None
        return Expected(
            exact=exact.shaped,
            bound=self._shaped(quantity, bound),
            unjudged=unjudged,
            dtype=exact.dtype,
            special=exact.special,
            rule=exact.rule,
        )

    # Overflow and nan are results: what is public lets them pass, and these are called from there.
    @cached_property
    def _gradients(self) -> Gradients:
        return gradients(self.step, self._forward)

    @cached_property
    def _size(self) -> Magnitudes:
        return Magnitudes(self._forward, np.asarray(column(self.step.eps), np.float64))

    @cached_property
    def _back(self) -> GradientMagnitudes | None:
        if self.step.grad_output is None:
            return None
        return GradientMagnitudes(self._size, self._gradients)

    def _types(self, declared: Declared | None) -> Types:
        return types_of(self.step.input.dtype, self.step.parameter_dtype, declared)

    def bounds(self, accuracy: str | Accuracy, declared: Declared | None) -> Bounds:
        """Return the bounds for a class, from which each quantity's is made."""
        key = (accuracy_class(accuracy), declared)
        if key not in self._bounds:
            batch, types = self.step.batch_statistics, self._types(declared)
            self._bounds[key] = Bounds(self._size, self._back, batch, key[0], types)
        return self._bounds[key]

    def _doubt_for(self, declared: Declared | None) -> Doubt:
        if declared not in self._doubts:
            batch, types = self.step.batch_statistics, self._types(declared)
            self._doubts[declared] = Doubt(self._size, self._back, batch, types)
        return self._doubts[declared]

    def _exactly(self, quantity: Quantity) -> _Exact:
        if quantity not in self._exact:
            if quantity not in self.quantities:
                raise ValueError(
                    f"{quantity}: this step computes {', '.join(self.quantities)}; "
                    "give it the arrays that the quantity needs"
                )
            wide = self._wide(quantity)
            rows = narrow(wide)
            images = quantity in ("output", "grad_input")
            special, rule = self._special(quantity, rows)
            self._exact[quantity] = _Exact(
                shaped=self._shaped(quantity, wide),
                rows=rows,
                dtype=name_of(self.step.input.dtype if images else self.step.parameter_dtype),
                special=None if special is None else self._shaped(quantity, special),
                rule=rule,
            )
        return self._exact[quantity]

    def _wide(self, quantity: Quantity) -> Wide:
        match quantity:
            case "output":
                return self._forward.y
            case "running_mean" | "running_var":
                new = getattr(self._forward, quantity)
                if new is not None:
                    return new
                # Without a value in the batch the statistics stay as they are.
                return np.asarray(column(getattr(self.step, quantity)), np.float64)
            case "grad_input":
                return self._gradients.input
            case "grad_weight":
                return self._gradients.weight
            case "grad_bias":
                return self._gradients.S

    def _bound(self, quantity: Quantity, bounds: Bounds) -> Float64:
        if quantity not in RUNNING:
            bound: Float64 = getattr(bounds, quantity)()
            return bound
        if not self.step.updates:
            return np.full((self.step.channels, 1), _UNCHANGED)
        factor = np.asarray(column(self.step.factor), np.float64)
        old = np.abs(column(getattr(self.step, quantity)).astype(np.float64))
        new = np.abs(self._exact[quantity].rows)
        if quantity == "running_mean":
            return bounds.running_mean(old, factor, new)
        return bounds.running_var(old, factor, new, self.step.correction)

    def _special(self, quantity: Quantity, exact: Float64) -> tuple[Mask | None, Special]:
        """Say where more than one special value conforms."""
        if np.isfinite(np.add.reduce(exact, axis=None)):
            return None, "same"
        if quantity in RUNNING:
            return np.isinf(exact), "or-nan"
        batch = self.step.batch_statistics
        if self._back is None or quantity not in ("grad_input", "grad_weight"):
            return None, "same"
        if quantity == "grad_input" and not batch:
            return None, "same"
        # An infinite gradient meets sums, products with zero and differences of infinities;
        # which of them come first is the implementation's choice.
        size, back = self._size, self._back
        nan = np.isnan(back.g).any(axis=1, keepdims=True)
        nan |= np.isnan(size.x).any(axis=1, keepdims=True) | np.isnan(size.r) | np.isnan(size.m)
        return ~nan & (size.finite_x if batch else True) & ~np.isfinite(exact), "non-finite"

    def _shaped(self, quantity: Quantity, array: Wide) -> Wide:
        if quantity not in ("output", "grad_input"):
            return rearrange(array, lambda a: a[:, 0])
        if not self.step.images:
            return array
        return rearrange(array, lambda a: unrows(a, self.step.input.shape))


def exact(step: Step, *, arithmetic: Arithmetic | None = None) -> Results:
    """Compute a step in wide arithmetic.

    Parameters
    ----------
    step : Step
    arithmetic : "float64", "longdouble" or "double-double", optional
        By default what is wide enough for the input's type on this machine.

    Returns
    -------
    Results
        Its `expected(quantity, accuracy, declared)` gives exact values with bounds.
    """
    return Results(step, arithmetic)
