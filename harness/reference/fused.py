"""Torch's own order of operations on the CPU, rounding for rounding.

`harness.reference.mathematics` rounds as little as it can. Torch's kernels for dense float32 and
float64 fold mean, weight and bias into y = αx + β, and compilers fuse some of their products and
sums; what comes out depends on the order and on which ones. Both are as in
`aten/src/ATen/native/cpu/batch_norm_kernel.cpp` and `aten/src/ATen/cpu/vec/functional_base.h`,
compiled for AVX2; the fusions, which the source leaves open, were measured on torch 2.13 (where
AVX-512 runs the same code), one thread.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.reference import layout, mathematics
from harness.reference.arithmetic import Arithmetic
from harness.reference.fma import fma
from harness.reference.mathematics import Array, blocks
from harness.reference.module import BatchNorm2d

_VECTOR = 32
"""Bytes of a vector register."""


class FusedBatchNorm2d(BatchNorm2d):
    """`BatchNorm2d` whose results equal torch's bit for bit where x is dense, float32 or float64.

    Other inputs are computed as `BatchNorm2d` computes them. Slower than it: every fused
    operation is emulated, and channels_last sums are taken one position at a time.
    """

    def _arithmetic(self, *arrays: Array) -> Arithmetic:
        return choose(*arrays)


def choose(x: Array, *others: Array) -> Arithmetic:
    """Return the arithmetic of torch's kernel for an input, or for an input and a gradient.

    It is `harness.reference.mathematics` where they are not dense, or not both of one layout.
    """
    arrays = (x, *others)
    if x.size == 0 or x.dtype not in (np.float32, np.float64):
        return mathematics
    if not all(map(layout.is_dense, arrays)) or len(set(map(layout.is_channels_last, arrays))) > 1:
        return mathematics
    # An image of one pixel has both layouts, and torch takes it for channels_last.
    one_pixel = x.shape[2] * x.shape[3] == 1
    return ChannelsLast() if one_pixel or not x.flags.c_contiguous else Contiguous()


class _Fused:
    """What the kernels of both layouts share; shapes as in `harness.reference.mathematics`."""

    def inverse_std(self, var: Array, eps: float) -> Array:
        """Return 1/√(var + ε), each operation rounded to the type of `var`."""
        reciprocal: Array = 1 / np.sqrt(var + var.dtype.type(eps))
        return reciprocal

    def normalise(
        self,
        x: Array,
        mean: Array,
        invstd: Array,
        *,
        weight: Array | None,
        bias: Array | None,
        out: Array,
    ) -> None:
        """Write y = fma(x, α, β), where α = invstd·weight and β = fma(−mean, α, bias)."""
        alpha = invstd if weight is None else invstd * weight
        beta = fma(-mean, alpha, np.zeros_like(mean) if bias is None else bias)
        for c in blocks(x):
            out[:, c] = fma(x[:, c], alpha[c, None], beta[c, None])

    def grad_input_of_constants(
        self, grad_output: Array, invstd: Array, *, weight: Array | None, out: Array
    ) -> None:
        """Write grad_input = g·invstd·weight, rounded after each product."""
        np.multiply(grad_output, invstd[:, None], out=out)
        if weight is not None:
            np.multiply(out, weight[:, None], out=out)


class Contiguous(_Fused):
    """The kernel whose vectors hold neighbouring positions."""

    def batch_statistics(self, x: Array) -> tuple[Array, Array]:
        """Return mean and Σ(x − mean)²: terms in the type of `x`, added in order in float64.

        Of float64, the compiler takes squares by twos, and fuses the one that is left of a row.
        """
        t = _positions(x)
        mean = (_sum_in_order(t, np.float64) / len(t)).astype(x.dtype)
        if x.dtype == np.float32 or x.shape[2] % 2 == 0:
            d = t - mean
            return mean, _sum_in_order(d * d, np.float64)
        squares = np.zeros_like(mean)
        for d in x - mean[:, None]:
            pairs, last = d[:, :-1].T, d[:, -1]
            squares = _sum_in_order(np.vstack([squares, pairs * pairs]), np.float64)
            squares = fma(last, last, squares)
        return mean, squares

    def sums_of_gradients(self, grad_output: Array, x: Array, mean: Array) -> tuple[Array, Array]:
        """Return Σg and Σ(x − mean)·g: each sample's in the type of `x`, those in float64."""
        sums = (
            _sum_of_rows(np.ones_like(grad_output), grad_output),
            _sum_of_rows(x - mean[:, None], grad_output),
        )
        return _sum_in_order(sums[0], np.float64), _sum_in_order(sums[1], np.float64)

    def grad_input_of_batch(
        self,
        grad_output: Array,
        x: Array,
        mean: Array,
        invstd: Array,
        *,
        weight: Array | None,
        sums: tuple[Array, Array],
        out: Array,
    ) -> None:
        """Write fma(−(x − mean), k, g − Σg/n)·invstd·weight, k = Σ(x − mean)g·invstd·invstd/n."""
        slope, mean_grad = _projection(x, invstd, sums)
        for c in blocks(x):
            d = x[:, c] - mean[c, None]
            out[:, c] = fma(-d, slope[c, None], grad_output[:, c] - mean_grad[c, None])
        self.grad_input_of_constants(out, invstd, weight=weight, out=out)


