"""The moments by another algorithm."""

# ruff: noqa: D102 - a method is documented where it is first defined

from __future__ import annotations

import numpy as np

from harness.adequacy.base import OpenBatchNorm2d
from harness.reference.mathematics import Array


def _rows(x: Array) -> Array:
    # NumPy adds in pairs along what is contiguous only, and one after the other along the rest.
    return np.ascontiguousarray(x.transpose(1, 0, 2).reshape(x.shape[1], -1))


class WelfordTree(OpenBatchNorm2d):
    """Counts, means and sums of squares are merged in pairs (Chan, Golub & LeVeque 1979).

    All in the working type, float32 for float32 inputs. A merge makes inf − inf of two infinities,
    and a square of one: batches that are not finite take two passes.
    """

    def statistics(self, x: Array) -> tuple[Array, Array]:
        if not np.isfinite(x).all():
            return super().statistics(x)
        mean = _rows(x)
        squares = np.zeros_like(mean)
        count = np.ones(mean.shape[1], x.dtype)
        while mean.shape[1] > 1:
            pairs = mean.shape[1] // 2
            one, two = slice(0, 2 * pairs, 2), slice(1, 2 * pairs, 2)
            merged = count[one] + count[two]
            delta = mean[:, two] - mean[:, one]
            share = count[two] / merged
            means = mean[:, one] + delta * share
            sums = squares[:, one] + squares[:, two] + delta * delta * (count[one] * share)
            rest = slice(2 * pairs, None)
            mean = np.concatenate((means, mean[:, rest]), axis=1)
            squares = np.concatenate((sums, squares[:, rest]), axis=1)
            count = np.concatenate((merged, count[rest]))
        return mean[:, 0], squares[:, 0]


class ImagesThenBatch(OpenBatchNorm2d):
    """Two passes over each image, and the images merged by their means: synchronised statistics."""

    def statistics(self, x: Array) -> tuple[Array, Array]:
        own = x.mean(axis=2, dtype=np.float64)
        squares = np.square(x - own[:, :, None]).sum(axis=2)
        mean = own.mean(axis=0)
        between = x.shape[2] * np.square(own - mean).sum(axis=0)
        return mean.astype(x.dtype), squares.sum(axis=0) + between


class OnePassInFloat64(OpenBatchNorm2d):
    """E[x²] − E[x]² in float64, of finite inputs of up to 32 bits; others take two passes."""

    def statistics(self, x: Array) -> tuple[Array, Array]:
        rows = _rows(x)
        if x.dtype == np.float64 or not np.isfinite(x).all():
            return super().statistics(x)
        wide = rows.astype(np.float64)
        n, shift = wide.shape[1], wide[:, :1]
        total = (wide - shift).sum(axis=1)
        squares = np.square(wide - shift).sum(axis=1) - total * total / n
        return (shift[:, 0] + total / n).astype(x.dtype), np.where(squares < 0, 0, squares)


class CorrectedTwoPass(OpenBatchNorm2d):
    """Two passes, with the square of what the rounded mean leaves over taken off."""

    def statistics(self, x: Array) -> tuple[Array, Array]:
        rows = _rows(x)
        n = x.dtype.type(rows.shape[1])
        mean = (rows.sum(axis=1) / n).astype(x.dtype)
        d = rows - mean[:, None]
        left = d.sum(axis=1)
        squares = np.square(d).sum(axis=1) - left * left / n
        return mean, np.where(squares < 0, 0, squares).astype(x.dtype)
