"""An array as a case spells it: values, or a fill and a shape, with a type and a layout."""

from __future__ import annotations

import math
from functools import cache, cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import numpy as np
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    StrictInt,
    Tag,
    WithJsonSchema,
    create_model,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from harness.case.drawn import Made, Shape
from harness.case.fills import FILLS, Recipe, to_dtype
from harness.case.fills.base import split
from harness.case.fills.gradient import Proportional
from harness.case.frozen import RANK, Frozen, literal, numbers, refuse, shape_of
from harness.case.layouts import Layout, arrange
from harness.trace import Array

DTypeName = Literal[
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "bool",
    "uint8",
    "int32",
    "int64",
    "complex64",
]
BUDGET = 2**27
"""Most elements of an array, and of all arrays of a case: 1 GiB in float64."""


def elements(shape: Shape) -> int:
    """Return what a shape counts against the budget; empty axes do not make others free."""
    return math.prod(max(size, 1) for size in shape)


def _affordable(shape: Shape) -> Shape:
    if elements(shape) > BUDGET:
        message = f"a shape of {elements(shape)} elements is over the budget of {BUDGET}"
        raise PydanticCustomError("budget", literal(message))
    return shape


_Size = Annotated[StrictInt, Field(ge=0)]
SpelledShape = Annotated[tuple[_Size, ...], Field(max_length=RANK), AfterValidator(_affordable)]


class ArraySpec(Frozen):
    """What every spelled array has: a shape, a type and a layout, each with a default."""

    shape: SpelledShape | None = None
    """Sizes of the dimensions: (N, C, H, W) for an input."""
    dtype: DTypeName | None = None
    """Type of the elements; the module's unless given."""
    layout: Layout = "contiguous"
    """Order of the elements in memory."""

    @property
    def size(self) -> Shape | None:
        """The shape that the array spells, None where its place decides."""
        return self.shape

    def dense(self, shape: Shape, dtype: str, like: Array | None = None) -> Array:
        """Return the array's elements in C order, read-only.

        Parameters
        ----------
        shape : tuple of int
            Used where the array does not spell one.
        dtype : str
            Used where the array does not spell one.
        like : array, optional
            The step's input, for fills that follow it.
        """
        return self._made.array(shape, dtype, like)

    @cached_property
    def _made(self) -> Made:
        # What follows the input, or is its own text, is drawn for each spec.
        if isinstance(self, Proportional | Values):
            return Made(self, None)
        # As values, 0.0 and -0.0 would be one recipe; the layout comes later.
        spelled = {name: getattr(self, name) for name in type(self).model_fields}
        return Made(self, str({**spelled, "layout": None}))

    def array(self, shape: Shape = (), dtype: str = "float32", like: Array | None = None) -> Array:
        """Return a fresh array that the caller may write into, in the layout that it spells."""
        return arrange(self.dense(shape, dtype, like), self.layout)

    def misfit(self, shape: Shape, like: Shape | None = None) -> str | None:
        """Return why the array cannot be drawn, None if it can.

        Parameters
        ----------
        shape : tuple of int
            Used where the array does not spell one.
        like : tuple of int, optional
            Shape of the step's input, for fills that follow it.
        """
        shape = shape if self.size is None else self.size
        channels, values = split(shape)
        # A field that a fill has not takes pydantic longer to miss than all else here takes.
        index, channel = vars(self).get("index"), vars(self).get("channel")
        if misfit := unarrangeable(self.layout, shape):
            return misfit
        if isinstance(self, Proportional) and shape != like:
            return "the fill 'proportional' is for a grad_output in the shape of the input"
        if channels * values and index is not None and index >= values:
            return f"index {index} is outside a channel of {values} values in shape {list(shape)}"
        if channels * values and channel is not None and channel >= channels:
            return f"channel {channel} is outside the {channels} channels of shape {list(shape)}"
        return None

    def drawn(self, shape: Shape, dtype: str, like: Array | None) -> Array:
        """Return the elements in C order, read-only and new."""
        drawn = to_dtype(self._elements(shape, like), dtype)
        drawn.flags.writeable = False
        return drawn

    def _elements(self, shape: Shape, like: Array | None) -> Array:
        raise NotImplementedError


def unarrangeable(layout: Layout, shape: Shape) -> str | None:
    """Return why a shape cannot have a layout, None if it can."""
    if _arrangeable(layout, len(shape)):
        return None
    return f"the layout '{layout}' is not for the {len(shape)} axes of shape {list(shape)}"


@cache
def _arrangeable(layout: Layout, axes: int) -> bool:
    try:
        arrange(np.empty([0] * axes), layout)
    except ValueError:
        return False
    return True


NUMBERS = {
    "type": ["number", "boolean", "array"],
    "items": {"type": ["number", "boolean", "array"]},
}
"""JSON Schema of numbers in nested lists."""


class Values(ArraySpec):
    """An array written out."""

    values: Annotated[Any, BeforeValidator(numbers), WithJsonSchema(NUMBERS)]
    """Numbers in nested lists; `.nan` and `.inf` are numbers too."""

    @cached_property
    def size(self) -> Shape:
        """The shape that is spelled (lists without elements may need it), else theirs."""
        return shape_of(self.values) if self.shape is None else self.shape

    @model_validator(mode="after")
    def _values_fit(self) -> Values:
        given = shape_of(self.values)
        if math.prod(given) != math.prod(self.size):
            message = f"shape {list(self.size)} does not fit values of shape {list(given)}"
            refuse([(("shape",), message)])
        return self

    def _elements(self, shape: Shape, _: Array | None) -> Array:
        exact = np.asarray(self.values)
        return (exact if exact.dtype.kind in "biu" else exact.astype(np.float64)).reshape(shape)


class _Filled(ArraySpec):
    """An array made by a fill; its parameters stand beside the shape."""

    def _elements(self, shape: Shape, like: Array | None) -> Array:
        draw: Any = self.draw  # type: ignore[attr-defined]  # the fill is the other base class
        drawn: Array = draw(shape, like=like)
        return drawn

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        # In Python a fill's name is its class; in a file it must be written.
        described = super().__get_pydantic_json_schema__(core_schema, handler)
        handler.resolve_ref_schema(described)["required"] = ["fill"]
        return described


def _spelled(fill: type[Recipe]) -> type[ArraySpec]:
    bases: Any = (_Filled, fill)
    spelled: Any = create_model(fill.__name__, __base__=bases, __doc__=fill.__doc__)
    return cast("type[ArraySpec]", spelled)


FILLED: dict[str, type[ArraySpec]] = {name: _spelled(fill) for name, fill in FILLS.items()}
"""The spelled array of each fill, by the fill's name."""
# A process that is sent a case looks its classes up by their names in this module.
globals().update({spec.__name__: spec for spec in FILLED.values()})


def _how(value: object) -> str | None:
    if isinstance(value, Values):
        return "values"
    if isinstance(value, ArraySpec):
        return str(getattr(value, "fill", None))
    if isinstance(value, dict):
        if "values" in value:
            return "values"
        return str(value["fill"]) if "fill" in value else None
    return None


if TYPE_CHECKING:
    ArrayUnion = ArraySpec
else:
    _members = [Annotated[Values, Tag("values")]]
    _members += [Annotated[spec, Tag(name)] for name, spec in FILLED.items()]
    _union = _members[0]
    for _member in _members[1:]:
        _union = _union | _member
    ArrayUnion = Annotated[_union, Discriminator(_how)]
