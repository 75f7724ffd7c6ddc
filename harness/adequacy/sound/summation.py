"""Sums in another order."""

# ruff: noqa: D102 - a method is documented where it is first defined

from __future__ import annotations

import numpy as np

from harness.adequacy.base import OpenBatchNorm2d
from harness.reference.kernel import Saved
from harness.reference.mathematics import Array


class _Ordered(OpenBatchNorm2d):
    """All sums over a channel, forward and backward, by one function of rows (C, n)."""

    def sums(self, rows: Array) -> Array:
        """Return the sum of each row, in the type of the rows."""
        raise NotImplementedError

    def total(self, t: Array) -> Array:
        """Return the sum of each channel of (N, C, L)."""
        return self.sums(t.transpose(1, 0, 2).reshape(t.shape[1], -1))

    def statistics(self, x: Array) -> tuple[Array, Array]:
        n = x.dtype.type(x.shape[0] * x.shape[2])
        mean = (self.total(x) / n).astype(x.dtype)
        d = x - mean[:, None]
        return mean, self.total(d * d)

    def mean_term(self, g: Array) -> Array:
        mean: Array = self.total(g) / g.dtype.type(g.shape[0] * g.shape[2])
        return mean

    def variance_term(self, g: Array, centred: Array, saved: Saved) -> Array:
        n = g.shape[0] * g.shape[2]
        slope = self.total(centred * g) * saved.invstd * saved.invstd / g.dtype.type(n)
        term: Array = centred * slope[:, None]
        return term

    def grad_weight(self, g: Array, centred: Array, saved: Saved) -> Array:
        assert saved.weight is not None  # noqa: S101 - asked for only where there is one
        found: Array = self.total(centred * g) * saved.invstd
        return found.astype(saved.weight.dtype)

    def grad_bias(self, g: Array, saved: Saved) -> Array:
        assert saved.bias is not None  # noqa: S101 - asked for only where there is one
        return self.total(g).astype(saved.bias.dtype)


class PairwiseFromFirst(_Ordered):
    """Neighbours are added, then neighbours of these, down to single values."""

    def sums(self, rows: Array) -> Array:
        while rows.shape[1] > 1:
            half = rows.shape[1] // 2
            odd = rows[:, 2 * half :]
            rows = np.concatenate((rows[:, 0 : 2 * half : 2] + rows[:, 1 : 2 * half : 2], odd), 1)
        return rows[:, 0]


class PairwiseByHalves(_Ordered):
    """The second half is added to the first, as a block of threads does it."""

    def sums(self, rows: Array) -> Array:
        while rows.shape[1] > 1:
            half = (rows.shape[1] + 1) // 2
            low = rows[:, :half].copy()
            low[:, : rows.shape[1] - half] += rows[:, half:]
            rows = low
        return rows[:, 0]


class PairwiseBackwards(PairwiseFromFirst):
    """Pairwise, from the last value to the first."""

    def sums(self, rows: Array) -> Array:
        return super().sums(rows[:, ::-1])


class PairwiseShuffled(PairwiseFromFirst):
    """Pairwise, in an order of no meaning."""

    def sums(self, rows: Array) -> Array:
        order = np.random.default_rng(0).permutation(rows.shape[1])
        return super().sums(rows[:, order])


class _Blocked(PairwiseFromFirst):
    """Blocks of `block` values are added one after the other, and the blocks in pairs."""

    block = 8

    def sums(self, rows: Array) -> Array:
        channels, n = rows.shape
        padded = np.zeros((channels, -(-n // self.block) * self.block), rows.dtype)
        padded[:, :n] = rows
        blocks = padded.reshape(channels, -1, self.block)
        return super().sums(np.add.accumulate(blocks, axis=2)[:, :, -1])


class BlocksOf4(_Blocked):
    """Blocks of 4 values, one after the other; the blocks in pairs."""

    block = 4


class BlocksOf8(_Blocked):
    """Blocks of 8 values, one after the other; the blocks in pairs."""


class EightLanes(PairwiseFromFirst):
    """Eight lanes take every eighth value, in pairs; then the lanes are added."""

    def sums(self, rows: Array) -> Array:
        lanes = [
            super(EightLanes, self).sums(rows[:, lane::8]) for lane in range(min(8, rows.shape[1]))
        ]
        return super().sums(np.stack(lanes, axis=1))


class InFloat64(_Ordered):
    """Sums one after the other, in float64: a wide accumulator."""

    def sums(self, rows: Array) -> Array:
        wide: Array = np.add.accumulate(rows, axis=1, dtype=np.float64)[:, -1]
        return wide.astype(rows.dtype)


class Compensated(_Ordered):
    """Kahan's compensated sum, one value after the other, of longer rows in 64 lanes."""

    def sums(self, rows: Array) -> Array:
        channels, n = rows.shape
        lanes = 64 if n > 64 else 1  # noqa: PLR2004
        padded = np.zeros((channels, -(-n // lanes) * lanes), rows.dtype)
        padded[:, :n] = rows
        total = self._kahan(np.moveaxis(padded.reshape(channels, -1, lanes), 1, 0))
        return self._kahan(total.T)

    @staticmethod
    def _kahan(terms: Array) -> Array:
        total = np.zeros_like(terms[0])
        lost = np.zeros_like(total)
        for term in terms:
            corrected = term - lost
            new = total + corrected
            change = (new - total) - corrected
            lost = np.where(np.isfinite(new), change, 0)
            total = new
        whole: Array = total
        return whole
