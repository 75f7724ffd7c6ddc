"""Gradients of which not all are asked for: what a custom function skips, and should not."""

# ruff: noqa: D102 - a method is documented where it is first defined

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from harness.adequacy.sound.torch_modules import Native


class _Kernel(torch.autograd.Function):
    """The kernels of a train step, with another idea of which gradients they need."""

    @staticmethod
    def forward(ctx: Any, module: Any, x: Tensor, *given: Any) -> Tensor:  # noqa: ANN401
        weight, bias, factor = given
        ctx.module, ctx.eps = type(module), module.eps
        output, mean, invstd = torch.native_batch_norm(
            x, weight, bias, module.running_mean, module.running_var, True, factor, module.eps
        )
        ctx.save_for_backward(x, weight, mean, invstd)
        return output

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:  # noqa: ANN401 - torch's protocol
        _, *needed, _ = ctx.needs_input_grad
        x, weight, mean, invstd = ctx.saved_tensors
        found = torch.ops.aten.native_batch_norm_backward(
            grad_output, x, weight, None, None, mean, invstd, True, ctx.eps, [True] * 3
        )
        gradients = ctx.module.masked([*found], needed, (x, weight, invstd, grad_output))
        kept = [each if asked else None for each, asked in zip(gradients, needed, strict=True)]
        return (None, *kept, None)


class _Masked(Native):
    """A train step through `_Kernel`."""

    def plain(self, x: Tensor) -> Tensor:
        found: Tensor = _Kernel.apply(self, x, self.weight, self.bias, self._count())  # type: ignore[no-untyped-call]
        return found

    @staticmethod
    def masked(found: list[Any], needed: list[bool], held: Any) -> list[Any]:  # noqa: ANN401
        """Return the gradients of input, weight and bias, where some are not needed."""
        raise NotImplementedError


class ParametersOnTheWayToTheInput(_Masked):
    """Where the input needs no gradient, the parameters get none.

    Met in functions that return early by ``ctx.needs_input_grad[0]``.
    """

    @staticmethod
    def masked(found: list[Any], needed: list[bool], held: Any) -> list[Any]:  # noqa: ANN401, ARG004
        return found if needed[0] else [None] * 3


class InputWithoutTheParametersSums(_Masked):
    """Where the parameters are frozen, their sums are missing in the gradient of the input.

    Could be met where the kernel of the sums runs if the parameters need it.
    """

    @staticmethod
    def masked(found: list[Any], needed: list[bool], held: Any) -> list[Any]:  # noqa: ANN401
        _, weight, invstd, grad_output = held
        if any(needed[1:]) or weight is None:
            return found
        return [grad_output * (invstd * weight).view(1, -1, 1, 1), *found[1:]]


class BiasWithTheWeight(_Masked):
    """Where the weight needs no gradient, the bias gets none.

    Could be met where both are asked for by one flag.
    """

    @staticmethod
    def masked(found: list[Any], needed: list[bool], held: Any) -> list[Any]:  # noqa: ANN401, ARG004
        return found if needed[1] else [found[0], None, None]
