"""Arrays of the state that are replaced and not written into."""

# ruff: noqa: D102 - a method is documented where it is first defined

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from harness.adequacy.base import OpenBatchNorm2d
from harness.reference.mathematics import Array
from harness.reference.state import IncompatibleKeys


class StatisticsReplaced(OpenBatchNorm2d):
    """A train step assigns new running statistics.

    Met in most first drafts: running_mean = (1 - momentum)·running_mean + momentum·mean.
    """

    def update(self, mean: Array, var: Array, batch: Array, unbiased: Array, factor: float) -> None:
        self.running_mean, self.running_var = mean.copy(), var.copy()
        super().update(self.running_mean, self.running_var, batch, unbiased, factor)


class VarianceReplaced(OpenBatchNorm2d):
    """A train step writes into running_mean and assigns a new running_var.

    Could be met where the variance is corrected in a line of its own.
    """

    def update(self, mean: Array, var: Array, batch: Array, unbiased: Array, factor: float) -> None:
        self.running_var = var.copy()
        super().update(mean, self.running_var, batch, unbiased, factor)


class CumulativeStatisticsReplaced(OpenBatchNorm2d):
    """Without momentum a train step assigns new running statistics.

    Could be met where the cumulative average is a branch of its own.
    """

    def update(self, mean: Array, var: Array, batch: Array, unbiased: Array, factor: float) -> None:
        if self.momentum is None:
            self.running_mean, self.running_var = mean, var = mean.copy(), var.copy()
        super().update(mean, var, batch, unbiased, factor)


class CounterReplaced(OpenBatchNorm2d):
    """A train step assigns a new counter.

    Met in torch before 1.11.
    """

    def count(self, x: Array) -> None:
        if self.num_batches_tracked is not None:
            self.num_batches_tracked = self.num_batches_tracked.copy()
        super().count(x)


class ResetReplacesStatistics(OpenBatchNorm2d):
    """reset_running_stats makes new running statistics.

    Could be met where a reset repeats what the constructor does.
    """

    def reset_running_stats(self) -> None:
        if self.running_mean is not None and self.running_var is not None:
            self.running_mean = np.zeros_like(self.running_mean)
            self.running_var = np.ones_like(self.running_var)
        super().reset_running_stats()


class ResetReplacesParameters(OpenBatchNorm2d):
    """reset_parameters makes a new weight and bias.

    Could be met where a reset repeats what the constructor does.
    """

    def reset_parameters(self) -> None:
        if self.weight is not None and self.bias is not None:
            self.weight, self.bias = np.ones_like(self.weight), np.zeros_like(self.bias)
        super().reset_parameters()


class LoadReplaces(OpenBatchNorm2d):
    """load_state_dict puts new arrays in the place of the old ones.

    Met in load_state_dict(assign=True) of torch.
    """

    def load_state_dict(
        self, state_dict: Mapping[str, Array], strict: bool = True
    ) -> IncompatibleKeys:
        for name in state_dict:
            if getattr(self, name, None) is not None:
                setattr(self, name, getattr(self, name).copy())
        return super().load_state_dict(state_dict, strict)


class ParametersReplacedInBackward(OpenBatchNorm2d):
    """A backward pass leaves copies of weight and bias.

    Could be met where parameters are packed into one array for the kernel, and unpacked.
    """

    def backward(self, grad_output: Array) -> tuple[Array, Array | None, Array | None]:
        found = super().backward(grad_output)
        weight, bias = self.weight, self.bias
        self.weight = None if weight is None else weight.copy()
        self.bias = None if bias is None else bias.copy()
        return found
