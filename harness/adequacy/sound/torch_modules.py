"""Modules over torch's own operators."""

# ruff: noqa: D102 - forward is that of torch.nn.Module

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_ELEMENTS = (torch.float32, torch.float64)


class _Shaped(torch.autograd.Function):
    """Passes its input on; gives the gradient the input's memory format."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ANN401 - torch's protocol
        ctx.last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401 - torch's protocol
        return gradient.contiguous(
            memory_format=torch.channels_last if ctx.last else torch.contiguous_format
        )


class Functional(torch.nn.BatchNorm2d):
    """`torch.nn.functional.batch_norm` with the counter and the factor written out."""

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        factor = self._count()
        tracks = not self.training or self.track_running_stats
        return functional.batch_norm(
            input,
            self.running_mean if tracks else None,
            self.running_var if tracks else None,
            self.weight,
            self.bias,
            self.training or (self.running_mean is None and self.running_var is None),
            factor,
            self.eps,
        )

    def _count(self) -> float:
        factor = 0.0 if self.momentum is None else self.momentum
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:
                factor = 1.0 / float(self.num_batches_tracked)
        return factor


class _Plain(Functional):
    """Computes plain train steps by itself; all else, and every error, is torch's."""

    def forward(self, input: Tensor) -> Tensor:
        return self.plain(input) if self._is_plain(input) else super().forward(input)

    def plain(self, x: Tensor) -> Tensor:
        """Return the output of a train step, and move the statistics."""
        raise NotImplementedError

    def _is_plain(self, x: Tensor) -> bool:
        arrays = (self.weight, self.bias, self.running_mean, self.running_var)
        present = [a for a in arrays if a is not None]
        dense = x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)
        return (
            self.training
            and self.track_running_stats
            and x.dim() == 4  # noqa: PLR2004 - N, C, H, W
            and x.dtype in _ELEMENTS
            and x.numel() > x.shape[1] > 0
            and self.eps > 0
            and dense
            and self.running_mean is not None
            and self.running_var is not None
            and all(a.shape == x.shape[1:2] and a.dtype == x.dtype for a in present)
        )


class Native(_Plain):
    """`torch.native_batch_norm`, the operator behind the function."""

    def plain(self, x: Tensor) -> Tensor:
        factor = self._count()
        output, *_ = torch.native_batch_norm(
            x,
            self.weight,
            self.bias,
            self.running_mean,
            self.running_var,
            True,
            factor,
            self.eps,
        )
        return output


class Decomposed(_Plain):
    """Means and products of tensors, differentiated by autograd."""

    def plain(self, x: Tensor) -> Tensor:
        factor = self._count()
        x = _Shaped.apply(x)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        shape = (1, -1, 1, 1)
        mean = x.mean(dim=(0, 2, 3))
        centred = x - mean.view(shape)
        var = centred.square().mean(dim=(0, 2, 3))
        n = x.numel() // x.shape[1]
        with torch.no_grad():
            assert self.running_mean is not None  # noqa: S101 - the step is plain
            assert self.running_var is not None  # noqa: S101
            # By way of `data`, as from torch's kernels, an earlier pass that has kept the arrays
            # for its gradients does not see that they have changed, and refuse.
            mean_, var_ = self.running_mean.data, self.running_var.data
            mean_.copy_((1 - factor) * mean_ + factor * mean)
            var_.copy_((1 - factor) * var_ + factor * var * n / (n - 1))
        y = centred * torch.rsqrt(var + self.eps).view(shape)
        if self.weight is not None:
            y = y * self.weight.view(shape)
        return y if self.bias is None else y + self.bias.view(shape)
