"""Which statistics are used, and when they move."""

# ruff: noqa: D102, ANN401 - a method is documented where it is first defined

from __future__ import annotations

from typing import Any

import numpy as np

from harness.adequacy.base import OpenBatchNorm2d
from harness.reference.kernel import Saved
from harness.reference.mathematics import Array


class UpdateInEval(OpenBatchNorm2d):
    """Eval steps move the running statistics.

    Could be met in frameworks where the mode is an argument that the update does not see.
    """

    def forward(self, x: Array) -> Array:
        output = super().forward(x)
        if not self.training and self.running_mean is not None and self.running_var is not None:
            n = self.number(x)
            if n > 1:
                mean, squares = self.statistics(self.elements(x))
                unbiased = self.unbiased(squares, n)
                self.update(self.running_mean, self.running_var, mean, unbiased, self.factor())
        return output


class NoUpdate(OpenBatchNorm2d):
    """The running statistics never move.

    Met in functional ports that drop the new state.
    """

    def update(self, mean: Array, var: Array, batch: Array, unbiased: Array, factor: float) -> None:
        pass


class MeanNotUpdated(OpenBatchNorm2d):
    """The running mean never moves.

    Could be met where one of two outputs of a kernel is dropped.
    """

    def update(self, mean: Array, var: Array, batch: Array, unbiased: Array, factor: float) -> None:
        super().update(mean.copy(), var, batch, unbiased, factor)


class VarianceNotUpdated(OpenBatchNorm2d):
    """The running variance never moves.

    Could be met where one of two outputs of a kernel is dropped.
    """

    def update(self, mean: Array, var: Array, batch: Array, unbiased: Array, factor: float) -> None:
        super().update(mean, var.copy(), batch, unbiased, factor)


class UpdateTwice(OpenBatchNorm2d):
    """Each train step moves the statistics twice.

    Met where activation checkpointing runs the forward pass again.
    """

    def update(self, mean: Array, var: Array, batch: Array, unbiased: Array, factor: float) -> None:
        super().update(mean, var, batch, unbiased, factor)
        super().update(mean, var, batch, unbiased, factor)


class StaleStatistics(OpenBatchNorm2d):
    """A train step normalises with the statistics of the train step before it.

    Could be met in pipelined and in asynchronous synchronised batch normalisation.
    """

    def statistics(self, x: Array) -> tuple[Array, Array]:
        fresh = super().statistics(x)
        last = self.__dict__.get("_last", fresh)
        self._last = fresh
        return last if last[0].shape == fresh[0].shape else fresh


class SwappedStatistics(OpenBatchNorm2d):
    """Eval takes the running mean for the variance, and the variance for the mean.

    Could be met where arguments are passed by position.
    """

    def buffers(self) -> tuple[Array | None, Array | None]:
        mean, var = super().buffers()
        return (mean, var) if self.training else (var, mean)


class EvalUsesBatch(OpenBatchNorm2d):
    """Eval normalises with the batch's statistics, and leaves the running ones alone.

    Met wherever a model is not switched to eval, and in transductive few-shot learning.
    """

    def uses_batch(self) -> bool:
        return True

    def factor(self) -> float:
        return super().factor() if self.training else 0.0


class TrainUsesRunning(OpenBatchNorm2d):
    """Train normalises with the running statistics, after they have moved.

    Met in frozen batch normalisation, and in online normalisation.
    """

    def save(self, x: Array, mean: Array | None, invstd: Array, *, of_batch: bool) -> Saved:
        running = self.buffers()
        if of_batch and running[0] is not None and running[1] is not None:
            mean, invstd = running[0], self.invstd(running[1])
        return super().save(x, mean, invstd, of_batch=of_batch)


class UntrackedKeepsBuffers(OpenBatchNorm2d):
    """With track_running_stats=False there are buffers all the same.

    Could be met where the flag only stops the update.
    """

    def __init__(self, num_features: int, *args: Any, **more: Any) -> None:
        super().__init__(num_features, *args, **more)
        if self.running_mean is None:
            self.running_mean = np.zeros(num_features, np.float32)
            self.running_var = np.ones(num_features, np.float32)


