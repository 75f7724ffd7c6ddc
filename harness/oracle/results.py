"""From a step to what is expected of each of its quantities."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from harness.dtypes import name_of
from harness.oracle.accuracy import (
    Accuracy,
    Declared,
    Types,
    accuracy_class,
    types_of,
)
from harness.oracle.arithmetic import Arithmetic, Float64, Mask, Wide, halves, narrow, rearrange
from harness.oracle.bounds import Bounds, Linear
from harness.oracle.doubt import Doubt, either
from harness.oracle.exact import Forward, Gradients, forward, gradients, updated
from harness.oracle.judge import Expected, Special, spacing
from harness.oracle.magnitudes import GradientMagnitudes, Magnitudes
from harness.oracle.parts import WHOLE, Part, taken
from harness.oracle.quantities import RUNNING, Quantity, quantities_of
from harness.oracle.special import special_gradients
from harness.oracle.step import Channels, Step, column, unrows

_UNCHANGED = 5e-324


@dataclass(frozen=True, eq=False)
class _Exact:
    """One quantity's exact value, of rows (C, n) or a column (C, 1), and what follows from it."""

    wide: Wide
    halves: Wide
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
        self._linear: dict[tuple[Quantity, Bounds], Linear | Float64] = {}

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
        shared._exact, shared._bounds, shared._doubts, shared._linear = {}, {}, {}, {}
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
            return self._shaped(quantity, self._exactly(quantity).wide)

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
            exact = self._exactly(quantity)
            bound = self._bound(quantity, self.bounds(accuracy, declared))
            expected = self._within(quantity, bound, declared, WHOLE)
            return self._whole(quantity, replace(expected, exact=exact.wide))

    def part(
        self, quantity: Quantity, accuracy: str | Accuracy, declared: Declared | None, part: Part
    ) -> Expected:
        """Return what is expected of a part of the rows (C, n), or of the columns (C, 1).

        As of `expected`, but for the exact values, which are the sums of two float64 (`halves`).
        """
        with np.errstate(all="ignore"):
            bound = self._bound(quantity, self.bounds(accuracy, declared))
            return self._within(quantity, bound, declared, part)

    def spacing(self, quantity: Quantity) -> Float64:
        """Return the unit in the last place of each channel's largest finite exact value, (C,)."""
        with np.errstate(all="ignore"):
            dtype = self._exactly(quantity).dtype
            return spacing(self._sizes(quantity), dtype)

    def within(
        self, quantity: Quantity, bound: Linear | Float64, declared: Declared | None
    ) -> Expected:
        """Return the exact values, as sums of two float64, with another bound."""
        with np.errstate(all="ignore"):
            return self._whole(quantity, self._within(quantity, bound, declared, WHOLE))

    def _within(
        self, quantity: Quantity, of: Linear | Float64, declared: Declared | None, part: Part
    ) -> Expected:
        exact = self._exactly(quantity)
        wide = exact.halves if part is WHOLE else rearrange(exact.halves, lambda a: taken(a, part))
        values = narrow(wide)
        unjudged: Mask | None = getattr(self._doubt_for(declared), quantity)
        if unjudged is not None:
            unjudged = taken(unjudged, part)
        bound = of.at(part) if isinstance(of, Linear) else taken(of, part)
        if not math.isfinite(np.add.reduce(bound, axis=None)):
            unjudged = either(unjudged, ~np.isfinite(bound) & np.isfinite(values))
        if bound.shape != values.shape:
            bound = np.broadcast_to(bound, values.shape)
        if unjudged is not None:
            unjudged = np.broadcast_to(unjudged, values.shape) if unjudged.any() else None
        return Expected(
            exact=wide,
            bound=bound,
            unjudged=unjudged,
            dtype=exact.dtype,
            special=None if exact.special is None else taken(exact.special, part),
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
        found = self._bounds.get(key)
        if found is None:
            batch, types = self.step.batch_statistics, self._types(declared)
            found = self._bounds[key] = Bounds(self._size, self._back, batch, key[0], types)
        return found

    def _doubt_for(self, declared: Declared | None) -> Doubt:
        if declared not in self._doubts:
            batch, types = self.step.batch_statistics, self._types(declared)
            self._doubts[declared] = Doubt(self._size, self._back, batch, types)
        return self._doubts[declared]

    def _exactly(self, quantity: Quantity) -> _Exact:
        if quantity not in self._exact:
            if quantity not in self.quantities:
                computed = ", ".join(self.quantities)
                needs = "give it the arrays that the quantity needs"
                raise ValueError(f"{quantity}: this step computes {computed}; {needs}")
            wide = self._wide(quantity)
            images = quantity in ("output", "grad_input")
            kind = name_of(self.step.input.dtype if images else self.step.parameter_dtype)
            split = halves(wide)
            special, rule = self._special(quantity, narrow(split))
            self._exact[quantity] = _Exact(wide, split, kind, special, rule)
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

    def _sizes(self, quantity: Quantity) -> Float64:
        """Return the absolute values of the exact ones."""
        if quantity == "output":
            return self._size.y
        if self._back is None or quantity in RUNNING:
            return np.abs(narrow(self._exactly(quantity).halves))
        name = {"grad_input": "input", "grad_weight": "weight", "grad_bias": "S"}[quantity]
        sizes: Float64 = getattr(self._back, name)
        return sizes

    def _bound(self, quantity: Quantity, bounds: Bounds) -> Linear | Float64:
        key = (quantity, bounds)
        if key not in self._linear:
            self._linear[key] = self._bound_by(quantity, bounds)
        return self._linear[key]

    def _bound_by(self, quantity: Quantity, bounds: Bounds) -> Linear | Float64:
        if quantity not in RUNNING:
            bound: Linear | Float64 = getattr(bounds, quantity)()
            return bound
        if not self.step.updates:
            return np.full((self.step.channels, 1), _UNCHANGED)
        factor = np.asarray(column(self.step.factor), np.float64)
        old = np.abs(column(getattr(self.step, quantity)).astype(np.float64))
        new = self._sizes(quantity)
        if quantity == "running_mean":
            return bounds.running_mean(old, factor, new)
        return bounds.running_var(old, factor, new, self.step.correction)

    def _special(self, quantity: Quantity, exact: Float64) -> tuple[Mask | None, Special]:
        """Say where more than one special value conforms."""
        if math.isfinite(np.add.reduce(exact, axis=None)):
            return None, "same"
        if quantity in RUNNING:
            return np.isinf(exact), "or-nan"
        batch = self.step.batch_statistics
        return special_gradients(quantity, exact, self._size, self._back, batch)

    def _whole(self, quantity: Quantity, expected: Expected) -> Expected:
        """Return what is expected of rows or a column in the quantity's own shape."""

        def shaped(mask: Mask | None) -> Mask | None:
            return None if mask is None else self._shaped(quantity, mask)

        return replace(
            expected,
            exact=self._shaped(quantity, expected.exact),
            bound=self._shaped(quantity, expected.bound),
            unjudged=shaped(expected.unjudged),
            special=shaped(expected.special),
        )

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
