"""Memory: layouts, types, and arrays that are written to or shared."""

# ruff: noqa: D102 - a method is documented where it is first defined

from __future__ import annotations

import numpy as np

from harness.adequacy.base import OpenBatchNorm2d
from harness.reference import layout
from harness.reference.kernel import Gradients, Saved
from harness.reference.mathematics import Array


def _as_contiguous(x: Array) -> Array:
    return np.ascontiguousarray(x)


def _as_channels_last(x: Array) -> Array:
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


class AlwaysContiguous(OpenBatchNorm2d):
    """The output is contiguous, for channels_last inputs too.

    Met in torch 1.8, in train (pytorch/pytorch#48919).
    """

    def output(self, y: Array, x: Array) -> Array:
        return _as_contiguous(super().output(y, x))


class AlwaysChannelsLast(OpenBatchNorm2d):
    """The output is channels_last, for contiguous inputs too.

    Could be met in ports from frameworks that know only NHWC.
    """

    def output(self, y: Array, x: Array) -> Array:
        return _as_channels_last(super().output(y, x))


class GradientAlwaysContiguous(OpenBatchNorm2d):
    """grad_input is contiguous, for channels_last inputs too.

    Could be met where only the forward pass looks at the layout.
    """

    def grad_like(self, grad_input: Array, x: Array) -> Array:
        return _as_contiguous(super().grad_like(grad_input, x))


class StridesOfInput(OpenBatchNorm2d):
    """The output has the strides of any dense input, transposed ones too.

    Met in element-wise operations, which preserve strides.
    """

    def output(self, y: Array, x: Array) -> Array:
        found = np.empty_like(x, subok=False)
        found[...] = y.reshape(x.shape)
        return found


class GradientOfItsOwnLayout(OpenBatchNorm2d):
    """grad_input has the layout of grad_output, not that of the input.

    Could be met where the backward pass is element-wise.
    """

    def gradients(self, grad_output: Array, saved: Saved) -> Gradients:
        grad_input, weight, bias = super().gradients(grad_output, saved)
        last = layout.is_channels_last(grad_output)
        turned = _as_channels_last(grad_input) if last else _as_contiguous(grad_input)
        return turned, weight, bias


class ChannelsLastReadAsContiguous(OpenBatchNorm2d):
    """channels_last inputs are read in the order of their memory.

    Could be met where a kernel is given a pointer and no strides.
    """

    def elements(self, x: Array) -> Array:
        if layout.is_channels_last(x) and not x.flags.c_contiguous:
            x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).reshape(x.shape)
        return super().elements(x)


class TransposedWhereNotSquare(OpenBatchNorm2d):
    """Images that are not square come back with rows and columns exchanged.

    Could be met where H and W are exchanged in an index that squares do not show.
    """

    def output(self, y: Array, x: Array) -> Array:
        n, c, h, w = x.shape
        return super().output(y.reshape(n, c, h, w).transpose(0, 1, 3, 2).reshape(n, c, -1), x)


class StridedReadAsDense(OpenBatchNorm2d):
    """A slice is read as if it were dense: the values beside it come in.

    Could be met where a kernel is given a pointer and no strides.
    """

    def elements(self, x: Array) -> Array:
        if x.base is not None and isinstance(x.base, np.ndarray) and not layout.is_dense(x):
            flat = x.base.reshape(-1)
            if 0 not in x.strides and flat.size > x.size and flat.dtype == x.dtype:
                return super().elements(flat[: x.size].reshape(x.shape))
        return super().elements(x)


class ExpandedReadAsDense(OpenBatchNorm2d):
    """An expanded gradient counts only once: its repeated samples are zero.

    Could be met where a gradient of stride 0, as `sum().backward()` gives it, is read as dense.
    """

    def gradients(self, grad_output: Array, saved: Saved) -> Gradients:
        if 0 in grad_output.strides:
            axis = grad_output.strides.index(0)
            once = grad_output.copy()
            once.swapaxes(0, axis)[1:] = 0
            grad_output = once
        return super().gradients(grad_output, saved)


class OutputInFloat32(OpenBatchNorm2d):
    """The output of 16-bit inputs is float32.

    Met where autocast keeps normalisation in float32.
    """

    def output(self, y: Array, x: Array) -> Array:
        found = super().output(y, x)
        return found if found.dtype == np.float64 else found.astype(np.float32)


class OutputInFloat64(OpenBatchNorm2d):
    """The output of float32 inputs is float64.

    Met in NumPy ports, where a float64 scalar array promotes.
    """

    def output(self, y: Array, x: Array) -> Array:
        return super().output(y, x).astype(np.float64)


class GradientInFloat32(OpenBatchNorm2d):
    """grad_input of 16-bit inputs is float32.

    Could be met where gradients stay in the type of their accumulator.
    """

    def grad_like(self, grad_input: Array, x: Array) -> Array:
        found = super().grad_like(grad_input, x)
        return found if found.dtype == np.float64 else found.astype(np.float32)


class OutputIsFlat(OpenBatchNorm2d):
    """Images of one pixel come back as vectors (N, C).

    Could be met where sizes of 1 are squeezed away.
    """

    def output(self, y: Array, x: Array) -> Array:
        found = super().output(y, x)
        return found[:, :, 0, 0] if x.shape[2:] == (1, 1) else found


class InputNormalisedInPlace(OpenBatchNorm2d):
    """The output is written into the input.

    Met in in-place batch normalisation that saves memory.
    """

    def output(self, y: Array, x: Array) -> Array:
        found = super().output(y, x)
        if x.flags.writeable and 0 not in x.strides:
            x[...] = found
        return found


class InputCentredInPlace(OpenBatchNorm2d):
    """The deviations from the mean are written into the input in eval.

    Could be met with `x -= mean`.
    """

    def normalise(self, x: Array, saved: Saved) -> Array:
        y = super().normalise(x, saved)
        given = saved.input
        if not saved.of_batch and given.flags.writeable and 0 not in given.strides:
            given[...] = (x - saved.mean[:, None]).reshape(given.shape)
        return y


class GradientScaledInPlace(OpenBatchNorm2d):
    """grad_output is scaled in place.

    Could be met with `g *= weight`.
    """

    def gradients(self, grad_output: Array, saved: Saved) -> Gradients:
        found = super().gradients(grad_output, saved)
        if grad_output.flags.writeable and 0 not in grad_output.strides:
            grad_output[...] = found[0]
        return found


class EvalOverwritesMean(OpenBatchNorm2d):
    """An eval step leaves the batch's mean in running_mean.

    Could be met where the running mean doubles as a scratch buffer.
    """

    def save(self, x: Array, mean: Array | None, invstd: Array, *, of_batch: bool) -> Saved:
        saved = super().save(x, mean, invstd, of_batch=of_batch)
        if not of_batch and self.running_mean is not None:
            self.running_mean[...] = self.statistics(self.elements(x))[0]
        return saved


class StatisticsShareMemory(OpenBatchNorm2d):
    """A reset lets running_mean and running_var share one array.

    Could be met where two buffers of equal shape are allocated as one.
    """

    def reset_running_stats(self) -> None:
        super().reset_running_stats()
        if self.track_running_stats and "_ready" in self.__dict__:
            self.running_mean = self.running_var
        self._ready = True