class UntrackedEvalIsIdentity(OpenBatchNorm2d):
    """Without statistics, eval does not normalise.

    Could be met where missing statistics count as mean 0 and variance 1.
    """

    def save(self, x: Array, mean: Array | None, invstd: Array, *, of_batch: bool) -> Saved:
        if of_batch and not self.training:
            return super().save(x, invstd * 0, invstd * 0 + 1, of_batch=False)
        return super().save(x, mean, invstd, of_batch=of_batch)


class ClearedFlagIgnored(OpenBatchNorm2d):
    """track_running_stats is read at construction only.

    Could be met in modules that compile with the constructor's flags.
    """

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._tracks = self.track_running_stats

    def buffers(self) -> tuple[Array | None, Array | None]:
        if self.training and not self._tracks:
            return None, None
        return self.running_mean, self.running_var


class FlagDecidesEval(OpenBatchNorm2d):
    """Eval uses the batch where track_running_stats has been cleared, although there are buffers.

    Met in readings of torch's documentation, and discussed in pytorch/pytorch#37823.
    """

    def buffers(self) -> tuple[Array | None, Array | None]:
        return super().buffers() if self.track_running_stats else (None, None)

    def uses_batch(self) -> bool:
        return super().uses_batch() or not self.track_running_stats


class BuffersDecideTrain(OpenBatchNorm2d):
    """Train moves buffers that are there, although track_running_stats is false.

    Could be met where the presence of buffers stands for the flag.
    """

    def buffers(self) -> tuple[Array | None, Array | None]:
        return self.running_mean, self.running_var


class EvalLagsBehind(OpenBatchNorm2d):
    """Eval sees the statistics as they were before the last train step.

    Could be met with double buffering.
    """

    def forward(self, x: Array) -> Array:
        if self.running_mean is None or self.running_var is None:
            return super().forward(x)
        if self.training:
            self._before = self.running_mean.copy(), self.running_var.copy()
        return super().forward(x)

    def save(self, x: Array, mean: Array | None, invstd: Array, *, of_batch: bool) -> Saved:
        before = self.__dict__.get("_before")
        if not of_batch and before is not None and before[0].shape == invstd.shape:
            mean, invstd = before[0], self.invstd(before[1])
        return super().save(x, mean, invstd, of_batch=of_batch)


class EvalIsSticky(OpenBatchNorm2d):
    """train() after eval() has no effect.

    Could be met where eval folds the layer once and for all.
    """

    def train(self, mode: bool = True) -> EvalIsSticky:
        self._frozen = self.__dict__.get("_frozen", False) or mode is False
        super().train(mode and not self._frozen)
        return self


class FirstBatchInitialises(OpenBatchNorm2d):
    """The first batch replaces the initial statistics.

    Met in layers with data-dependent initialisation, such as actnorm.
    """

    def average(self, old: Array, batch: Array, factor: float) -> Array:
        first = self.num_batches_tracked is not None and self.num_batches_tracked == 1
        return super().average(old, batch, 1.0 if first else factor)


class EvalFoldedUntilTrain(OpenBatchNorm2d):
    """What an eval step folds is kept until the next train step.

    Could be met where train() is thought to be the only way to other statistics.
    """

    _folded: tuple[Array | None, Array] | None = None

    def save(self, x: Array, mean: Array | None, invstd: Array, *, of_batch: bool) -> Saved:
        if of_batch:
            self._folded = None
        elif self._folded is None or self._folded[1].shape != invstd.shape:
            self._folded = mean if mean is None else mean.copy(), invstd
        else:
            mean, invstd = self._folded
        return super().save(x, mean, invstd, of_batch=of_batch)


class EvalFoldedOnce(OpenBatchNorm2d):
    """The scale of eval is computed in the first eval step and kept.

    Could be met in modules that cache what they fold.
    """

    def save(self, x: Array, mean: Array | None, invstd: Array, *, of_batch: bool) -> Saved:
        if not of_batch:
            kept = self.__dict__.setdefault("_folded", (mean, invstd))
            if kept[1].shape == invstd.shape:
                mean, invstd = kept
        return super().save(x, mean, invstd, of_batch=of_batch)
