"""The gradient of the input: missing terms, wrong factors, another pass's values."""

# ruff: noqa: D102 - a method is documented where it is first defined

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.adequacy.base import OpenBatchNorm2d, scale, total
from harness.reference.kernel import Gradients, Saved
from harness.reference.mathematics import Array


class NoMeanTerm(OpenBatchNorm2d):
    """grad_input lacks the term through the mean.

    Could be met where the mean is detached.
    """

    def mean_term(self, g: Array) -> Array:
        return np.zeros(g.shape[1], g.dtype)


class NoVarianceTerm(OpenBatchNorm2d):
    """grad_input lacks the term through the variance.

    Could be met where the variance is detached.
    """

    def variance_term(self, g: Array, centred: Array, saved: Saved) -> Array:  # noqa: ARG002
        return np.zeros_like(g)


class StatisticsAreConstants(OpenBatchNorm2d):
    """grad_input of a train step is that of an eval step.

    Could be met where statistics are computed under no_grad.
    """

    def grad_input(self, g: Array, centred: Array, saved: Saved) -> Array:
        return super().grad_input(g, centred, replace(saved, of_batch=False))


class TermsInEval(OpenBatchNorm2d):
    """grad_input of an eval step has the terms of a train step.

    Met in frameworks whose backward kernel knows no eval mode.
    """

    def grad_input(self, g: Array, centred: Array, saved: Saved) -> Array:
        return super().grad_input(g, centred, replace(saved, of_batch=True))


class VarianceTermUnbiased(OpenBatchNorm2d):
    """The variance term is divided by n − 1.

    Could be met where the unbiased variance is differentiated.
    """

    def variance_term(self, g: Array, centred: Array, saved: Saved) -> Array:
        n = g.shape[0] * g.shape[2]
        found: Array = super().variance_term(g, centred, saved) * (n / max(n - 1, 1))
        return found


class VarianceTermOfSign(OpenBatchNorm2d):
    """The variance term has the wrong sign.

    Could be met where −½·(var + ε)^(−3/2) loses its minus.
    """

    def variance_term(self, g: Array, centred: Array, saved: Saved) -> Array:
        return -super().variance_term(g, centred, saved)


class VarianceTermWithoutInverse(OpenBatchNorm2d):
    """The variance term has invstd where invstd² belongs.

    Could be met where x̂ is centred but not scaled.
    """

    def variance_term(self, g: Array, centred: Array, saved: Saved) -> Array:
        return super().variance_term(g, centred, saved) / saved.invstd[:, None]


class MeanTermOfImage(OpenBatchNorm2d):
    """The mean term averages over the pixels of each sample only.

    Could be met in kernels that reduce per image.
    """

    def grad_input(self, g: Array, centred: Array, saved: Saved) -> Array:
        if not saved.of_batch:
            return super().grad_input(g, centred, saved)
        own = g.mean(axis=2, keepdims=True)
        terms = self.variance_term(g, centred, saved) + own
        found: Array = (g - terms) * scale(saved)[:, None]
        return found


class WeightMissingInGradInput(OpenBatchNorm2d):
    """grad_input is not scaled by the weight.

    Could be met where normalisation and scaling are fused forward only.
    """

    def grad_input(self, g: Array, centred: Array, saved: Saved) -> Array:
        return super().grad_input(g, centred, replace(saved, weight=None))


class InverseSquaredInGradInput(OpenBatchNorm2d):
    """grad_input is divided by the variance, not by the deviation.

    Could be met where a backward kernel is given the wrong one of two saved values.
    """

    def grad_input(self, g: Array, centred: Array, saved: Saved) -> Array:
        return super().grad_input(g, centred, saved) * saved.invstd[:, None]


class GradInputDroppedInEval(OpenBatchNorm2d):
    """grad_input of an eval step is zero.

    Could be met where eval is taken for inference only.
    """

    def grad_input(self, g: Array, centred: Array, saved: Saved) -> Array:
        found = super().grad_input(g, centred, saved)
        return found if saved.of_batch else np.zeros_like(found)


class GradientsOfFirstForward(OpenBatchNorm2d):
    """The backward pass uses the statistics of the first forward pass.

    Could be met where saved values are kept with the module and not with the call.
    """

    def save(self, x: Array, mean: Array | None, invstd: Array, *, of_batch: bool) -> Saved:
        saved = super().save(x, mean, invstd, of_batch=of_batch)
        first = self.__dict__.setdefault("_first", saved)
        if first.mean.shape == saved.mean.shape and first.mean.dtype == saved.mean.dtype:
            self.saved_for_backward = replace(saved, mean=first.mean, invstd=first.invstd)
        return saved


class GradientsOfRunningStatistics(OpenBatchNorm2d):
    """The backward pass of a train step uses the running statistics.

    Met where a backward kernel is called without the saved ones.
    """

    def gradients(self, grad_output: Array, saved: Saved) -> Gradients:
        mean, var = self.buffers()
        if saved.of_batch and mean is not None and var is not None:
            kind = saved.mean.dtype
            invstd = self.invstd(var).astype(kind)
            saved = replace(saved, mean=mean.astype(kind), invstd=invstd)
        return super().gradients(grad_output, saved)


class GradInputInFloat16(OpenBatchNorm2d):
    """grad_input passes through float16, where small gradients vanish.

    Met in mixed precision without a scaled loss.
    """

    def grad_input(self, g: Array, centred: Array, saved: Saved) -> Array:
        return super().grad_input(g, centred, saved).astype(np.float16).astype(g.dtype)


class VarianceTermUncentred(OpenBatchNorm2d):
    """The variance term takes Σx·g for Σ(x − mean)·g.

    Could be met where a fused backward pass forgets to centre.
    """

    def variance_term(self, g: Array, centred: Array, saved: Saved) -> Array:
        n = g.shape[0] * g.shape[2]
        product = total((centred + saved.mean[:, None]) * g)
        slope = product * saved.invstd.astype(np.float64) ** 2 / n
        term: Array = centred * slope.astype(g.dtype)[:, None]
        return term
