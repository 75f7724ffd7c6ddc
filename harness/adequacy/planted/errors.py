"""Ranks, channel counts and batches of one value: what is refused, and what is left behind."""

# ruff: noqa: D102 - a method is documented where it is first defined

from __future__ import annotations

import numpy as np

from harness.adequacy.base import OpenBatchNorm2d
from harness.reference.mathematics import Array


class RankUnchecked(OpenBatchNorm2d):
    """Inputs of three axes are taken for a batch of one sample.

    Could be met where missing axes are added for convenience.
    """

    def __call__(self, input: Array) -> Array:
        if isinstance(input, np.ndarray) and input.ndim == 3:  # noqa: PLR2004
            output: Array = super().__call__(input[None])[0]
            return output
        return super().__call__(input)


class AnyRank(OpenBatchNorm2d):
    """Inputs of two axes are taken, as vectors.

    Met where one class serves BatchNorm1d, 2d and 3d.
    """

    def __call__(self, input: Array) -> Array:
        if isinstance(input, np.ndarray) and input.ndim == 2:  # noqa: PLR2004
            output: Array = super().__call__(input[:, :, None, None])[:, :, 0, 0]
            return output
        return super().__call__(input)


class ChannelsBroadcast(OpenBatchNorm2d):
    """Arrays of one element are stretched over all channels.

    Could be met in any port whose arrays broadcast.
    """

    def forward(self, x: Array) -> Array:
        names = ("weight", "bias", "running_mean", "running_var")
        own = {name: getattr(self, name) for name in names}
        features = x.shape[1]
        for name, array in own.items():
            if array is not None and array.size == 1 != features:
                setattr(self, name, np.repeat(array, features))
        try:
            return super().forward(x)
        finally:
            for name, array in own.items():
                setattr(self, name, array)


class ChannelsCut(OpenBatchNorm2d):
    """A module of more channels than the input uses its first ones.

    Could be met where a kernel trusts the input's shape.
    """

    def forward(self, x: Array) -> Array:
        names = ("weight", "bias", "running_mean", "running_var")
        own = {name: getattr(self, name) for name in names}
        for name, array in own.items():
            if array is not None and array.ndim == 1:
                setattr(self, name, array[: x.shape[1]])
        try:
            return super().forward(x)
        finally:
            for name, array in own.items():
                setattr(self, name, array)


class ChannelsAreValueError(OpenBatchNorm2d):
    """A wrong number of channels is a ValueError.

    Could be met where a port has better manners than torch.
    """

    def check_lengths(
        self, features: int, mean: Array | None, var: Array | None, *, of_batch: bool
    ) -> None:
        try:
            super().check_lengths(features, mean, var, of_batch=of_batch)
        except RuntimeError as error:
            raise ValueError(str(error)) from None


class OneValueAllowed(OpenBatchNorm2d):
    """A batch of one value per channel is normalised, to zero.

    Met in frameworks that divide by max(n − 1, 1).
    """

    def check_batch(self, shape: tuple[int, ...]) -> None:
        pass

    def unbiased(self, squares: Array, n: int) -> Array:
        return squares / max(n - 1, 1)


class OneValueAllowedUntracked(OpenBatchNorm2d):
    """Without statistics to keep, a batch of one value per channel is normalised, to zero.

    Could be met where the check stands beside the update.
    """

    def check_batch(self, shape: tuple[int, ...]) -> None:
        if self.running_mean is not None:
            super().check_batch(shape)


class OneValueIsRuntimeError(OpenBatchNorm2d):
    """A batch of one value per channel is a RuntimeError.

    Could be met where the check is in a kernel.
    """

    def check_batch(self, shape: tuple[int, ...]) -> None:
        try:
            super().check_batch(shape)
        except ValueError as error:
            raise RuntimeError(str(error)) from None


class OneSampleRefused(OpenBatchNorm2d):
    """A batch of one sample is refused, whatever its size.

    Could be met where samples are counted and not values.
    """

    def check_batch(self, shape: tuple[int, ...]) -> None:
        super().check_batch((min(shape[0], 1), *shape[1:2], *([1, 1] if shape[0] == 1 else shape)))


class OnePixelRefused(OpenBatchNorm2d):
    """Images of one pixel are refused, whatever the number of samples.

    Met in instance normalisation, where it is right.
    """

    def check_batch(self, shape: tuple[int, ...]) -> None:
        super().check_batch((1, *shape[1:]) if shape[2:] == (1, 1) else shape)


class OneValueRefusedInEval(OpenBatchNorm2d):
    """Eval refuses one value per channel although it has statistics.

    Could be met where one check serves both modes.
    """

    def forward(self, x: Array) -> Array:
        self.check_batch(x.shape)
        return super().forward(x)


class UpdatedBeforeRefused(OpenBatchNorm2d):
    """A batch with the wrong number of channels changes the running mean before it is refused.

    Could be met where the check is in the second kernel.
    """

    def check_lengths(
        self, features: int, mean: Array | None, var: Array | None, *, of_batch: bool
    ) -> None:
        if of_batch and mean is not None and mean.size != features:
            mean[...] *= 0.9
            mean[...] += 0.1
        super().check_lengths(features, mean, var, of_batch=of_batch)


class BrokenAfterError(OpenBatchNorm2d):
    """After an error the module stays in eval mode.

    Could be met where a temporary switch is not undone.
    """

    def forward(self, x: Array) -> Array:
        if self.__dict__.get("_broken"):
            self.training = False
        self._broken = True
        output = super().forward(x)
        self._broken = False
        return output


class GradientOfAnyShape(OpenBatchNorm2d):
    """A gradient of one sample is stretched over the batch.

    Could be met in any port whose arrays broadcast.
    """

    def backward(self, grad_output: Array) -> tuple[Array, Array | None, Array | None]:
        if self.saved_for_backward is not None and grad_output.shape[:1] == (1,):
            grad_output = np.broadcast_to(grad_output, self.saved_for_backward.input.shape)
        return super().backward(grad_output)
