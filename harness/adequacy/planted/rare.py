"""Mistakes that show only in some shapes, channels or steps."""

# ruff: noqa: D102, ANN401 - a method is documented where it is first defined

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from harness.adequacy.base import OpenBatchNorm2d
from harness.reference.kernel import Gradients, Saved
from harness.reference.mathematics import Array

_LANES = 16
_TILE = 4096
_THREADS = 1024
_WARP = 32
_GRID = 65535


class LastChannelNotUpdated(OpenBatchNorm2d):
    """The statistics of the last channel never move.

    Could be met with a loop that ends one too early.
    """

    def update(self, mean: Array, var: Array, batch: Array, unbiased: Array, factor: float) -> None:
        super().update(mean[:-1], var[:-1], batch[:-1], unbiased[:-1], factor)


class OddChannelsWrong(OpenBatchNorm2d):
    """Every second channel is normalised with its neighbour's mean.

    Could be met where two channels share a vector register.
    """

    def save(self, x: Array, mean: Array | None, invstd: Array, *, of_batch: bool) -> Saved:
        saved = super().save(x, mean, invstd, of_batch=of_batch)
        shared = saved.mean.copy()
        shared[1::2] = saved.mean[: shared[1::2].size * 2 : 2]
        self.saved_for_backward = replace(saved, mean=shared)
        return self.saved_for_backward


class ChannelsBeyondThreads(OpenBatchNorm2d):
    """Channels from the 1025th on are not normalised.

    Could be met where a grid has a thread for each channel, and no loop.
    """

    def normalise(self, x: Array, saved: Saved) -> Array:
        y = super().normalise(x, saved)
        y[:, _THREADS:] = x[:, _THREADS:]
        return y


class ChannelsBeyondGrid(OpenBatchNorm2d):
    """Channels from the 65,536th on are not normalised.

    Could be met where the grid's second size is the number of channels.
    """

    def normalise(self, x: Array, saved: Saved) -> Array:
        y = super().normalise(x, saved)
        y[:, _GRID:] = x[:, _GRID:]
        return y


class SamplesBeyondGrid(OpenBatchNorm2d):
    """Samples from the 65,536th on come out as zero.

    Could be met where the grid's second size is the number of samples, as in cuDNN's inference,
    which refuses them (pytorch/pytorch#19911).
    """

    def normalise(self, x: Array, saved: Saved) -> Array:
        y = super().normalise(x, saved)
        y[_GRID:] = 0
        return y


class SamplesBeyondBlock(OpenBatchNorm2d):
    """Of more than 1,024 samples of one pixel the gradients sum the first 1,024.

    Met in MIOpen's backward pass, from another number of samples on (ROCm/MIOpen#1109).
    """

    def gradients(self, grad_output: Array, saved: Saved) -> Gradients:
        if grad_output.shape[2:] == (1, 1):
            grad_output = grad_output.copy()
            grad_output[_THREADS:] = 0
        return super().gradients(grad_output, saved)


class WholeWarpsTwice(OpenBatchNorm2d):
    """Where the channels fill whole warps of 32, the last one is normalised twice.

    Could be met with a tail that runs although nothing is left for it.
    """

    def normalise(self, x: Array, saved: Saved) -> Array:
        y = super().normalise(x, saved)
        if x.shape[1] % _WARP == 0:
            y[:, -_WARP:] = super().normalise(y, saved)[:, -_WARP:]
        return y


class RemainderOfLanes(OpenBatchNorm2d):
    """What remains of n after whole vectors of 16 is left out of the sum of squares.

    Could be met with a vectorised loop that lacks its tail.
    """

    def statistics(self, x: Array) -> tuple[Array, Array]:
        mean, squares = super().statistics(x)
        rows = x.transpose(1, 0, 2).reshape(x.shape[1], -1)
        whole = rows.shape[1] // _LANES * _LANES
        if not whole:
            return mean, squares
        d = (rows[:, :whole] - mean[:, None]).astype(np.float64)
        return mean, (d * d).sum(axis=1)


