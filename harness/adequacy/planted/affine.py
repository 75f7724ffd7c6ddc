"""Weight and bias."""

# ruff: noqa: D102, ANN401 - a method is documented where it is first defined

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from harness.adequacy.base import OpenBatchNorm2d, column, scale
from harness.reference.kernel import Saved
from harness.reference.mathematics import Array


class BiasDropped(OpenBatchNorm2d):
    """The bias is not added.

    Could be met in exporters that fold a layer whose bias starts as zero.
    """

    def normalise(self, x: Array, saved: Saved) -> Array:
        return super().normalise(x, replace(saved, bias=None))


class WeightDropped(OpenBatchNorm2d):
    """The weight is not applied.

    Met in Keras with scale=False.
    """

    def normalise(self, x: Array, saved: Saved) -> Array:
        return super().normalise(x, replace(saved, weight=None))


class BiasBeforeWeight(OpenBatchNorm2d):
    """y = (x̂ + bias)·weight.

    Could be met where a bias is folded into the mean.
    """

    def normalise(self, x: Array, saved: Saved) -> Array:
        if saved.bias is None or saved.weight is None:
            return super().normalise(x, saved)
        return super().normalise(x, replace(saved, bias=saved.bias * saved.weight))


class WeightTwice(OpenBatchNorm2d):
    """The weight is applied twice.

    Could be met where a layer that has been folded is scaled again.
    """

    def normalise(self, x: Array, saved: Saved) -> Array:
        weight = None if saved.weight is None else saved.weight * saved.weight
        return super().normalise(x, replace(saved, weight=weight))


class WeightInTrainOnly(OpenBatchNorm2d):
    """Eval leaves the weight out.

    Could be met where the two modes are two kernels.
    """

    def normalise(self, x: Array, saved: Saved) -> Array:
        return super().normalise(x, saved if saved.of_batch else replace(saved, weight=None))


class WeightOnePlus(OpenBatchNorm2d):
    """The weight counts from 1: y = x̂·(1 + weight) + bias.

    Met in layers whose weight starts as zero.
    """

    def normalise(self, x: Array, saved: Saved) -> Array:
        weight = None if saved.weight is None else saved.weight + 1
        return super().normalise(x, replace(saved, weight=weight))


class WeightIsPositive(OpenBatchNorm2d):
    """The weight's sign is lost.

    Met in in-place activated batch normalisation, which needs |weight|.
    """

    def normalise(self, x: Array, saved: Saved) -> Array:
        weight = None if saved.weight is None else np.abs(saved.weight)
        return super().normalise(x, replace(saved, weight=weight))


class WeightOfFirstChannel(OpenBatchNorm2d):
    """Every channel is scaled by the first one's weight.

    Could be met where a parameter is read without an index.
    """

    def normalise(self, x: Array, saved: Saved) -> Array:
        weight = None if saved.weight is None else np.full_like(saved.weight, saved.weight[:1])
        return super().normalise(x, replace(saved, weight=weight))


class ParametersShifted(OpenBatchNorm2d):
    """Channel c takes the bias of channel c − 1.

    Could be met with an index off by one.
    """

    def normalise(self, x: Array, saved: Saved) -> Array:
        bias = None if saved.bias is None else np.roll(saved.bias, 1)
        return super().normalise(x, replace(saved, bias=bias))


class BiasIgnoredWithoutWeight(OpenBatchNorm2d):
    """bias=False is taken for affine=False.

    Could be met where the two arguments are one.
    """

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        if self.bias is None:
            self.weight = None


class BiasArgumentIgnored(OpenBatchNorm2d):
    """bias=False makes a bias all the same.

    Could be met where the argument is taken and forgotten.
    """

    def __init__(self, *args: Any, bias: bool = True, **more: Any) -> None:
        super().__init__(*args, bias=bias or True, **more)


class AffineArgumentIgnored(OpenBatchNorm2d):
    """affine=False makes a weight and a bias all the same.

    Could be met where the two are only frozen.
    """

    def __init__(self, num_features: int, *args: Any, **more: Any) -> None:
        super().__init__(num_features, *args, **more)
        if self.weight is None:
            kind = more.get("dtype", np.float32)
            self.weight, self.bias = np.ones(num_features, kind), np.zeros(num_features, kind)


class BiasOverridesAffine(OpenBatchNorm2d):
    """affine=False with bias=True makes a bias.

    Could be met where each parameter has its own flag, as in Keras.
    """

    def __init__(self, num_features: int, *args: Any, bias: bool = True, **more: Any) -> None:
        super().__init__(num_features, *args, bias=bias, **more)
        if bias and self.bias is None:
            self.bias = np.zeros(num_features, more.get("dtype", np.float32))


class WeightStartsAtRandom(OpenBatchNorm2d):
    """The weight starts between 0 and 1.

    Met in torch before 1.2, which drew the weight uniformly.
    """

    def reset_parameters(self) -> None:
        super().reset_parameters()
        if self.weight is not None:
            self.weight[...] = np.random.default_rng(0).uniform(size=self.weight.shape)


class FoldedInFloat16(OpenBatchNorm2d):
    """Eval folds scale and shift into float16.

    Met in inference engines that fold the layer into half-precision convolutions.
    """

    def normalise(self, x: Array, saved: Saved) -> Array:
        if saved.of_batch:
            return super().normalise(x, saved)
        factor = scale(saved).astype(np.float64)
        shift = -saved.mean * factor
        if saved.bias is not None:
            shift = shift + saved.bias.reshape(-1).astype(np.float64)
        low = [each.astype(np.float16) for each in (factor, shift)]
        return x * column(low[0], x) + column(low[1], x)
