"""The passes of a step: forward, backward, and the double backward pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, StrictInt, model_validator

from harness.case.arrays import ArraySpec, ArrayUnion
from harness.case.base import Model, Raises
from harness.case.frozen import refuse
from harness.case.rows import StateValue
from harness.trace import LEAVES, LeafName


class Seeds(Model):
    """Where a double backward pass begins: the gradients of a loss by the gradients."""

    grad_input: ArrayUnion | None = None
    """Gradient of the loss by grad_input, in its shape and type."""
    grad_weight: StateValue | None = None
    """Gradient of the loss by grad_weight, shape (C,)."""
    grad_bias: StateValue | None = None
    """Gradient of the loss by grad_bias, shape (C,)."""

    def items(self) -> Iterator[tuple[str, ArraySpec]]:
        """Yield the name of each gradient that the loss depends on, and the loss's own by it."""
        for name in type(self).model_fields:
            if (spec := getattr(self, name)) is not None:
                yield name, spec


class Forward(Model):
    """A forward pass, and a backward pass if `grad_output` is given."""

    input: ArrayUnion
    """The input, shape (N, C, H, W)."""
    grad_output: ArrayUnion | None = None
    """Gradient of the loss by the output; its shape and type are the input's unless given."""
    requires_grad: tuple[LeafName, ...] = LEAVES
    """What needs a gradient: all unless given. What is left out is a constant to autograd."""
    double_backward: Seeds | None = None
    """Differentiates the gradients, too; float32 and float64 alone."""
    repeat: Annotated[StrictInt, Field(ge=1, le=100_000)] = 1
    """How often the step is executed, each time on the same data."""
    raises: Raises | None = None
    """The error that the step must raise."""

    @model_validator(mode="after")
    def _arrays_can_be_drawn(self) -> Forward:
        shape = self.input.size
        if shape is None:
            refuse([(("input",), "an input needs a shape")])
            return self
        misfits = {"input": self.input.misfit(shape)}
        if self.grad_output is not None:
            misfits["grad_output"] = self.grad_output.misfit(shape, like=shape)
        refuse(((name,), misfit) for name, misfit in misfits.items() if misfit)
        return self


class Later(Model):
    """The backward pass of a forward pass that is not the latest."""

    of: Annotated[StrictInt, Field(ge=1)]
    """The train or eval step whose gradients are taken, counted from 1; its last repetition."""
    grad_output: ArrayUnion
    """Gradient of the loss by that step's output; its shape and type are the input's by default."""
    raises: Raises | None = None
    """The error that the backward pass must raise."""
