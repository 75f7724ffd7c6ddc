"""The counter of batches."""

# ruff: noqa: D102, ANN401 - a method is documented where it is first defined

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from harness.adequacy.base import OpenBatchNorm2d
from harness.reference.mathematics import Array


class CounterNotMoved(OpenBatchNorm2d):
    """The counter stays at 0.

    Met in ports made before torch 0.4.1, which had none.
    """

    def count(self, x: Array) -> None:
        pass


class CounterMovedInEval(OpenBatchNorm2d):
    """Eval steps are counted too.

    Could be met where every call is counted.
    """

    def count(self, x: Array) -> None:
        mode, self.training = self.training, True
        super().count(x)
        self.training = mode


class CounterMovedAfterChecks(OpenBatchNorm2d):
    """A batch that is refused is not counted.

    Met in torch.compile, which traces, and refuses, before it runs.
    """

    def count(self, x: Array) -> None:
        pass

    def forward(self, x: Array) -> Array:
        super().count(x)
        try:
            return super().forward(x)
        except Exception:
            if self.num_batches_tracked is not None and self.training and self.track_running_stats:
                self.num_batches_tracked[...] -= 1
            raise


class CounterMovedBeforeRank(OpenBatchNorm2d):
    """An input of the wrong rank is counted.

    Could be met where counting is a hook before the layer.
    """

    def check_rank(self, x: Array) -> None:
        self.count(x)
        super().check_rank(x)
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            self.num_batches_tracked[...] -= 1


class CounterNotReset(OpenBatchNorm2d):
    """reset_running_stats leaves the counter where it is.

    Could be met in ports that reset what is normalised with.
    """

    def reset_running_stats(self) -> None:
        kept = None if self.num_batches_tracked is None else self.num_batches_tracked.copy()
        super().reset_running_stats()
        if kept is not None and self.num_batches_tracked is not None:
            self.num_batches_tracked[...] = kept


class CounterResetToOne(OpenBatchNorm2d):
    """reset_running_stats sets the counter to 1.

    Could be met where the initial values count as a batch.
    """

    def reset_running_stats(self) -> None:
        fresh = "_ready" not in self.__dict__
        super().reset_running_stats()
        if not fresh and self.num_batches_tracked is not None:
            self.num_batches_tracked[...] = 1
        self._ready = True


class CounterInInt32(OpenBatchNorm2d):
    """The counter is an int32.

    Met in frameworks whose default integers have 32 bits, such as JAX.
    """

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked = self.num_batches_tracked.astype(np.int32)


class CounterOfSamples(OpenBatchNorm2d):
    """Each sample counts, not each batch.

    Could be met where the counter weighs batches of different sizes.
    """

    def count(self, x: Array) -> None:
        for _ in range(x.shape[0]):
            super().count(x)


class CounterByTwo(OpenBatchNorm2d):
    """Each batch counts twice.

    Met where activation checkpointing runs the forward pass again.
    """

    def count(self, x: Array) -> None:
        super().count(x)
        super().count(x)


class CountedWithoutTracking(OpenBatchNorm2d):
    """The counter moves although track_running_stats has been cleared.

    Could be met where the presence of the counter is asked, not the flag.
    """

    def count(self, x: Array) -> None:
        flag, self.track_running_stats = self.track_running_stats, True
        super().count(x)
        self.track_running_stats = flag


class CounterOfCumulativeOnly(OpenBatchNorm2d):
    """The counter moves only where momentum is None, which alone needs it.

    Could be met as an optimisation.
    """

    def count(self, x: Array) -> None:
        if self.momentum is None:
            super().count(x)


class CounterConverted(OpenBatchNorm2d):
    """to(dtype) converts the counter with everything else.

    Could be met where all buffers are cast alike.
    """

    def to(self, dtype: DTypeLike) -> CounterConverted:
        super().to(dtype)
        if self.num_batches_tracked is not None:
            with np.errstate(all="ignore"):
                self.num_batches_tracked = self.num_batches_tracked.astype(dtype)
        return self


class CounterFrozenByEmptyBatch(OpenBatchNorm2d):
    """A batch without elements is not counted.

    Could be met where an empty input returns at once.
    """

    def count(self, x: Array) -> None:
        if x.size:
            super().count(x)


class CounterStopsAtByte(OpenBatchNorm2d):
    """The counter stops at 255.

    Could be met where it is packed into a byte.
    """

    def count(self, x: Array) -> None:
        if self.num_batches_tracked is None or self.num_batches_tracked < np.iinfo(np.uint8).max:
            super().count(x)
