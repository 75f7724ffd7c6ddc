"""Arrays of the state that are replaced and not written into, and results that are written over."""

# ruff: noqa: D102 - a method is documented where it is first defined

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from harness.adequacy.base import OpenBatchNorm2d
from harness.reference.kernel import Gradients, Saved
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


def _into(kept: Array | None, found: Array) -> Array:
    """Return what was found, in the memory of an array that is like it."""
    if kept is None or (kept.dtype, kept.strides) != (found.dtype, found.strides):
        return found
    if kept.shape != found.shape:
        return found
    kept[...] = found
    return kept


class OutputReused(OpenBatchNorm2d):
    """Each output is written into the memory of the one before.

    Met in engines with a workspace, whose outputs hold until the next run.
    """

    _output: Array | None = None

    def output(self, y: Array, x: Array) -> Array:
        self._output = _into(self._output, super().output(y, x))
        return self._output


class ParameterGradientsReused(OpenBatchNorm2d):
    """The gradients of weight and bias are written into the memory of those before.

    Could be met where they are fields of the module, as `.grad` is.
    """

    _gradients: tuple[Array | None, Array | None] = (None, None)

    def gradients(self, grad_output: Array, saved: Saved) -> Gradients:
        grad_input, *found = super().gradients(grad_output, saved)
        pairs = zip(self._gradients, found, strict=True)
        weight, bias = (None if new is None else _into(old, new) for old, new in pairs)
        self._gradients = weight, bias
        return grad_input, weight, bias


class GradInputInOutput(OpenBatchNorm2d):
    """grad_input is written into the output, which the backward pass no longer needs.

    Could be met in memory planning, where the output has no later reader in sight.
    """

    _output: Array | None = None

    def output(self, y: Array, x: Array) -> Array:
        self._output = super().output(y, x)
        return self._output

    def grad_like(self, grad_input: Array, x: Array) -> Array:
        found, output = super().grad_like(grad_input, x), self._output
        if output is None:
            return found
        output[...] = found
        return output