class RemainderOfPixels(OpenBatchNorm2d):
    """Images whose size is no multiple of 8 lose their last pixels from the mean.

    Could be met with a vectorised loop that lacks its tail.
    """

    def statistics(self, x: Array) -> tuple[Array, Array]:
        whole = x.shape[2] // 8 * 8
        mean, squares = super().statistics(x)
        return (super().statistics(x[:, :, :whole])[0], squares) if whole else (mean, squares)


class BeyondTheTile(OpenBatchNorm2d):
    """With more than 4096 values per channel only the first 4096 of each sample are counted.

    Could be met where a block reads one tile.
    """

    def statistics(self, x: Array) -> tuple[Array, Array]:
        mean, squares = super().statistics(x)
        if x.shape[2] <= _TILE:
            return mean, squares
        part_mean, part = super().statistics(x[:, :, :_TILE])
        return part_mean, part * (x.shape[2] / _TILE)


class CountInSixteenBits(OpenBatchNorm2d):
    """n is counted in 16 bits.

    Could be met where sizes are packed.
    """

    def biased(self, squares: Array, n: int) -> Array:
        return super().biased(squares, (n & 0xFFFF) or n)


class WrongForOneSample(OpenBatchNorm2d):
    """A single sample is normalised with the running statistics.

    Could be met where a batch of one is taken for inference.
    """

    def save(self, x: Array, mean: Array | None, invstd: Array, *, of_batch: bool) -> Saved:
        running = self.running_mean, self.running_var
        if of_batch and x.shape[0] == 1 and running[0] is not None and running[1] is not None:
            mean, invstd = running[0], self.invstd(running[1])
        return super().save(x, mean, invstd, of_batch=of_batch)


class WrongForOneChannel(OpenBatchNorm2d):
    """With a single channel, weight and bias are left out.

    Could be met where parameters of one element are taken for absent.
    """

    def normalise(self, x: Array, saved: Saved) -> Array:
        single = x.shape[1] == 1
        return super().normalise(x, replace(saved, weight=None, bias=None) if single else saved)


class WrongForOneColumn(OpenBatchNorm2d):
    """Images of one column are normalised by rows.

    Could be met where a squeezed axis moves the others.
    """

    def statistics(self, x: Array) -> tuple[Array, Array]:
        found = super().statistics(x)
        if self._width == 1 < x.shape[2]:
            mean, squares = super().statistics(x[:, :, :1])
            return mean, squares * x.shape[2]
        return found

    def elements(self, x: Array) -> Array:
        self._width = x.shape[3]
        return super().elements(x)


class ThirdStepSkipped(OpenBatchNorm2d):
    """Every third train step does not move the statistics.

    Could be met where an update is spread over steps.
    """

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._steps = 0

    def update(self, mean: Array, var: Array, batch: Array, unbiased: Array, factor: float) -> None:
        self._steps += 1
        if self._steps % 3:
            super().update(mean, var, batch, unbiased, factor)


class SecondEvalWrong(OpenBatchNorm2d):
    """The second eval step in a row does not apply the bias.

    Could be met where a folded layer is folded again.
    """

    def normalise(self, x: Array, saved: Saved) -> Array:
        again = not saved.of_batch and self.__dict__.get("_evaluated", False)
        self._evaluated = not saved.of_batch
        return super().normalise(x, replace(saved, bias=None) if again else saved)


class LastValueDropped(OpenBatchNorm2d):
    """The last value of each channel is left out of the mean.

    Could be met with a loop that ends one too early.
    """

    def statistics(self, x: Array) -> tuple[Array, Array]:
        rows = x.transpose(1, 0, 2).reshape(x.shape[1], -1)
        mean = rows[:, :-1].mean(axis=1, dtype=np.float64).astype(x.dtype)
        return mean, super().statistics(x)[1]


class ShapeOfFirstBatch(OpenBatchNorm2d):
    """n is that of the first batch: a smaller last batch is divided by the size of a full one.

    Could be met in graphs that are compiled for one shape.
    """

    def number(self, x: Array) -> int:
        self._first: int = self.__dict__.get("_first", super().number(x))
        found: int = self._first
        return found


class CumulativeStopsAtHundred(OpenBatchNorm2d):
    """The cumulative average weighs no batch by less than 1/100.

    Could be met where a floor keeps the average moving.
    """

    def factor(self) -> float:
        found = super().factor()
        return max(found, 0.01) if self.momentum is None and found else found
