"""nan, infinity, overflow and inputs without elements."""

# ruff: noqa: D102 - a method is documented where it is first defined

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.adequacy.base import OpenBatchNorm2d
from harness.reference.kernel import Gradients, Saved
from harness.reference.mathematics import Array


class NanIsZero(OpenBatchNorm2d):
    """nan in the input counts as 0, and infinity as the largest number.

    Met in scripts that call nan_to_num against bad batches.
    """

    def elements(self, x: Array) -> Array:
        return np.nan_to_num(super().elements(x))


class NanLeftOut(OpenBatchNorm2d):
    """nan is left out of the statistics, as in nanmean.

    Could be met in ports for data with gaps.
    """

    def statistics(self, x: Array) -> tuple[Array, Array]:
        gaps = np.isnan(x)
        count = np.maximum((~gaps).sum(axis=(0, 2), keepdims=True), 1)
        mean = np.where(gaps, 0, x).sum(axis=(0, 2), keepdims=True) / count
        return super().statistics(np.where(gaps, mean, x).astype(x.dtype))


class NanLeaks(OpenBatchNorm2d):
    """nan in one channel reaches all.

    Could be met where channels are added in one matrix product with zeros.
    """

    def statistics(self, x: Array) -> tuple[Array, Array]:
        mean, squares = super().statistics(x)
        return (mean + np.nan, squares + np.nan) if np.isnan(x).any() else (mean, squares)


class NanLeaksInEval(OpenBatchNorm2d):
    """nan in one element reaches its whole channel in eval.

    Could be met where eval multiplies by a matrix.
    """

    def normalise(self, x: Array, saved: Saved) -> Array:
        y = super().normalise(x, saved)
        return y if saved.of_batch else y + 0 * y.sum(axis=(0, 2), keepdims=True)


class NanBatchSkipped(OpenBatchNorm2d):
    """A batch with nan or infinity does not move the running statistics.

    Met in training loops that skip bad batches.
    """

    def update(self, mean: Array, var: Array, batch: Array, unbiased: Array, factor: float) -> None:
        if np.isfinite(batch).all() and np.isfinite(unbiased).all():
            super().update(mean, var, batch, unbiased, factor)


class InfinityClamped(OpenBatchNorm2d):
    """Infinity counts as the largest number.

    Could be met in kernels that saturate.
    """

    def elements(self, x: Array) -> Array:
        found = super().elements(x)
        largest = np.finfo(found.dtype).max
        return np.clip(found, -largest, largest)


class OverflowIsNan(OpenBatchNorm2d):
    """Where the variance overflows, the statistics become nan.

    Could be met with E[x²] − E[x]², where infinities cancel (pytorch/pytorch#162489).
    """

    def statistics(self, x: Array) -> tuple[Array, Array]:
        mean, squares = super().statistics(x)
        n = x.shape[0] * x.shape[2]
        over = squares / n > np.finfo(x.dtype).max
        return mean, np.where(over, np.nan, squares)


class OverflowClamped(OpenBatchNorm2d):
    """A variance beyond the largest float32 is that number, not infinity.

    Could be met in kernels that saturate.
    """

    def average(self, old: Array, batch: Array, factor: float) -> Array:
        found = super().average(old, batch, factor)
        if old.dtype != np.float32:
            return found
        largest = float(np.finfo(np.float32).max)
        return np.clip(found, -largest, largest)


class ConstantIsZero(OpenBatchNorm2d):
    """A channel without variance comes out as zero, without the bias.

    Could be met where a division by zero is guarded.
    """

    def normalise(self, x: Array, saved: Saved) -> Array:
        y = super().normalise(x, saved)
        constant = (x == x[:1, :, :1]).all(axis=(0, 2), keepdims=True)
        return np.where(constant & saved.of_batch, 0, y).astype(y.dtype)


class NegativeVarianceMirrored(OpenBatchNorm2d):
    """A running variance below zero counts as its absolute value.

    Could be met where a root is to be safe.
    """

    def invstd(self, var: Array) -> Array:
        return super().invstd(np.abs(var))


