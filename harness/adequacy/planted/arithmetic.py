"""Statistics in careless arithmetic."""

# ruff: noqa: D102 - a method is documented where it is first defined

from __future__ import annotations

from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np

from harness.adequacy.base import OpenBatchNorm2d, total
from harness.reference.mathematics import Array

_BFLOAT16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)


def _in_turn(t: Array, dtype: np.dtype[Any]) -> Array:
    """Return the sum over samples and positions, added one after the other in `dtype`."""
    rows = t.transpose(1, 0, 2).reshape(t.shape[1], -1).astype(dtype)
    sums: Array = np.add.accumulate(rows, axis=1, dtype=dtype)[:, -1]
    return sums


def _two_passes(x: Array, dtype: np.dtype[Any]) -> tuple[Array, Array]:
    n = x.shape[0] * x.shape[2]
    mean = (_in_turn(x, dtype).astype(np.float64) / n).astype(x.dtype)
    d = x - mean[:, None]
    return mean, _in_turn(d * d, dtype).astype(np.float64)


class OnePassInFloat32(OpenBatchNorm2d):
    """The variance is E[x²] − E[x]², in float32.

    Met in kernels that read their input once; discussed in pytorch/pytorch#162489.
    """

    def statistics(self, x: Array) -> tuple[Array, Array]:
        n = np.float32(x.shape[0] * x.shape[2])
        low = x.astype(np.float32)
        mean = low.sum(axis=(0, 2)) / n
        var = np.maximum((low * low).sum(axis=(0, 2)) / n - mean * mean, 0)
        return mean.astype(x.dtype), var.astype(np.float64) * float(n)


class OnePassUnclamped(OpenBatchNorm2d):
    """The variance is E[x²] − E[x]² in the working type, and may be negative.

    Could be met in any hand-written kernel.
    """

    def statistics(self, x: Array) -> tuple[Array, Array]:
        n = x.shape[0] * x.shape[2]
        mean = (x.sum(axis=(0, 2)) / n).astype(x.dtype)
        return mean, ((x * x).sum(axis=(0, 2)) - n * mean * mean).astype(np.float64)


class AccumulatedInBfloat16(OpenBatchNorm2d):
    """Sums are accumulated in bfloat16.

    Could be met in kernels for mixed precision whose accumulator has the type of the input.
    """

    def statistics(self, x: Array) -> tuple[Array, Array]:
        return _two_passes(x, _BFLOAT16)


class AccumulatedInFloat16(OpenBatchNorm2d):
    """Sums are accumulated in float16, which ends at 65504.

    Could be met in kernels for mixed precision whose accumulator has the type of the input.
    """

    def statistics(self, x: Array) -> tuple[Array, Array]:
        return _two_passes(x, np.dtype(np.float16))


class AccumulatedInFloat32(OpenBatchNorm2d):
    """float64 inputs are summed in float32.

    Could be met on devices whose float64 is slow.
    """

    def statistics(self, x: Array) -> tuple[Array, Array]:
        if x.dtype == np.float64:
            return _two_passes(x, np.dtype(np.float32))
        return super().statistics(x)


class InputInFloat32(OpenBatchNorm2d):
    """float64 inputs are cast to float32 at the door, and the output back.

    Could be met in libraries that have no float64 kernels.
    """

    def elements(self, x: Array) -> Array:
        found = super().elements(x)
        return found.astype(np.float32).astype(found.dtype)


class NewtonStepTooFew(OpenBatchNorm2d):
    """1/√v is the famous bit trick with one Newton step: 0.2 % off at worst.

    Met in kernels that refine an approximate reciprocal root by hand.
    """

    def invstd(self, var: Array) -> Array:
        v = (var.astype(np.float64) + self.eps).astype(np.float32)
        y = (np.uint32(0x5F3759DF) - (v.view(np.uint32) >> np.uint32(1))).view(np.float32)
        refined = (y * (1.5 - 0.5 * v * y * y)).astype(np.float64)
        plain = np.isfinite(v) & (v > 0)
        return np.where(plain, refined, super().invstd(var))


