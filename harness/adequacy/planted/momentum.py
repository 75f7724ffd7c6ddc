"""The weight of a batch in the running statistics."""

# ruff: noqa: D102, ANN401 - a method is documented where it is first defined

from __future__ import annotations

from typing import Any

import numpy as np

from harness.adequacy.base import OpenBatchNorm2d
from harness.reference.mathematics import Array


class KerasMomentum(OpenBatchNorm2d):
    """momentum weighs the old value, not the batch.

    Met in Keras, TensorFlow and flax, whose momentum of 0.99 is 0.01 here.
    """

    def average(self, old: Array, batch: Array, factor: float) -> Array:
        return super().average(old, batch, 1 - factor)


class FalsyMomentum(OpenBatchNorm2d):
    """A momentum of 0 counts as None: `if self.momentum:`.

    Could be met in any Python port.
    """

    def factor(self) -> float:
        if self.momentum:
            return self.momentum
        given, self.momentum = self.momentum, None
        try:
            return super().factor()
        finally:
            self.momentum = given


class ClampedMomentum(OpenBatchNorm2d):
    """momentum is clamped to [0, 1].

    Could be met in layers that validate what torch takes as it is.
    """

    def factor(self) -> float:
        return min(max(super().factor(), 0.0), 1.0)


class RefusedMomentum(OpenBatchNorm2d):
    """A momentum outside [0, 1] is a ValueError.

    Could be met in layers that validate what torch takes as it is.
    """

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        if self.momentum is not None and not 0 <= self.momentum <= 1:
            raise ValueError(f"momentum must be between 0 and 1, got {self.momentum}")


class MomentumInFloat32(OpenBatchNorm2d):
    """momentum is rounded to float32, in float64 too.

    Met wherever an attribute of a graph is a float32, as in ONNX.
    """

    def average(self, old: Array, batch: Array, factor: float) -> Array:
        return super().average(old, batch, float(np.float32(factor)))


class MomentumOffByMillionth(OpenBatchNorm2d):
    """momentum is 1e-6 too large.

    Could be met where it is kept as a fraction of small integers.
    """

    def average(self, old: Array, batch: Array, factor: float) -> Array:
        return super().average(old, batch, factor + 1e-6)


class NoneAsTenth(OpenBatchNorm2d):
    """A momentum of None counts as 0.1.

    Could be met where None means "the default".
    """

    def factor(self) -> float:
        return 0.1 if self.momentum is None else self.momentum


class NoneAsZero(OpenBatchNorm2d):
    """With momentum None the statistics never move.

    Could be met in exporters that store 0 for what is missing.
    """

    def factor(self) -> float:
        return 0.0 if self.momentum is None else self.momentum


class CumulativeTooLate(OpenBatchNorm2d):
    """The cumulative average weighs a batch by 1/(count + 1): the initial values count as one.

    Could be met where the counter moves before the factor is computed for the next batch.
    """

    def factor(self) -> float:
        found = super().factor()
        return found if self.momentum is not None or not found else 1 / (1 / found + 1)


class CumulativeTooEarly(OpenBatchNorm2d):
    """The cumulative average weighs a batch by the count before it: the second as the first.

    Could be met where the factor is computed before the counter moves.
    """

    def factor(self) -> float:
        found = super().factor()
        return found if self.momentum is not None or not found else 1 / max(1 / found - 1, 1)


class ZeroIsNoUpdate(OpenBatchNorm2d):
    """With momentum 0 nothing is computed, so that nan in a batch does not reach the statistics.

    Could be met as a short cut.
    """

    def average(self, old: Array, batch: Array, factor: float) -> Array:
        return old if factor == 0 else super().average(old, batch, factor)


class OneIsReplacement(OpenBatchNorm2d):
    """With momentum 1 the old values are overwritten, although 0·nan is nan.

    Could be met as a short cut, or where the first batch initialises the statistics.
    """

    def average(self, old: Array, batch: Array, factor: float) -> Array:
        return batch if factor == 1 else super().average(old, batch, factor)


class MomentumFixedAtConstruction(OpenBatchNorm2d):
    """A momentum that is set later is ignored.

    Could be met in modules that compile their kernel with the constructor's value.
    """

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._momentum = self.momentum

    def factor(self) -> float:
        given, self.momentum = self.momentum, self._momentum
        try:
            return super().factor()
        finally:
            self.momentum = given


class MomentumForMeanOnly(OpenBatchNorm2d):
    """The running variance moves by 0.1 whatever momentum is.

    Could be met where one of two kernel calls does not pass it on.
    """

    def update(self, mean: Array, var: Array, batch: Array, unbiased: Array, factor: float) -> None:
        mean[...] = self.average(mean, batch, factor)
        var[...] = self.average(var, unbiased, 0.1)


class BatchIsAdded(OpenBatchNorm2d):
    """new = old + momentum·batch: the old value keeps its whole weight.

    Could be met where one factor of the average is forgotten.
    """

    def average(self, old: Array, batch: Array, factor: float) -> Array:
        return old + factor * batch.astype(np.float64)


class DebiasedAverage(OpenBatchNorm2d):
    """The first batches weigh more, so that the initial values are forgotten at once.

    Met in TensorFlow's zero-debiased moving averages.
    """

    def average(self, old: Array, batch: Array, factor: float) -> Array:
        count = self.num_batches_tracked
        decayed = 1 - (1 - factor) ** max(1 if count is None else int(count), 1)
        return super().average(old, batch, factor / decayed if decayed else factor)
