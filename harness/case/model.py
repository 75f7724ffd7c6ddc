"""The case: a module, its state, and a sequence of steps, as frozen validated values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, StrictBool, StrictInt, model_validator

from harness.case.arrays import BUDGET, DTypeName
from harness.case.base import Id, Model, Number, Raises, Version, Word
from harness.case.expect import Expectation
from harness.case.fit import misfits
from harness.case.frozen import refuse
from harness.case.passes import Forward, Later, Seeds
from harness.case.rows import StateValue
from harness.case.steps import (
    STEPS,
    Backward,
    Call,
    Cast,
    Eval,
    Load,
    LoadStep,
    Parameter,
    Save,
    Set,
    Settings,
    Step,
    Train,
)
from harness.trace import Array


class ModuleConfig(Model):
    """Constructor arguments of ``torch.nn.BatchNorm2d``; those left out are not passed."""

    num_features: Annotated[StrictInt, Field(le=BUDGET)]
    """Number of channels C."""
    eps: StrictBool | Number = 1e-5
    """Added to the variance."""
    momentum: StrictBool | Number | None = 0.1
    """Weight of the new statistic in the running average; null for a cumulative average."""
    affine: StrictBool = True
    """Whether the module has weight and bias."""
    track_running_stats: StrictBool = True
    """Whether the module keeps running statistics."""
    bias: StrictBool = True
    """Whether an affine module has a bias (torch 2.12 and later)."""
    dtype: DTypeName = "float32"
    """Type of parameters and running statistics."""

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that the case spells out, `dtype` as its name."""
        return dict(self._spelled)

    @cached_property
    def _spelled(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in sorted(self.model_fields_set)}

    @cached_property
    def present(self) -> frozenset[str]:
        """The arrays of `STATE` that a module so constructed has."""
        names = set()
        if self.affine:
            names.add("weight")
            if self.bias:
                names.add("bias")
        if self.track_running_stats:
            names.update(("running_mean", "running_var", "num_batches_tracked"))
        return frozenset(names)


class State(Model):
    """Arrays put into the module before the first step."""

    weight: StateValue | None = None
    """Scale γ, shape (C,)."""
    bias: StateValue | None = None
    """Shift β, shape (C,)."""
    running_mean: StateValue | None = None
    """Running mean, shape (C,)."""
    running_var: StateValue | None = None
    """Running variance, shape (C,)."""
    num_batches_tracked: StrictInt | None = None
    """Count of train steps."""

    @cached_property
    def drawn(self) -> dict[tuple[int, str], tuple[tuple[str, Array], ...]]:
        """What was drawn of it, by channels and type: cases of a matrix have it in common."""
        return {}


class Case(Model):
    """A declarative scenario: constructor arguments, initial state, and a sequence of steps."""

    id: Id
    """Name of the case, unique over the suite."""
    why: Word
    """Which fact the case shows, and which mistake it catches."""
    source: str | None = None
    """Where the fact is documented or was discussed."""
    tags: tuple[Word, ...] = ()
    """Words to select cases by."""
    since: Version | None = None
    """First version of torch that the case holds for."""
    before: Version | None = None
    """First version of torch that the case does not hold for any more."""
    module: ModuleConfig
    """Constructor arguments of ``torch.nn.BatchNorm2d``."""
    state: State = State()
    """Arrays put into the module before the first step."""
    steps: tuple[Step, ...] = ()
    """What happens, in order."""
    expect: tuple[Expectation, ...] = ()
    """What is published, checked against the baseline as well as the target."""
    raises: Raises | None = None
    """The error that the constructor must raise."""

    def executions(self) -> Iterator[tuple[int, int, Step]]:
        """Yield step index, repetition index (both from 0) and step, in order of execution."""
        for index, step in enumerate(self.steps):
            forward = step.forward
            for repetition in range(1 if forward is None else forward.repeat):
                yield index, repetition, step

    @cached_property
    def gradients(self) -> bool:
        """Whether any step asks for gradients."""
        return bool(self.awaited) or any(
            step.forward and step.forward.grad_output for step in self.steps
        )

    @cached_property
    def awaited(self) -> frozenset[int]:
        """The indices of steps whose gradients a later step takes."""
        return frozenset([each.backward.of - 1 for each in self.steps if type(each) is Backward])

    def differentiated(self, step: Backward) -> Forward:
        """Return the forward pass whose gradients a step takes."""
        forward: Forward | None = self.steps[step.backward.of - 1].forward
        assert forward is not None  # noqa: S101  # the case has been validated
        return forward

    @cached_property
    def elements(self) -> int:
        """Elements of the inputs of all executions."""
        forwards = [step.forward for step in self.steps if step.forward is not None]
        return sum(math.prod(each.input.size or ()) * each.repeat for each in forwards)

    @model_validator(mode="after")
    def _parts_fit(self) -> Case:
        refuse(misfits(self))
        return self


__all__ = [
    "STEPS",
    "Backward",
    "Call",
    "Case",
    "Cast",
    "Eval",
    "Expectation",
    "Forward",
    "Later",
    "Load",
    "LoadStep",
    "Model",
    "ModuleConfig",
    "Number",
    "Parameter",
    "Raises",
    "Save",
    "Seeds",
    "Set",
    "Settings",
    "State",
    "Step",
    "Train",
    "Version",
]
