"""The gradients of weight and bias."""

# ruff: noqa: D102 - a method is documented where it is first defined

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.adequacy.base import OpenBatchNorm2d
from harness.reference.kernel import Gradients, Saved
from harness.reference.mathematics import Array


class GradWeightOfInput(OpenBatchNorm2d):
    """grad_weight is Σx·g: the input in place of the normalised input.

    Could be met in hand-written backward passes.
    """

    def grad_weight(self, g: Array, centred: Array, saved: Saved) -> Array:
        return super().grad_weight(g, centred + saved.mean[:, None], saved)


class GradWeightUnscaled(OpenBatchNorm2d):
    """grad_weight is Σ(x − mean)·g, without invstd.

    Could be met where kernels return this sum, which grad_input needs, as the gradient.
    """

    def grad_weight(self, g: Array, centred: Array, saved: Saved) -> Array:
        return super().grad_weight(g, centred, replace(saved, invstd=np.ones_like(saved.invstd)))


class GradWeightIsMean(OpenBatchNorm2d):
    """grad_weight is a mean over the batch, not a sum.

    Could be met where a loss is averaged a second time.
    """

    def grad_weight(self, g: Array, centred: Array, saved: Saved) -> Array:
        whole = super().grad_weight(g, centred, saved)
        found: Array = (whole.astype(np.float64) / (g.shape[0] * g.shape[2])).astype(whole.dtype)
        return found


class GradBiasIsMean(OpenBatchNorm2d):
    """grad_bias is a mean over the batch, not a sum.

    Could be met where a loss is averaged a second time.
    """

    def grad_bias(self, g: Array, saved: Saved) -> Array:
        whole = super().grad_bias(g, saved)
        found: Array = (whole.astype(np.float64) / (g.shape[0] * g.shape[2])).astype(whole.dtype)
        return found


class GradBiasOfFirstSample(OpenBatchNorm2d):
    """grad_bias sums over the first sample only.

    Could be met where a stride over samples is 0.
    """

    def grad_bias(self, g: Array, saved: Saved) -> Array:
        return super().grad_bias(g[:1], saved)


class GradBiasScaled(OpenBatchNorm2d):
    """grad_bias is multiplied by the weight.

    Met with the order (x̂ + b)·w, of which it is the gradient.
    """

    def grad_bias(self, g: Array, saved: Saved) -> Array:
        found = super().grad_bias(g, saved)
        return found if saved.weight is None else found * saved.weight


class GradWeightAccumulates(OpenBatchNorm2d):
    """grad_weight adds up over the steps.

    Met wherever gradients are not set to zero between steps.
    """

    def grad_weight(self, g: Array, centred: Array, saved: Saved) -> Array:
        found = super().grad_weight(g, centred, saved)
        before = self.__dict__.get("_sum")
        self._sum = found if before is None else (before + found).astype(found.dtype)
        return self._sum


class SumsOfGradientsInFloat16(OpenBatchNorm2d):
    """Sums of gradients are accumulated in float16.

    Could be met in kernels for mixed precision whose accumulator has the type of the gradient.
    """

    def grad_bias(self, g: Array, saved: Saved) -> Array:
        low = np.add.reduce(g.astype(np.float16), axis=(0, 2), dtype=np.float16)
        found: Array = low.astype(super().grad_bias(g, saved).dtype)
        return found


class GradientsInTypeOfInput(OpenBatchNorm2d):
    """The gradients of the parameters have the type of a 16-bit input, not their own.

    Could be met where the type of the input decides that of every result.
    """

    def gradients(self, grad_output: Array, saved: Saved) -> Gradients:
        grad_input, *parameters = super().gradients(grad_output, saved)
        weight, bias = (None if p is None else p.astype(saved.input.dtype) for p in parameters)
        return grad_input, weight, bias


class ParameterGradientsOnlyInTrain(OpenBatchNorm2d):
    """An eval step gives no gradients of weight and bias.

    Could be met where eval freezes the parameters.
    """

    def gradients(self, grad_output: Array, saved: Saved) -> Gradients:
        grad_input, weight, bias = super().gradients(grad_output, saved)
        return (grad_input, weight, bias) if self.training else (grad_input, None, None)
