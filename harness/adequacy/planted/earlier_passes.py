"""Gradients of an earlier forward pass that take what holds by then for what held in it."""

# ruff: noqa: D102 - a method is documented where it is first defined

from __future__ import annotations

from dataclasses import replace

from harness.adequacy.base import OpenBatchNorm2d
from harness.reference.kernel import Gradients, Saved
from harness.reference.mathematics import Array


class GradientsByLatestStatistics(OpenBatchNorm2d):
    """The backward pass of a train step uses the statistics of the latest forward pass.

    Met where mean and invstd are attributes of the module, not of the call.
    """

    def save(self, x: Array, mean: Array | None, invstd: Array, *, of_batch: bool) -> Saved:
        saved = super().save(x, mean, invstd, of_batch=of_batch)
        self._latest = saved
        return saved

    def gradients(self, grad_output: Array, saved: Saved) -> Gradients:
        latest = self._latest
        if saved.of_batch and latest.of_batch and latest.mean.dtype == saved.mean.dtype:
            saved = replace(saved, mean=latest.mean, invstd=latest.invstd)
        return super().gradients(grad_output, saved)


class GradientsByLatestInput(OpenBatchNorm2d):
    """The backward pass uses the input of the latest forward pass, where it has the same shape.

    Met where x is an attribute of the module, as in many a course on backpropagation.
    """

    def save(self, x: Array, mean: Array | None, invstd: Array, *, of_batch: bool) -> Saved:
        self._input = x
        return super().save(x, mean, invstd, of_batch=of_batch)

    def gradients(self, grad_output: Array, saved: Saved) -> Gradients:
        latest = self._input
        if latest.shape == saved.input.shape and latest.dtype == saved.input.dtype:
            saved = replace(saved, input=latest)
        return super().gradients(grad_output, saved)


class GradientsByPresentMode(OpenBatchNorm2d):
    """The backward pass asks for the mode that the module is in by then.

    Could be met where the kernel is chosen by ``self.training``.
    """

    def gradients(self, grad_output: Array, saved: Saved) -> Gradients:
        return super().gradients(grad_output, replace(saved, of_batch=self.uses_batch()))


class GradientsByPresentWeight(OpenBatchNorm2d):
    """The backward pass scales by the weight that the module has by then.

    Met in array classes that keep the input alone.
    """

    def gradients(self, grad_output: Array, saved: Saved) -> Gradients:
        if saved.weight is not None and self.weight is not None:
            saved = replace(saved, weight=self.weight)
        return super().gradients(grad_output, saved)


class GradientsByPresentEps(OpenBatchNorm2d):
    """The backward pass of an eval step takes 1/√(running_var + ε) anew.

    Met in torch, for the statistics but not for ε.
    """

    def gradients(self, grad_output: Array, saved: Saved) -> Gradients:
        if not saved.of_batch and self.running_var is not None:
            anew = self.invstd(self.running_var).astype(saved.invstd.dtype)
            saved = replace(saved, invstd=anew)
        return super().gradients(grad_output, saved)
