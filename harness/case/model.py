"""The case: a module, its state, and a sequence of steps, as frozen validated values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StringConstraints,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from harness.case.arrays import ArraySpec, ArrayUnion, DTypeName
from harness.trace import RESULTS, STATE

Number = StrictInt | StrictFloat
Version = Annotated[str, StringConstraints(pattern=r"^\d+(\.\d+)*$")]
Id = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=300,
        # What selects cases (globs, ::) and what ends a word cannot be part of an id.
        pattern=r"^[^\s:*?\[\]]+$",
    ),
]
Quantity = Literal["output", "grad_input", "grad_weight", "grad_bias"]


class Model(BaseModel):
    """Frozen, and closed: an unknown key is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ModuleConfig(Model):
    """Constructor arguments of ``torch.nn.BatchNorm2d``, verbatim; what is left out, is left out."""

    num_features: StrictInt
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
        return {name: getattr(self, name) for name in sorted(self.model_fields_set)}

    @property
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


class Raises(Model):
    """The error that a step must raise."""

    type: str
    """Name of the exception's class."""
    match: str = ""
    """Regular expression that is searched for in the message."""


def _array_from_list(value: object) -> object:
    return {"values": value} if isinstance(value, list | int | float) else value


StateValue = Annotated[ArrayUnion, BeforeValidator(_array_from_list)]
"""A list of numbers, or an input recipe whose shape is the channel count unless given."""


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


class Forward(Model):
    """A forward pass, and a backward pass if `grad_output` is given."""

    input: ArrayUnion
    """The input, shape (N, C, H, W)."""
    grad_output: ArrayUnion | None = None
    """Gradient of the loss by the output; its shape is the input's unless given."""
    repeat: Annotated[StrictInt, Field(ge=1, le=100_000)] = 1
    """How often the step is executed, each time on the same data."""
    raises: Raises | None = None
    """The error that the step must raise."""

    @model_validator(mode="after")
    def _input_has_a_shape(self) -> Forward:
        if self.input.size is None:
            raise PydanticCustomError("shape", "input needs a shape")
        return self


class Parameter(Model):
    """An ``nn.Parameter`` assigned to an attribute that need not have been one."""

    parameter: StateValue
    """Its values."""


def _setting(value: object) -> str:
    if isinstance(value, dict):
        return "parameter" if "parameter" in value else "array"
    return "array" if isinstance(value, list) else "scalar"


Setting = Annotated[
    Annotated[Parameter, Tag("parameter")]
    | Annotated[StateValue, Tag("array")]
    | Annotated[StrictBool | Number | None, Tag("scalar")],
    Discriminator(_setting),
]


class Settings(Model):
    """Attributes assigned in one `set` step, in the order that they are written."""

    training: StrictBool | None = None
    """The mode flag, without calling train() or eval()."""
    num_features: StrictInt | None = None
    """Number of channels that the resets use."""
    eps: StrictBool | Number | None = None
    """Added to the variance."""
    momentum: StrictBool | Number | None = None
    """Weight of the new statistic; null for a cumulative average."""
    affine: StrictBool | None = None
    """The flag alone; weight and bias stay as they are."""
    track_running_stats: StrictBool | None = None
    """The flag alone; the buffers stay as they are."""
    weight: Setting = None
    """A parameter, or null."""
    bias: Setting = None
    """A parameter, or null."""
    running_mean: Setting = None
    """A buffer, or null; {parameter: [...]} assigns an nn.Parameter."""
    running_var: Setting = None
    """A buffer, or null; {parameter: [...]} assigns an nn.Parameter."""
    num_batches_tracked: Setting = None
    """A count, or null."""

    def items(self) -> Iterator[tuple[str, Any]]:
        """Yield name and value of each assignment."""
        for name in type(self).model_fields:
            if name in self.model_fields_set:
                yield name, getattr(self, name)


class Load(Model):
    """A state_dict that is loaded."""

    source: Annotated[str, Field(alias="from")]
    """Name under which an earlier step saved it."""
    drop: tuple[str, ...] = ()
    """Keys to remove from it first."""
    add: Mapping[str, StateValue] = {}
    """Keys to add to it, or to replace."""
    strict: StrictBool = True
    """Whether missing and unexpected keys are errors."""
    versioned: StrictBool = True
    """Whether its metadata, with the version of the format, is kept."""
    raises: Raises | None = None
    """The error that loading must raise."""


class _Step(Model):
    """One thing that happens to the module."""

    @property
    def kind(self) -> str:
        """The step's one key that is no option: "train", "eval", "set", ..."""
        return next(iter(type(self).model_fields))

    @property
    def forward(self) -> Forward | None:
        """The forward pass, for a train or eval step."""
        return None

    @property
    def expected_error(self) -> Raises | None:
        """The error that the step must raise."""
        error: Raises | None = getattr(self, "raises", None)
        return error


class Train(_Step):
    """A step in training mode."""

    train: Forward
    """Calls train() and then the module."""

    @property
    def forward(self) -> Forward:
        """The forward pass."""
        return self.train

    @property
    def expected_error(self) -> Raises | None:
        """The error that the step must raise."""
        return self.train.raises


class Eval(_Step):
    """A step in evaluation mode."""

    eval: Forward
    """Calls eval() and then the module."""

    @property
    def forward(self) -> Forward:
        """The forward pass."""
        return self.eval

    @property
    def expected_error(self) -> Raises | None:
        """The error that the step must raise."""
        return self.eval.raises