class RsqrtOffByMillionth(OpenBatchNorm2d):
    """1/√v is 1e-6 too large.

    Met in approximate instructions of processors, such as rsqrt with one Newton step.
    """

    def invstd(self, var: Array) -> Array:
        return super().invstd(var) * (1 + 1e-6)


class RsqrtInFloat32(OpenBatchNorm2d):
    """1/√v is a float32, for float64 inputs too.

    Could be met where `rsqrtf` is called in every instance of a template.
    """

    def invstd(self, var: Array) -> Array:
        return super().invstd(var).astype(np.float32).astype(np.float64)


class ReciprocalOfNInFloat16(OpenBatchNorm2d):
    """Sums are multiplied by 1/n, rounded to float16.

    Could be met in kernels for mixed precision that avoid a division.
    """

    def statistics(self, x: Array) -> tuple[Array, Array]:
        n = x.shape[0] * x.shape[2]
        reciprocal = float(np.float16(1 / n))
        return (total(x) * reciprocal).astype(x.dtype), super().statistics(x)[1]


class TruncatedMantissa(OpenBatchNorm2d):
    """Inputs lose all but 10 bits of their significand.

    Met in TF32 arithmetic, where it is switched on for more than matrix products.
    """

    def elements(self, x: Array) -> Array:
        found = super().elements(x)
        bits = found.astype(np.float32).view(np.uint32) & np.uint32(0xFFFFE000)
        return bits.view(np.float32).astype(found.dtype)


class SubnormalsFlushed(OpenBatchNorm2d):
    """Numbers below the smallest normal one count as zero, without being declared.

    Met wherever a processor or compiler flushes to zero.
    """

    def elements(self, x: Array) -> Array:
        found = super().elements(x)
        return np.where(np.abs(found) < np.finfo(found.dtype).tiny, 0, found).astype(found.dtype)


class SquaresOverflow(OpenBatchNorm2d):
    """Deviations of 16-bit inputs are squared in float16.

    Could be met where the accumulator is wide and its terms are not.
    """

    def statistics(self, x: Array) -> tuple[Array, Array]:
        mean, squares = super().statistics(x)
        if not self._sixteen:
            return mean, squares
        d = (x - mean[:, None]).astype(np.float16)
        return mean, total(d * d)

    def elements(self, x: Array) -> Array:
        self._sixteen = x.dtype.itemsize == np.dtype(np.float16).itemsize
        return super().elements(x)


class RunningStatisticsInFloat16(OpenBatchNorm2d):
    """The running statistics pass through float16 in each update.

    Could be met where a whole module is cast for a step of mixed precision and back.
    """

    def average(self, old: Array, batch: Array, factor: float) -> Array:
        return super().average(old, batch, factor).astype(np.float16).astype(np.float64)


class OutputThroughBfloat16(OpenBatchNorm2d):
    """The output passes through bfloat16.

    Met where autocast casts a layer that should stay in float32.
    """

    def output(self, y: Array, x: Array) -> Array:
        return super().output(y.astype(_BFLOAT16).astype(y.dtype), x)


class StatisticsOfSixteenBits(OpenBatchNorm2d):
    """For 16-bit inputs mean and inverse deviation have their type, the parameters being float32.

    Could be met where the type of the input decides that of every temporary.
    """

    def forward(self, x: Array) -> Array:
        self._kind = x.dtype
        return super().forward(x)

    def statistics(self, x: Array) -> tuple[Array, Array]:
        mean, squares = super().statistics(x)
        return mean.astype(self._kind).astype(x.dtype), squares

    def invstd(self, var: Array) -> Array:
        return super().invstd(var).astype(self._kind).astype(np.float64)


class ParametersOfSixteenBits(OpenBatchNorm2d):
    """float32 parameters are rounded to the type of a 16-bit input before they are used.

    Met where a layer casts its parameters to the type of its input.
    """

    def forward(self, x: Array) -> Array:
        weight, bias = self.weight, self.bias
        output = super().forward(x)
        if self.saved_for_backward is None or x.size == 0:
            return output
        weight, bias = (
            None if p is None else p.astype(x.dtype).astype(p.dtype) for p in (weight, bias)
        )
        saved = replace(self.saved_for_backward, weight=weight, bias=bias)
        return self.output(self.normalise(self.elements(x), saved), x)
