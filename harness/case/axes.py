"""The axes of a matrix, and how a value of an axis is spelled in an id."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    StrictBool,
    StrictInt,
    StringConstraints,
    TypeAdapter,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from harness.case.arrays import ArraySpec, ArrayUnion, DTypeName, SpelledShape, Values
from harness.case.base import Model, Number, worded
from harness.case.fills import FILLS
from harness.case.frozen import literal
from harness.case.layouts import Layout
from harness.case.model import State

LETTERS = {"T": "train", "E": "eval"}
"""The kinds of step that a sequence spells."""

STEPS = 40
"""Most steps of a sequence: then no two arrays of a case have the same seed."""


def _fill_by_name(value: object) -> object:
    return {"fill": value} if isinstance(value, str) else value


def _recipe(spec: ArraySpec) -> ArraySpec:
    """Refuse what other axes decide."""
    if isinstance(spec, Values):
        raise PydanticCustomError("axis", "a matrix takes fills; write values in a case")
    for name, axis in _DECIDED.items():
        if name in spec.model_fields_set:
            raise PydanticCustomError(
                "axis", literal(f"'{name}' of a fill comes from the axis {axis}; leave it out here")
            )
    return spec


_DECIDED = {
    "shape": "shape",
    "dtype": "input_dtype",
    "layout": "layout or grad_layout",
    "seed": "seed",
}


def _one(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


class _OneOrMore:
    """A list's schema, for which one value will do."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        described = handler(core_schema)
        single = described["items"]
        # A list is always the list of values: one shape, too, stands in a list.
        return described if single.get("type") == "array" else {"anyOf": [described, single]}


def _shapes(value: object) -> object:
    if isinstance(value, list | tuple) and value and all(type(each) is int for each in value):
        message = f"shapes stand in a list, also a single one: [{list(value)}]"
        raise PydanticCustomError("axis", literal(message))
    return value


T = TypeVar("T")
Axis = Annotated[tuple[T, ...], BeforeValidator(_one), Field(min_length=1), _OneOrMore()]
AxisFill = Annotated[
    ArrayUnion,
    BeforeValidator(_fill_by_name, json_schema_input_type=ArrayUnion | Literal[tuple(FILLS)]),
    AfterValidator(_recipe),
]
Sequence = Annotated[
    str,
    StringConstraints(pattern=f"^[TE]{{1,{STEPS}}}$"),
    worded(f"a sequence is 1 to {STEPS} letters, T for a train step and E for an eval step"),
]
Seed = Annotated[StrictInt, Field(ge=0, lt=2**40)]
_NORMAL: ArraySpec = TypeAdapter(AxisFill).validate_python("normal")


class Axes(Model):
    """The values of each axis; an axis that is left out has its one default value."""

    shape: Annotated[Axis[SpelledShape], BeforeValidator(_shapes)]
    """Shapes of the input, (N, C, H, W)."""
    momentum: Axis[StrictBool | Number | None] = (0.1,)
    """Weights of the new statistic; null for a cumulative average."""
    affine: Axis[StrictBool] = (True,)
    """Whether the module has weight and bias."""
    bias: Axis[StrictBool] = (True,)
    """Whether an affine module has a bias."""
    track_running_stats: Axis[StrictBool] = (True,)
    """Whether the module keeps running statistics."""
    eps: Axis[Number] = (1e-5,)
    """Added to the variance."""
    num_features: Axis[StrictInt | None] = (None,)
    """Channel count of the module; null for the shape's."""
    sequence: Axis[Sequence] = ("TE",)
    """T for a train step, E for an eval step, each on fresh data."""
    fill: Axis[AxisFill]
    """Fills of the input, by name or with their parameters."""
    grad_output: Axis[AxisFill] = (_NORMAL,)
    """Fills of the output's gradient, where there is one."""
    grad: Axis[StrictBool] = (False,)
    """Whether each step asks for the gradients."""
    dtype: Axis[DTypeName] = ("float32",)
    """Types of parameters and statistics, and of the input unless `input_dtype` says otherwise."""
    input_dtype: Axis[DTypeName | None] = (None,)
    """Types of the input; null for the module's."""
    layout: Axis[Layout] = ("contiguous",)
    """Layouts of the input."""
    grad_layout: Axis[Layout] = ("contiguous",)
    """Layouts of the output's gradient."""
    state: Axis[State | None] = (None,)
    """Fills of weight, bias and running statistics; null for uniform and normal values."""
    seed: Axis[Seed] = (0,)
    """Where the seeds of the fills start."""

    def values(self) -> dict[str, tuple[Any, ...]]:
        """Return the values of each axis, in the order of this class."""
        return {name: getattr(self, name) for name in Axes.model_fields}


def labels(name: str, values: tuple[Any, ...]) -> list[str]:
    """Return the word for each value of an axis, as ids have it: a state is its number."""
    if name == "state":
        return [str(index) for index in range(len(values))]
    return [_label(value) for value in values]


def _label(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, tuple):
        return "x".join(map(str, value)) or "scalar"
    if isinstance(value, ArraySpec):
        parameters = value.model_dump(exclude_unset=True)
        name = parameters.pop("fill")
        inner = ",".join(f"{key}={_label(item)}" for key, item in parameters.items())
        return f"{name}({inner})" if inner else str(name)
    return str(value)
