"""Gradients of the gradients: what a backward pass depends on, and is taken for a constant."""

# ruff: noqa: D102 - a method is documented where it is first defined

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.adequacy.base import OpenBatchNorm2d
from harness.adequacy.sound.torch_modules import Native
from harness.reference.kernel import Saved
from harness.reference.mathematics import Array
from harness.reference.twice import DoubleGradients


class _Formulas(torch.autograd.Function):
    """A train step with the gradients of the paper, in operators that autograd differentiates."""

    @staticmethod
    def forward(ctx: Any, module: Any, x: Tensor, *given: Any) -> Tensor:  # noqa: ANN401
        weight, bias, factor = given
        output, mean, invstd = torch.native_batch_norm(
            x, weight, bias, module.running_mean, module.running_var, True, factor, module.eps
        )
        ctx.save_for_backward(x, weight, mean, invstd)
        return output

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:  # noqa: ANN401 - torch's protocol
        x, weight, mean, invstd = ctx.saved_tensors
        shape, axes = (1, -1, 1, 1), (0, 2, 3)
        normal = (x - mean.view(shape)) * invstd.view(shape)
        of_weight, of_bias = (grad_output * normal).sum(axes), grad_output.sum(axes)
        per_n = x.shape[1] / x.numel()
        rest = (of_bias.view(shape) + normal * of_weight.view(shape)) * per_n
        scale = invstd if weight is None else invstd * weight
        grad_input = (grad_output - rest) * scale.view(shape)
        return None, grad_input, None if weight is None else of_weight, of_bias, None


class StatisticsSavedAsConstants(Native):
    """What comes through the statistics is missing where the gradients are differentiated.

    Met in custom functions that save both for the backward pass, and in torch where the backward
    pass is decomposed: neither is part of the graph.
    """

    def plain(self, x: Tensor) -> Tensor:
        if self.bias is None:
            return super().plain(x)
        found: Tensor = _Formulas.apply(self, x, self.weight, self.bias, self._count())  # type: ignore[no-untyped-call]
        return found


class _Twice(OpenBatchNorm2d):
    """Begins the double backward pass with something else."""

    def double_backward(
        self,
        gg_input: Array | None = None,
        gg_weight: Array | None = None,
        gg_bias: Array | None = None,
    ) -> DoubleGradients:
        if self.saved_for_double_backward is not None:
            saved, grad_output = self.saved_for_double_backward
            self.saved_for_double_backward = self.kept(saved), grad_output
        return super().double_backward(*self.begun(gg_input, gg_weight, gg_bias))

    def kept(self, saved: Saved) -> Saved:
        """Return what is taken for the forward pass."""
        return saved

    def begun(self, *seeds: Array | None) -> tuple[Array | None, ...]:
        """Return the gradients by grad_input, grad_weight and grad_bias that are looked at."""
        return seeds


class TwiceByTheBatch(_Twice):
    """The second backward pass of evaluation goes through statistics of the batch.

    Could be met where training and evaluation share it.
    """

    def kept(self, saved: Saved) -> Saved:
        return replace(saved, of_batch=True)


class TwiceWithoutTheWeight(_Twice):
    """The second backward pass does not scale by the weight.

    Could be met where it was derived for the normalised values.
    """

    def kept(self, saved: Saved) -> Saved:
        weight = saved.weight
        return saved if weight is None else replace(saved, weight=np.ones_like(weight))


class InputAlone(_Twice):
    """What comes by the gradients of the parameters is left out.

    Could be met in gradient penalties written for a critic, which need grad_input alone.
    """

    def begun(self, *seeds: Array | None) -> tuple[Array | None, ...]:
        return seeds[0], None, None


class BiasLeftOut(_Twice):
    """What comes by the gradient of the bias is left out.

    Could be met where it is taken for a constant, as it depends on grad_output alone.
    """

    def begun(self, *seeds: Array | None) -> tuple[Array | None, ...]:
        return *seeds[:2], None
