"""Batch normalisation as the paper writes it: pure functions on arrays.

Elements are float32 or float64 arrays of shape (N, C, L), where L = H·W, contiguous for speed.
What belongs to a channel has shape (C,); n = N·L is the number of elements of a channel.

The formulas are those of Ioffe & Szegedy, *Batch Normalization* (2015), algorithm 1 and the
derivatives that follow it, with the running averages as in the documentation of
`torch.nn.BatchNorm2d`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

_FLOAT64 = np.dtype(np.float64)
_BLOCK = 1 << 15
"""Elements worked on at a time: their temporaries stay in the processor's cache."""
_RUN = 1 << 17
"""Elements that are read at a time where all that is kept of them is a sum."""


def blocks(x: Array) -> tuple[slice, ...]:
    """Return slices of the channels of `x` (N, C, L), each of about `_BLOCK` elements."""
    return _blocks(x.shape)


@lru_cache(maxsize=1024)
def _blocks(shape: tuple[int, int, int]) -> tuple[slice, ...]:
    samples, channels, length = shape
    step = max(1, _BLOCK // (samples * length))
    return tuple(slice(first, first + step) for first in range(0, channels, step))


@lru_cache(maxsize=1024)
def _runs(shape: tuple[int, int, int]) -> tuple[tuple[slice, slice], ...]:
    """Return samples and channels of parts of (N, C, L) that are each contiguous in memory."""
    samples, channels, length = shape
    together = max(1, _RUN // (channels * length))
    step = channels if together > 1 else max(1, _RUN // length)
    return tuple(
        (slice(sample, sample + together), slice(first, first + step))
        for sample in range(0, samples, together)
        for first in range(0, channels, step)
    )


def _channel_sum(t: Array, accumulator: np.dtype[Any]) -> Array:
    """Return Σt over the samples and positions of each channel, (N, C, L) -> float64 (C,).

    `accumulator` is the type in which the positions of one sample are added, pairwise.
    """
    return _sample_sum(np.add.reduce(t, axis=2, dtype=accumulator))


def _sample_sum(rows: Array) -> Array:
    """Return Σ over the samples of what each has for its channels, (N, C) -> float64 (C,)."""
    sums: Array = np.add.reduce(rows, axis=0, dtype=_FLOAT64)
    return sums


def batch_statistics(x: Array) -> tuple[Array, Array]:
    """Return the mean of each channel and Σ(x − mean)², in two passes.

    Both are accumulated in float64, so that neither cancels nor overflows before its terms do.
    The mean has the type of `x`, to which it is rounded before the second pass; the sum of
    squares stays float64. Divided by n it is the biased variance, by n − 1 the unbiased one.
    """
    n = x.shape[0] * x.shape[2]
    mean = np.empty(x.shape[1], x.dtype)
    squares = np.empty(x.shape[1], np.float64)
    for c in blocks(x):
        mean[c] = _channel_sum(x[:, c], _FLOAT64) / n
        d = x[:, c] - mean[c, None]
        np.multiply(d, d, out=d)
        squares[c] = _channel_sum(d, _FLOAT64)
    return mean, squares


def inverse_std(var: Array, eps: float) -> Array:
    """Return 1/√(var + ε) for each channel, in float64."""
    reciprocal: Array = 1.0 / np.sqrt(var.astype(_FLOAT64, copy=False) + eps)
    return reciprocal


def running_average(old: Array, batch: Array, momentum: Array) -> Array:
    """Return (1 − momentum)·old + momentum·batch; no value of momentum is special."""
    average: Array = momentum * batch + (1 - momentum) * old
    return average


def normalise(
    x: Array,
    mean: Array,
    invstd: Array,
    *,
    weight: Array | None,
    bias: Array | None,
    out: Array,
) -> None:
    """Write y = (x − mean)·invstd·weight + bias into `out` (N, C, L); None counts as 1 and 0."""
    scale = _scale(invstd, weight)
    for c in blocks(x):
        y = out[:, c]
        np.subtract(x[:, c], mean[c, None], out=y)
        np.multiply(y, scale[c, None], out=y)
        if bias is not None:
            np.add(y, bias[c, None], out=y)


def sums_of_gradients(grad_output: Array, x: Array, mean: Array) -> tuple[Array, Array]:
    """Return Σg and Σ(x − mean)·g for each channel, float64, where g is `grad_output`.

    The first is the gradient of the bias; the second, times 1/√(var + ε), that of the weight.
    """
    totals, products = np.empty(x.shape[:2], x.dtype), np.empty(x.shape[:2], x.dtype)
    for at in _runs(x.shape):
        g = grad_output[at]
        np.add.reduce(g, axis=2, out=totals[at])
        d = x[at] - mean[at[1], None]
        np.multiply(d, g, out=d)
        np.add.reduce(d, axis=2, out=products[at])
    total = np.empty(x.shape[1], np.float64)
    product = np.empty(x.shape[1], np.float64)
    for c in blocks(x):
        total[c] = _sample_sum(totals[:, c])
        product[c] = _sample_sum(products[:, c])
    return total, product


def grad_input_of_batch(
    grad_output: Array,
    x: Array,
    mean: Array,
    invstd: Array,
    *,
    weight: Array | None,
    sums: tuple[Array, Array],
    out: Array,
) -> None:
    """Write the gradient of the input into `out`, where the statistics are the batch's own.

    With r = 1/√(var + ε) and `sums` from `sums_of_gradients`,
    grad_input = weight·r·(g − Σg/n − (x − mean)·r²·Σ(x − mean)g/n).
    """
    n = x.shape[0] * x.shape[2]
    total, product = sums
    scale = _scale(invstd, weight)
    mean_grad = (total / n).astype(x.dtype, copy=False)
    slope = (product * invstd.astype(_FLOAT64, copy=False) ** 2 / n).astype(x.dtype, copy=False)
    for c in blocks(x):
        t = out[:, c]
        np.subtract(x[:, c], mean[c, None], out=t)
        np.multiply(t, slope[c, None], out=t)
        np.subtract(grad_output[:, c], t, out=t)
        np.subtract(t, mean_grad[c, None], out=t)
        np.multiply(t, scale[c, None], out=t)


def grad_input_of_constants(
    grad_output: Array, invstd: Array, *, weight: Array | None, out: Array
) -> None:
    """Write grad_input = weight·g/√(var + ε) into `out`: the statistics are constants."""
    np.multiply(grad_output, _scale(invstd, weight)[:, None], out=out)


def _scale(invstd: Array, weight: Array | None) -> Array:
    return invstd if weight is None else invstd * weight