class Set(_Step):
    """Attribute assignment."""

    set: Settings
    """Attributes and their new values."""
    raises: Raises | None = None
    """The error that the assignment must raise."""


class Call(_Step):
    """A method called without arguments."""

    call: Literal["reset_running_stats", "reset_parameters", "deepcopy"]
    """The method; `deepcopy` goes on with a deep copy of the module."""
    raises: Raises | None = None
    """The error that the call must raise."""


class Cast(_Step):
    """A change of type of parameters and running statistics, as ``module.to(dtype)``."""

    cast: DTypeName
    """The new type."""
    raises: Raises | None = None
    """The error that the cast must raise."""


class Save(_Step):
    """A copy of the state_dict, kept under a name."""

    save: str
    """The name."""


class LoadStep(_Step):
    """A saved state_dict loaded into the module."""

    load: Load
    """What is loaded, and how."""

    @property
    def expected_error(self) -> Raises | None:
        """The error that loading must raise."""
        return self.load.raises


STEPS = {
    "train": Train,
    "eval": Eval,
    "set": Set,
    "call": Call,
    "cast": Cast,
    "save": Save,
    "load": LoadStep,
}
"""The kinds of step, by their key in YAML."""


def _kind(value: object) -> str | None:
    if isinstance(value, _Step):
        return value.kind
    if isinstance(value, dict):
        return next((key for key in value if key in STEPS), None)
    return None


Step = Annotated[
    Annotated[Train, Tag("train")]
    | Annotated[Eval, Tag("eval")]
    | Annotated[Set, Tag("set")]
    | Annotated[Call, Tag("call")]
    | Annotated[Cast, Tag("cast")]
    | Annotated[Save, Tag("save")]
    | Annotated[LoadStep, Tag("load")],
    Discriminator(
        _kind,
        custom_error_type="step",
        custom_error_message="a step is one of train, eval, set, call, cast, save, load",
    ),
]

Published = StrictFloat | StrictInt | list[Any]


class Expectation(Model):
    """Published numbers that must hold after a step."""

    after: Annotated[StrictInt, Field(ge=0)]
    """After which step, counted from 1; 0 is before the first."""
    repetition: Annotated[StrictInt, Field(ge=1)] | None = None
    """After which repetition of a repeated step, counted from 1; the last unless given."""
    within: Annotated[Number, Field(ge=0)] = 0
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

    def numbers(self) -> Iterator[tuple[str, Any]]:
        """Yield name and published value of each quantity that the expectation names."""
        for name in (*RESULTS, *STATE):
            if name in self.model_fields_set:
                yield name, getattr(self, name)

    @model_validator(mode="after")
    def _arrays_are_rectangular(self) -> Expectation:
        for name, value in self.numbers():
            try:
                np.asarray(value, dtype=np.float64)
            except (ValueError, TypeError):
                raise PydanticCustomError(
                    "values", "{name} must be numbers in lists of equal length", {"name": name}
                ) from None
        return self


class Case(Model):
    """A declarative scenario: constructor arguments, initial state, and a sequence of steps."""

    id: Id
    """Name of the case, unique over the suite."""
    why: Annotated[str, StringConstraints(min_length=1)]
    """Which fact the case shows, and which mistake it catches."""
    source: str | None = None
    """Where the fact is documented or was discussed."""
    tags: tuple[str, ...] = ()
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
    """Published numbers, checked against the baseline as well as the target."""
    raises: Raises | None = None
    """The error that the constructor must raise."""

    def executions(self) -> Iterator[tuple[int, int, Step]]:
        """Yield step index, repetition index (both from 0) and step, in order of execution."""
        for index, step in enumerate(self.steps):
            for repetition in range(step.forward.repeat if step.forward else 1):
                yield index, repetition, step

    def without_expectations(self) -> Case:
        """Return the case as a target may see it: no `expect`, no `raises`."""
        return self.model_copy(update={"expect": (), "raises": None})

    @cached_property
    def gradients(self) -> bool:
        """Whether any step asks for gradients."""
        return any(step.forward and step.forward.grad_output for step in self.steps)

    @model_validator(mode="after")
    def _parts_fit(self) -> Case:
        for name in sorted(self.state.model_fields_set - self.module.present):
            raise PydanticCustomError(
                "state",
                "state.{name}: the module has no {name} with these constructor arguments; "
                "attach one with a set step",
                {"name": name},
            )
        for number, expectation in enumerate(self.expect, 1):
            if expectation.after > len(self.steps):
                raise PydanticCustomError(
                    "after",
                    "expectation {number} is after step {after}, but there are {steps} steps",
                    {"number": number, "after": expectation.after, "steps": len(self.steps)},
                )
        saved: set[str] = set()
        for number, step in enumerate(self.steps, 1):
            if isinstance(step, Save):
                saved.add(step.save)
            if isinstance(step, LoadStep) and step.load.source not in saved:
                raise PydanticCustomError(
                    "load",
                    "step {number} loads '{name}', which no earlier step saves",
                    {"number": number, "name": step.load.source},
                )
        return self


__all__ = ["ArraySpec", "Case", "Expectation", "Forward", "ModuleConfig", "State", "Step"]
