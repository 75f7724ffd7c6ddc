"""The same statistics, applied by other operations."""

# ruff: noqa: D102 - a method is documented where it is first defined

from __future__ import annotations

import numpy as np

from harness.adequacy.base import FLOAT64, OpenBatchNorm2d, column, scale, total
from harness.reference.kernel import Saved
from harness.reference.mathematics import Array


class FoldedScaleAndShift(OpenBatchNorm2d):
    """y = x·α + β with α = invstd·weight and β = bias − mean·α, in two roundings."""

    def normalise(self, x: Array, saved: Saved) -> Array:
        alpha = scale(saved)
        beta = -saved.mean * alpha
        if saved.bias is not None:
            beta = beta + saved.bias.reshape(-1).astype(x.dtype)
        y: Array = x * alpha[:, None] + beta[:, None]
        return y


class FoldedByFusedMultiplyAdd(OpenBatchNorm2d):
    """y = fma(x, α, β): as with scale and shift folded, in one rounding."""

    def normalise(self, x: Array, saved: Saved) -> Array:
        if x.dtype == FLOAT64:
            return super().normalise(x, saved)
        alpha = scale(saved)
        # A product of two float32 numbers is exact in float64.
        beta = -saved.mean.astype(FLOAT64) * alpha
        if saved.bias is not None:
            beta = beta + saved.bias.reshape(-1).astype(FLOAT64)
        beta = beta.astype(x.dtype).astype(FLOAT64)
        return (x.astype(FLOAT64) * alpha[:, None] + beta[:, None]).astype(x.dtype)


class DividedByDeviation(OpenBatchNorm2d):
    """y = (x − mean)/√(var + ε)·weight + bias: a division, and the weight last."""

    def normalise(self, x: Array, saved: Saved) -> Array:
        y: Array = (x - saved.mean[:, None]) / (1 / saved.invstd)[:, None]
        if saved.weight is not None:
            y = y * column(saved.weight, y)
        return y if saved.bias is None else y + column(saved.bias, y)


class RootOfReciprocal(OpenBatchNorm2d):
    """√(1/(var + ε)): the reciprocal comes before the root."""

    def invstd(self, var: Array) -> Array:
        found: Array = np.sqrt(1.0 / (var.astype(FLOAT64) + self.eps))
        return found


class RunningDifference(OpenBatchNorm2d):
    """new = old + momentum·(batch − old), in float64."""

    def average(self, old: Array, batch: Array, factor: float) -> Array:
        past = old.astype(FLOAT64)
        if factor in (0, 1) or not np.isfinite(batch).all() or not np.isfinite(past).all():
            return super().average(old, batch, factor)
        return past + factor * (batch.astype(FLOAT64) - past)


class NormalisedThenGradient(OpenBatchNorm2d):
    """grad_input = weight·invstd/n·(n·g − Σg − x̂·Σx̂g): the textbook's association."""

    def grad_input(self, g: Array, centred: Array, saved: Saved) -> Array:
        if not saved.of_batch:
            return super().grad_input(g, centred, saved)
        n = g.dtype.type(g.shape[0] * g.shape[2])
        normalised = centred * saved.invstd[:, None]
        product = total(normalised * g).astype(g.dtype)
        whole = n * g - total(g).astype(g.dtype)[:, None] - normalised * product[:, None]
        found: Array = whole * (scale(saved) / n)[:, None]
        return found


class CentredGradient(OpenBatchNorm2d):
    """grad_input from g − Σg/n, taken in float64 before the variance term."""

    def grad_input(self, g: Array, centred: Array, saved: Saved) -> Array:
        if not saved.of_batch:
            return super().grad_input(g, centred, saved)
        wide = g.astype(FLOAT64)
        about = wide - (total(g) / (g.shape[0] * g.shape[2]))[:, None]
        found: Array = (about - self.variance_term(g, centred, saved)) * scale(saved)[:, None]
        return found.astype(g.dtype)
