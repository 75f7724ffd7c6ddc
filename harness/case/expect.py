"""What a case publishes: numbers, arrays written in place, and the versions that it holds for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StrictInt, WithJsonSchema

from harness.case.arrays import NUMBERS
from harness.case.base import Model, Number, Version
from harness.case.frozen import numbers
from harness.trace import RESULTS, STATE, StateName

Published = Annotated[Any, BeforeValidator(numbers), WithJsonSchema(NUMBERS)]


class Expectation(Model):
    """What is published of a step: numbers after it, and the arrays that it writes in place."""

    after: Annotated[StrictInt, Field(ge=0)]
    """After which step, counted from 1; 0 is before the first."""
    repetition: Annotated[StrictInt, Field(ge=1)] | None = None
    """After which repetition of a repeated step, counted from 1; the last unless given."""
    within: Annotated[Number, Field(ge=0, allow_inf_nan=False)] = 0
    """Largest absolute difference, in the quantity's own unit (half a unit of the last digit)."""
    since: Version | None = None
    """First version of torch that this holds for."""
    before: Version | None = None
    """First version of torch that this does not hold for any more."""
    output: Published | None = None
    """Output of the step, shape (N, C, H, W)."""
    grad_input: Published | None = None
    """Gradient by the input, shape (N, C, H, W)."""
    grad_weight: Published | None = None
    """Gradient by the weight, shape (C,)."""
    grad_bias: Published | None = None
    """Gradient by the bias, shape (C,)."""
    double_grad_input: Published | None = None
    """What a double backward pass gives by the input, shape (N, C, H, W)."""
    double_grad_weight: Published | None = None
    """What a double backward pass gives by the weight, shape (C,)."""
    double_grad_grad_output: Published | None = None
    """What a double backward pass gives by grad_output, shape (N, C, H, W)."""
    weight: Published | None = None
    """Scale γ, shape (C,)."""
    bias: Published | None = None
    """Shift β, shape (C,)."""
    running_mean: Published | None = None
    """Running mean, shape (C,)."""
    running_var: Published | None = None
    """Running variance, shape (C,)."""
    num_batches_tracked: StrictInt | None = None
    """Count of train steps."""
    in_place: tuple[StateName, ...] = ()
    """Arrays of the state that are there after the step, and are those from before it."""

    def numbers(self) -> Iterator[tuple[str, Any]]:
        """Yield name and published value of each quantity that the expectation names."""
        for name in (*RESULTS, *STATE):
            if name in self.model_fields_set:
                yield name, getattr(self, name)