class EmptyGivesNan(OpenBatchNorm2d):
    """A batch without elements makes the running statistics nan.

    Could be met where a mean over nothing is taken; see pytorch/pytorch#12013.
    """

    def empty(self, x: Array) -> Array:
        output = super().empty(x)
        mean, var = self.buffers()
        if self.training and mean is not None and var is not None:
            mean[...], var[...] = np.nan, np.nan
        return output


class EmptyRefused(OpenBatchNorm2d):
    """A batch without elements is a ValueError.

    Could be met where one value too few is one value too few.
    """

    def empty(self, x: Array) -> Array:
        raise ValueError(f"Expected more than 1 value per channel, got input size {x.shape}")


class EmptyMovesStatistics(OpenBatchNorm2d):
    """A batch without elements counts as one of zeros.

    Could be met where sums over nothing are 0 and n is clamped to 1.
    """

    def empty(self, x: Array) -> Array:
        output = super().empty(x)
        mean, var = self.buffers()
        if self.training and mean is not None and var is not None:
            nothing = np.zeros(mean.shape)
            self.update(mean, var, nothing, nothing, self.factor())
        return output


class EmptyGradientsNan(OpenBatchNorm2d):
    """The gradients of the parameters are nan for a batch without elements.

    Could be met where a mean over nothing is taken.
    """

    def backward(self, grad_output: Array) -> Gradients:
        empty = grad_output.size == 0
        grad_input, weight, bias = super().backward(grad_output)
        if empty:
            weight, bias = (None if p is None else p * np.nan for p in (weight, bias))
        return grad_input, weight, bias


class NanInGradientIsZero(OpenBatchNorm2d):
    """nan in grad_output counts as 0.

    Met in scripts that mend gradients in hooks.
    """

    def gradients(self, grad_output: Array, saved: Saved) -> Gradients:
        return super().gradients(np.nan_to_num(grad_output), saved)


class GradientLeaksInEval(OpenBatchNorm2d):
    """nan in the input reaches grad_input of an eval step.

    Could be met where both modes compute the terms of a train step and one multiplies by 0.
    """

    def grad_input(self, g: Array, centred: Array, saved: Saved) -> Array:
        return super().grad_input(g, centred, saved) + (0 if saved.of_batch else 0 * centred)


class GradientLeaksAcrossChannels(OpenBatchNorm2d):
    """nan in one channel of grad_output reaches the bias gradients of all.

    Could be met where channels are added in one matrix product with zeros.
    """

    def grad_bias(self, g: Array, saved: Saved) -> Array:
        found = super().grad_bias(g, saved)
        return found + np.nan if np.isnan(found).any() else found


class ZeroWeightSkipsChannel(OpenBatchNorm2d):
    """A channel of weight 0 is its bias, although 0·nan is nan.

    Could be met as a short cut for pruned channels.
    """

    def normalise(self, x: Array, saved: Saved) -> Array:
        y = super().normalise(x, saved)
        if saved.weight is None:
            return y
        bias = np.zeros_like(saved.mean) if saved.bias is None else saved.bias.astype(y.dtype)
        return np.where((saved.weight == 0)[:, None], bias[:, None], y)


class OutputClamped(OpenBatchNorm2d):
    """Outputs are clamped to ±6.

    Met in quantised networks and with a fused ReLU6 (of which this is the outer half).
    """

    def normalise(self, x: Array, saved: Saved) -> Array:
        return np.clip(super().normalise(x, saved), -6, 6)


class NegativesCut(OpenBatchNorm2d):
    """Outputs below zero are zero: an activation has been fused.

    Met in fused kernels whose activation flag is left on.
    """

    def normalise(self, x: Array, saved: Saved) -> Array:
        y = super().normalise(x, saved)
        return np.where(y < 0, 0, y).astype(y.dtype)


class LargeInputsCut(OpenBatchNorm2d):
    """Inputs beyond 65504 count as infinite.

    Met where activations are stored as float16.
    """

    def save(self, x: Array, mean: Array | None, invstd: Array, *, of_batch: bool) -> Saved:
        saved = super().save(x, mean, invstd, of_batch=of_batch)
        over = np.abs(saved.mean) > float(np.finfo(np.float16).max)
        self.saved_for_backward = replace(
            saved, mean=np.where(over, np.inf, saved.mean).astype(x.dtype)
        )
        return self.saved_for_backward
