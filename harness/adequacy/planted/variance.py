"""The wrong variance: Bessel's correction, n, and what the deviations are taken from."""

# ruff: noqa: D102 - a method is documented where it is first defined

from __future__ import annotations

import numpy as np

from harness.adequacy.base import OpenBatchNorm2d, total
from harness.reference.mathematics import Array


class UnbiasedNormalisation(OpenBatchNorm2d):
    """The batch is normalised with the unbiased variance.

    Met in hand-written layers that call `var()` of torch, which divides by n − 1.
    """

    def biased(self, squares: Array, n: int) -> Array:
        return squares / (n - 1)


class BiasedRunningVariance(OpenBatchNorm2d):
    """The running variance moves towards the biased variance.

    Met in flax, whose running variance is biased.
    """

    def unbiased(self, squares: Array, n: int) -> Array:
        return squares / n


class CorrectionsSwapped(OpenBatchNorm2d):
    """The unbiased variance normalises, and the biased one is kept.

    Could be met where the two results of one kernel are taken in the wrong order.
    """

    def biased(self, squares: Array, n: int) -> Array:
        return squares / (n - 1)

    def unbiased(self, squares: Array, n: int) -> Array:
        return squares / n


class CorrectionOfSamples(OpenBatchNorm2d):
    """Bessel's correction is N/(N − 1), of samples and not of values.

    Could be met where batch normalisation of vectors is extended to images.
    """

    def unbiased(self, squares: Array, n: int) -> Array:
        samples = self._samples
        found: Array = squares / n * (samples / max(samples - 1, 1))
        return found

    def number(self, x: Array) -> int:
        self._samples = x.shape[0]
        return super().number(x)


class CorrectionOfPixels(OpenBatchNorm2d):
    """Bessel's correction is HW/(HW − 1), of the pixels of one image.

    Could be met in kernels that process an image at a time.
    """

    def unbiased(self, squares: Array, n: int) -> Array:
        found: Array = squares / n * (self._pixels / max(self._pixels - 1, 1))
        return found

    def number(self, x: Array) -> int:
        self._pixels = x.shape[2] * x.shape[3]
        return super().number(x)


class CorrectionTwice(OpenBatchNorm2d):
    """The running variance is corrected twice, by n²/(n − 1)².

    Could be met where a wrapper corrects what the kernel has corrected.
    """

    def unbiased(self, squares: Array, n: int) -> Array:
        return super().unbiased(squares, n) * (n / (n - 1))


class CorrectionByTwo(OpenBatchNorm2d):
    """The running variance is divided by n − 2.

    Could be met as an index off by one beside a correct ddof.
    """

    def unbiased(self, squares: Array, n: int) -> Array:
        return squares / max(n - 2, 1)


class VarianceAroundRunningMean(OpenBatchNorm2d):
    """Deviations are taken from the running mean, not from the batch's.

    Could be met in streaming kernels that avoid the second pass.
    """

    def statistics(self, x: Array) -> tuple[Array, Array]:
        mean, squares = super().statistics(x)
        if self.running_mean is None:
            return mean, squares
        d = x - self.running_mean.astype(x.dtype)[:, None]
        return mean, total(d * d)


class VarianceWithoutMean(OpenBatchNorm2d):
    """The variance is the mean square: the mean is not subtracted.

    Met in RMS normalisation, for which a kernel may be reused.
    """

    def statistics(self, x: Array) -> tuple[Array, Array]:
        return super().statistics(x)[0], total(x * x)


class RunningStandardDeviation(OpenBatchNorm2d):
    """The running variance holds standard deviations.

    Met in batch renormalisation, which keeps the deviation.
    """

    def unbiased(self, squares: Array, n: int) -> Array:
        return np.sqrt(super().unbiased(squares, n))


class MeanOfVariances(OpenBatchNorm2d):
    """The variance is the average of the samples' own: what differs between samples is lost.

    Could be met in kernels and in data parallelism that merge variances without the means.
    """

    def statistics(self, x: Array) -> tuple[Array, Array]:
        d = x - x.mean(axis=2, keepdims=True, dtype=np.float64).astype(x.dtype)
        return super().statistics(x)[0], total(d * d)


class FirstSampleOnly(OpenBatchNorm2d):
    """The statistics are those of the first sample.

    Could be met where a stride over samples is 0.
    """

    def statistics(self, x: Array) -> tuple[Array, Array]:
        mean, squares = super().statistics(x[:1])
        return mean, squares * x.shape[0]


class StatisticsOfSamples(OpenBatchNorm2d):
    """Each sample is centred by its own mean, as instance normalisation does it.

    Could be met in a kernel that serves several normalisations.
    """

    def elements(self, x: Array) -> Array:
        found = super().elements(x)
        if not self.training or found.shape[2] == 1:
            return found
        own = found.mean(axis=2, keepdims=True)
        centred: Array = found - own + found.mean(axis=(0, 2), keepdims=True)
        return centred


class AbsoluteDeviation(OpenBatchNorm2d):
    """The spread is the mean absolute deviation, squared.

    Met in proposals for cheap hardware (L1 batch normalisation).
    """

    def statistics(self, x: Array) -> tuple[Array, Array]:
        mean = super().statistics(x)[0]
        n = x.shape[0] * x.shape[2]
        return mean, total(np.abs(x - mean[:, None])) ** 2 / n


class MeanInBfloat16(OpenBatchNorm2d):
    """The mean is rounded to bfloat16 before it is used.

    Could be met where statistics cross between kernels in the type of a mixed-precision graph.
    """

    def statistics(self, x: Array) -> tuple[Array, Array]:
        mean, squares = super().statistics(x)
        bits = mean.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
        return bits.view(np.float32).astype(x.dtype), squares
