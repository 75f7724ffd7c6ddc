"""An array as a case spells it: values, or a fill and a shape, with a type and a layout."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictInt,
    Tag,
    WithJsonSchema,
    create_model,
)
from pydantic_core import PydanticCustomError

from harness.case.fills import FILLS, to_dtype
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
Shape = tuple[int, ...]

BUDGET = 2**27
"""Most elements that one array of a case may have: 1 GiB while it is drawn in float64."""

_CACHED = 2**16
"""Most elements of an array that is kept for the next case with the same recipe."""


def _affordable(shape: Shape) -> Shape:
    if math.prod(shape) > BUDGET:
        raise PydanticCustomError(
            "budget",
            "a shape of {elements} elements is over the budget of {budget}",
            {"elements": math.prod(shape), "budget": BUDGET},
        )
    return shape


_Size = Annotated[StrictInt, Field(ge=0, le=BUDGET)]
SpelledShape = Annotated[tuple[_Size, ...], Field(max_length=8)]


class ArraySpec(BaseModel):
    """What every spelled array has: a shape, a type and a layout, each with a default."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    shape: SpelledShape | None = None
    """Sizes of the dimensions: (N, C, H, W) for an input."""
    dtype: DTypeName | None = None
    """Type of the elements; the module's unless given."""
    layout: Layout = "contiguous"
    """Order of the elements in memory."""

    def model_post_init(self, _: object) -> None:
        """Refuse a shape over the budget before anything is allocated."""
        if self.shape is not None:
            _affordable(self.shape)

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
        shape, dtype = self.size or shape, self.dtype or dtype
        if like is None and math.prod(shape) <= _CACHED:
            return _kept(self, shape, dtype)
        return self._drawn(shape, dtype, like)

    def array(self, shape: Shape = (), dtype: str = "float32", like: Array | None = None) -> Array:
        """Return a fresh array that the caller may write into, in the layout that it spells."""
        return arrange(self.dense(shape, dtype, like), self.layout)

    def _drawn(self, shape: Shape, dtype: str, like: Array | None) -> Array:
        elements = to_dtype(self._elements(shape, like), dtype)
        elements.flags.writeable = False
        return elements

    def _elements(self, shape: Shape, like: Array | None) -> Array:
        raise NotImplementedError


@lru_cache(maxsize=512)
def _kept(spec: ArraySpec, shape: Shape, dtype: str) -> Array:
    return spec._drawn(shape, dtype, None)


def _frozen_values(value: object) -> object:
    if isinstance(value, list | tuple):
        return tuple(_frozen_values(item) for item in value)
    if isinstance(value, bool | int | float):
        return value
    raise PydanticCustomError(
        "values", "values must be numbers, found {found}", {"found": repr(value)}
    )


def _rectangular(value: object) -> object:
    frozen = _frozen_values(value)
    try:
        size = np.asarray(frozen, dtype=np.float64).shape
    except ValueError:
        raise PydanticCustomError("values", "lists of values differ in length") from None
    _affordable(size)
    return frozen


class Values(ArraySpec):
    """An array written out."""

    values: Annotated[
        Any,
        BeforeValidator(_rectangular),
        WithJsonSchema({"type": ["array", "number", "boolean"]}),
    ]
    """Numbers in nested lists; `.nan` and `.inf` are numbers too."""

    @property
    def size(self) -> Shape | None:
        """The shape of the nested lists, or the one that is spelled (for arrays without elements)."""
        return self.shape or np.asarray(self.values, dtype=np.float64).shape

    def _elements(self, shape: Shape, _: Array | None) -> Array:
        exact = np.asarray(self.values)
        try:
            return (exact if exact.dtype.kind in "biu" else exact.astype(np.float64)).reshape(shape)
        except ValueError:
            raise PydanticCustomError("values", "values do not fit the shape") from None


class _Filled(ArraySpec):
    """An array made by a fill; its parameters stand beside the shape."""

    def _elements(self, shape: Shape, like: Array | None) -> Array:
        draw: Any = self.draw  # type: ignore[attr-defined]  # the fill is the other base class
        drawn: Array = draw(shape, like=like)
        return drawn


FILLED: dict[str, type[ArraySpec]] = {
    name: create_model(fill.__name__, __base__=(_Filled, fill), __doc__=fill.__doc__)
    for name, fill in FILLS.items()
}
"""The spelled array of each fill, by the fill's name."""
# A process that is sent a case looks its classes up by their names in this module.
globals().update({spec.__name__: spec for spec in FILLED.values()})



def _how(value: object) -> str | None:
    if isinstance(value, Values):
        return "values"
    if isinstance(value, ArraySpec):
        return str(getattr(value, "fill", None))
    if isinstance(value, dict):
        return "values" if "values" in value else str(value.get("fill"))
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