class ChannelsLast(_Fused):
    """The kernel whose vectors hold neighbouring channels; all in the type of the input."""

    def batch_statistics(self, x: Array) -> tuple[Array, Array]:
        """Return mean and Σ(x − mean)², the sums in order and the squares fused with theirs."""
        t = _positions(x)
        mean = (_sum_in_order(t, x.dtype).astype(np.float64) / len(t)).astype(x.dtype)
        d = t - mean
        return mean, _fused_sum_in_order(d, d)

    def sums_of_gradients(self, grad_output: Array, x: Array, mean: Array) -> tuple[Array, Array]:
        """Return Σg and Σ(x − mean)·g, in order, the products fused with their sum."""
        g = _positions(grad_output)
        return _sum_in_order(g, x.dtype), _fused_sum_in_order(_positions(x) - mean, g)

    def grad_input_of_batch(
        self,
        grad_output: Array,
        x: Array,
        mean: Array,
        invstd: Array,
        *,
        weight: Array | None,
        sums: tuple[Array, Array],
        out: Array,
    ) -> None:
        """Write as `Contiguous` does; the channels that fill no vector are not fused."""
        slope, mean_grad = _projection(x, invstd, sums)
        fused = x.shape[1] - x.shape[1] % _lanes(x)
        for c in blocks(x):
            d = x[:, c] - mean[c, None]
            centred = grad_output[:, c] - mean_grad[c, None]
            k = slope[c, None]
            f = max(0, fused - c.start)
            out[:, c][:, :f] = fma(-d[:, :f], k[:f], centred[:, :f])
            out[:, c][:, f:] = centred[:, f:] - d[:, f:] * k[f:]
        self.grad_input_of_constants(out, invstd, weight=weight, out=out)


def _projection(x: Array, invstd: Array, sums: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return Σ(x − mean)g·invstd·invstd/n and Σg/n in the type of `x`."""
    n = x.shape[0] * x.shape[2]
    total, product = sums
    return product.astype(x.dtype) * invstd * invstd / n, (total / n).astype(x.dtype)


def _lanes(x: Array) -> int:
    """Return the number of elements of `x` in a vector."""
    return _VECTOR // x.itemsize


def _positions(x: Array) -> Array:
    """Return elements (N, C, L) as (N·L, C), in the order of samples and their positions."""
    return x.transpose(0, 2, 1).reshape(-1, x.shape[1])


def _sum_in_order(t: Array, accumulator: np.dtype[Any] | type[np.float64]) -> Array:
    """Return the sum over the first axis, term by term from +0."""
    total: Array = 0 + np.add.accumulate(t, axis=0, dtype=accumulator)[-1]
    return total


def _fused_sum_in_order(a: Array, b: Array) -> Array:
    """Return Σab over the first axis, an fma a term."""
    total: Array = np.zeros_like(a[0])
    for left, right in zip(a, b, strict=True):
        total = fma(left, right, total)
    return total


def _sum_of_rows(a: Array, b: Array) -> Array:
    """Return Σab over the last axis of (N, C, L) as vectors add up.

    Lane by lane, only the last vector, where it is not full, fused; then the lanes, of float32 in
    halves, of float64 in order. Rows shorter than a vector are added in order.
    """
    lanes, length = _lanes(a), a.shape[2]
    products = a * b
    if length < lanes:
        return _last_sum(products)
    rest = length % lanes
    whole = length - rest
    vectors = products[..., :whole].reshape(*a.shape[:2], -1, lanes)
    total = _last_sum(vectors.swapaxes(2, 3))
    if rest:
        total[..., :rest] = fma(a[..., whole:], b[..., whole:], total[..., :rest])
    if a.dtype == np.float64:
        return _last_sum(total)
    while lanes > 1:
        lanes //= 2
        total = total[..., :lanes] + total[..., lanes:]
    found: Array = total[..., 0]
    return found


def _last_sum(t: Array) -> Array:
    """Return the sum over the last axis, term by term."""
    total: Array = np.add.accumulate(t, axis=-1)[..., -1]
    return total
