"""Casting, copying and resetting."""

# ruff: noqa: D102, ANN401 - a method is documented where it is first defined

from __future__ import annotations

from copy import copy, deepcopy
from typing import Any

from numpy.typing import DTypeLike

from harness.adequacy.base import OpenBatchNorm2d
from harness.reference.state import COUNTER


class CastForgetsVariance(OpenBatchNorm2d):
    """to(dtype) leaves running_var as it is.

    Could be met where the variance is to stay in float32.
    """

    def to(self, dtype: DTypeLike) -> CastForgetsVariance:
        kept = self.running_var
        super().to(dtype)
        self.running_var = kept
        return self


class CastOfParametersOnly(OpenBatchNorm2d):
    """to(dtype) leaves the running statistics as they are.

    Met in apex and other mixed-precision tools that keep batch normalisation in float32.
    """

    def to(self, dtype: DTypeLike) -> CastOfParametersOnly:
        kept = self.running_mean, self.running_var
        super().to(dtype)
        self.running_mean, self.running_var = kept
        return self


class CastIgnored(OpenBatchNorm2d):
    """to(dtype) does nothing.

    Met in tools that exempt batch normalisation from casting.
    """

    def to(self, dtype: DTypeLike) -> CastIgnored:  # noqa: ARG002
        return self


class CastResets(OpenBatchNorm2d):
    """to(dtype) starts the statistics again.

    Could be met where a cast constructs the module anew.
    """

    def to(self, dtype: DTypeLike) -> CastResets:
        super().to(dtype)
        self.reset_running_stats()
        return self


class CopyShares(OpenBatchNorm2d):
    """A deep copy has the arrays of what it is a copy of.

    Could be met where `__deepcopy__` leaves buffers out of the memo, or copies the object alone.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> CopyShares:
        return copy(self)


class CopyForgetsStatistics(OpenBatchNorm2d):
    """A deep copy starts with fresh running statistics.

    Could be met where a copy is constructed from arguments and parameters.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> CopyForgetsStatistics:
        copied = object.__new__(type(self))
        copied.__dict__.update(deepcopy(self.__getstate__(), memo))
        copied.reset_running_stats()
        return copied


class CopyForgetsMomentum(OpenBatchNorm2d):
    """A deep copy of a module with changed momentum has the default again.

    Could be met where a copy is constructed from some of the arguments.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> CopyForgetsMomentum:
        copied = object.__new__(type(self))
        copied.__dict__.update(deepcopy(self.__getstate__(), memo))
        copied.momentum = 0.1
        return copied


class ResetForgetsMean(OpenBatchNorm2d):
    """reset_running_stats leaves running_mean as it is.

    Could be met with a list of names that lacks one.
    """

    def reset_running_stats(self) -> None:
        fresh = "_ready" not in self.__dict__
        kept = None if self.running_mean is None else self.running_mean.copy()
        super().reset_running_stats()
        if not fresh and self.running_mean is not None:
            self.running_mean[...] = kept
        self._ready = True


class ResetForgetsVariance(OpenBatchNorm2d):
    """reset_running_stats leaves running_var as it is.

    Could be met with a list of names that lacks one.
    """

    def reset_running_stats(self) -> None:
        fresh = "_ready" not in self.__dict__
        kept = None if self.running_var is None else self.running_var.copy()
        super().reset_running_stats()
        if not fresh and self.running_var is not None:
            self.running_var[...] = kept
        self._ready = True


class VarianceResetToZero(OpenBatchNorm2d):
    """reset_running_stats sets running_var to 0.

    Could be met where all buffers are zeroed.
    """

    def reset_running_stats(self) -> None:
        fresh = "_ready" not in self.__dict__
        super().reset_running_stats()
        if not fresh and self.running_var is not None:
            self.running_var[...] = 0
        self._ready = True


class VarianceStartsAtZero(OpenBatchNorm2d):
    """running_var starts as 0.

    Could be met where all buffers are zeroed.
    """

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        if self.running_var is not None:
            self.running_var[...] = 0


class ResetTouchesWeight(OpenBatchNorm2d):
    """reset_running_stats sets the weight to 1 too.

    Could be met where one method resets everything.
    """

    def reset_running_stats(self) -> None:
        super().reset_running_stats()
        if self.weight is not None:
            self.weight[...] = 1


class ResetIgnoresFlag(OpenBatchNorm2d):
    """reset_running_stats resets buffers although track_running_stats has been cleared.

    Could be met where the presence of buffers stands for the flag.
    """

    def reset_running_stats(self) -> None:
        tracks, self.track_running_stats = self.track_running_stats, self.running_mean is not None
        try:
            super().reset_running_stats()
        finally:
            self.track_running_stats = tracks


class ResetParametersKeepsStatistics(OpenBatchNorm2d):
    """reset_parameters leaves the running statistics as they are.

    Could be met where the method does what its name says.
    """

    def reset_parameters(self) -> None:
        fresh = "_ready" not in self.__dict__
        kept = deepcopy(self._arrays())
        super().reset_parameters()
        if not fresh:
            for name in ("running_mean", "running_var", COUNTER):
                setattr(self, name, kept[name])
        self._ready = True


class ResetParametersForgetsBias(OpenBatchNorm2d):
    """reset_parameters leaves the bias as it is.

    Could be met with a list of names that lacks one.
    """

    def reset_parameters(self) -> None:
        fresh = "_ready" not in self.__dict__
        kept = None if self.bias is None else self.bias.copy()
        super().reset_parameters()
        if not fresh and self.bias is not None:
            self.bias[...] = kept
        self._ready = True
