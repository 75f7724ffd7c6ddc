"""How far a sound implementation may be from the exact result, for each element.

Each formula is derived in docs/tolerances.md, under the name it has here. Rows are (C, n),
columns (C, 1); δ stands before what may err, |·| is left out (magnitudes have no sign).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from harness.oracle.accuracy import Accuracy, Type, Types
from harness.oracle.arithmetic import Float64
from harness.oracle.magnitudes import GradientMagnitudes, Magnitudes
from harness.oracle.parts import Part, taken

_LONGEST = 0.125
"""Largest G·u for which the second-order terms are derived; sums beyond have no bound."""


@dataclass(frozen=True, eq=False)
class Statistics:
    """Errors of the statistics that a normalisation uses, and what follows from them.

    Attributes
    ----------
    size : Magnitudes
    u : float
    m, v, s : (C, 1)
        δm, δv and δs.
    kept : Type or None
        What the statistics are rounded to.
    floor : bool
        Whether the computed variance is known not to be negative.
    """

    size: Magnitudes
    u: float
    m: Float64
    v: Float64
    s: Float64
    kept: Type | None
    floor: bool

    @cached_property
    def _root(self) -> tuple[Float64, Float64]:
        return inverse_root(self.size, self.s, self.kept, self.u, self.floor)

    @property
    def rho(self) -> Float64:
        """ρ, the relative error of r = 1/√(v+ε) either way."""
        return self._root[0]

    @cached_property
    def largest(self) -> Float64:
        """r⁺ = r(1 + ρ₊)."""
        return self.size.r * (1 + self._root[1])

    @cached_property
    def normalised(self) -> tuple[Float64, Float64, Float64]:
        """Coefficients of |d|, |x| and 1 in δx̂."""
        size, u, largest = self.size, self.u, self.largest
        return size.r * self.rho + largest * u, 2 * u * largest, largest * (self.m + 2 * u * size.m)


class Linear(NamedTuple):
    """A bound of rows (C, n): constant + Σ coefficient·row, of columns (C, 1) and rows."""

    constant: Float64
    terms: tuple[tuple[Float64, Float64], ...]

    def at(self, part: Part) -> Float64:
        """Return a part of the rows."""
        (coefficient, row), *rest = self.terms
        out: Float64 = taken(coefficient, part) * taken(row, part)
        product = np.empty(out.shape)
        for coefficient, row in rest:
            out += np.multiply(taken(coefficient, part), taken(row, part), out=product)
        out += taken(self.constant, part)
        return out


def inverse_root(
    size: Magnitudes, dv: Float64, kept: Type | None, u: float, floor: bool
) -> tuple[Float64, Float64]:
    """Return ρ and ρ₊ for v + ε that errs by `dv`.

    With `floor` the computed variance is known not to be negative, so that v + ε stays above ε.
    """
    t = dv / size.s
    below = np.minimum(t, (size.v + 4 * u * size.eps) / size.s) if floor else np.minimum(t, 1.0)
    z, zz = np.sqrt(1 - below), np.sqrt(1 + t)
    up, down = below / (z * (1 + z)), t / (zz * (1 + zz))
    own = 4 * u + (kept.u + kept.eta / size.r if kept else 0.0)
    rho, rho_up = np.maximum(up, down), up
    if not np.isfinite(rho).all():
        # An infinite variance gives r = 0 exactly; v + ε that may be zero has no bound.
        infinite = np.isinf(size.s) & (size.s > 0)
        rho, rho_up = (np.where(infinite, 0.0, rho) for rho in (rho, rho_up))
    more = (1 + rho_up) * own
    return rho + more, rho_up + more


class Bounds:
    """Bounds of one step for one accuracy class and one set of types."""

    def __init__(
        self,
        size: Magnitudes,
        back: GradientMagnitudes | None,
        batch_statistics: bool,
        accuracy: Accuracy,
        types: Types,
    ) -> None:
        self.size, self._back = size, back
        self.batch_statistics = batch_statistics
        self.types = types
        self.u, self.eta = types.element.u, types.element.eta
        self.G, self.K = accuracy.growth(size.n), accuracy.cross(size.n)
        if self.G * self.u > _LONGEST:
            self.G = np.inf
        self.F = types.second_order

    @property
    def back(self) -> GradientMagnitudes:
        """The backward pass, which gradient quantities need."""
        if self._back is None:
            raise ValueError("grad_output: the step has none, so it has no gradients")
        return self._back

    def statistics(self, kept: Type | None) -> Statistics:
        """δm, δv and ρ, the statistics being rounded to `kept` before use."""
        size, u, eta = self.size, self.u, self.eta
        if not self.batch_statistics:
            dm = dv = np.zeros((1, 1))
        else:
            dm = (self.G * u + 2 * u) * size.mean_x + size.n * eta
            gamma = self.G * u + 6 * u
            if kept:
                dm = dm + (kept.u * size.m + kept.eta)
                gamma += kept.u
            dv = gamma * size.v + (1 + gamma) * dm * dm + eta
            if self.K:
                dv = dv + self.K * u * size.spread
            if kept:
                dv = dv + kept.eta
        return self.given(dm, dv, kept)

    def reported(self, old_mean: Float64, old_var: Float64) -> Statistics:
        """δm, δv and ρ of statistics that were read back after an update with factor 1."""
        size, u, to, kept = self.size, self.u, self.types.parameter, self.types.statistics
        stored = self.types.last(to) + (kept.u if kept else 0.0)
        lost = 2 * to.eta + self.eta
        dm = stored * size.m + u * (size.m + old_mean) + lost
        dv = (stored + 7 * u) * size.v + u * old_var + lost
        return self.given(dm, dv, kept)

    def given(self, dm: Float64, dv: Float64, kept: Type | None = None) -> Statistics:
        """ρ for statistics that err by `dm` and `dv`."""
        size, u = self.size, self.u
        ds = (1 + u) * dv + 2 * u * (size.v + size.eps) + self.eta
        return Statistics(size, u, dm, dv, ds, kept, floor=self.batch_statistics)

    @cached_property
    def forward(self) -> Statistics:
        """Errors of the statistics in the forward pass."""
        return self.statistics(self.types.statistics)

    @cached_property
    def backward(self) -> Statistics:
        """Errors of the statistics in the backward pass."""
        if self.types.saved == self.types.statistics:
            return self.forward
        return self.statistics(self.types.saved)

    def output(self, at: Statistics | None = None) -> Linear:
        """δy; `at`: the errors of other statistics than the forward pass's own."""
        size, eta, to = self.size, self.eta, self.types.output
        on_d, on_x, rest = (at or self.forward).normalised
        w = self.F * size.w
        constant = w * rest + self.F * (self.u * size.b + eta * (size.m + size.w + size.r + 4))
        terms = (
            (w * on_d, size.d),
            (w * on_x + self.F * eta, size.x),
            (_column(self.types.last(to)), size.y),
        )
        return Linear(constant + to.eta, terms)

    def running(
        self, old: Float64, factor: Float64, new: Float64, batch: Float64, error: Float64
    ) -> Float64:
        """δ of new = (1 − factor)·old + factor·batch, with `error` = δbatch; columns."""
        u, to = self.types.update.u, self.types.parameter
        factor, keep = np.abs(factor), np.abs(1 - factor)
        roundings = u * (3 * factor * batch + (3 * factor + 2 * keep) * old)
        bound: Float64 = self.F * (factor * error + roundings)
        return bound + (self.types.last(to) * new + 2 * to.eta)

    def running_mean(self, old: Float64, factor: Float64, new: Float64) -> Float64:
        """Bound for running_mean; columns."""
        return self.running(old, factor, new, self.size.m, self.forward.m)

    def running_var(
        self, old: Float64, factor: Float64, new: Float64, correction: float
    ) -> Float64:
        """Bound for running_var; columns. `correction` is n/(n−1), or 1."""
        batch = correction * self.size.v
        error = correction * self.forward.v + 2 * self.types.update.u * batch
        return self.running(old, factor, new, batch, error)

    @cached_property
    def product(self) -> Float64:
        """δP."""
        size, back, u, at = self.size, self.back, self.u, self.backward
        products = (self.G + 3) * u * (back.Q + at.m * back.D)
        return products + at.m * back.S + size.n * self.eta

    def grad_bias(self) -> Float64:
        """δS; column."""
        return self.stored(self.F * self.G * self.u * self.back.D, self.back.S)

    def grad_weight(self) -> Float64:
        """δ(P·r); column."""
        size, back, at = self.size, self.back, self.backward
        error = at.largest * self.product + back.weight * (at.rho + 2 * self.u)
        return self.stored(self.F * error + self.eta * (back.D + size.n + 1), back.weight)

    def stored(self, error: Float64, value: Float64) -> Float64:
        """Add the rounding of a parameter's gradient to its type."""
        to, through = self.types.parameter, self.types.gradient
        error = error + self.types.last(to) * value + to.eta
        return error + through.u * value + through.eta if through else error

    def grad_input(self) -> Linear:
        """δ(w·r·t); t = g − S/n − x̂·q, or g where the statistics are given."""
        size, back, at = self.size, self.back, self.backward
        u, eta, to = self.u, self.eta, self.types.output
        own = self.F * (at.rho + 3 * u) + self.types.last(to)
        constant = self.F * eta * (size.alpha + size.w + size.r + 1) + to.eta
        if not self.batch_statistics:
            return Linear(constant, ((own, back.input), (_column(eta), back.g)))
        n, largest = max(size.n, 1), at.largest
        on_d, on_x, rest = at.normalised
        dq = largest * self.product / n + back.q * (at.rho + 5 * u)
        q = back.q + dq
        sums = (self.G + 2) * u * back.D / n + 3 * u * back.S / n
        scale = self.F * size.w * largest
        under = eta * (1 + size.r) ** 2
        terms = (
            (scale * (q * on_d + size.r * dq + under) + eta, size.d),
            (scale * (q * on_x), size.x),
            (scale * (3 * u), back.g),
            (own, back.input),
        )
        return Linear(constant + scale * (sums + q * (rest + eta) + 4 * eta), terms)


def _column(value: float) -> Float64:
    return np.array([[value]])
