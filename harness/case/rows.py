"""Arrays with a number for each channel: weight, bias, statistics, and their gradients."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from harness.case.arrays import NUMBERS, ArraySpec, ArrayUnion


def _array_from_list(value: object) -> object:
    return {"values": value} if isinstance(value, list | tuple | int | float) else value


_Numbers = Annotated[Any, WithJsonSchema(NUMBERS)]
_List = Annotated[Any, WithJsonSchema({"type": "array", "items": NUMBERS})]

StateValue = Annotated[
    ArrayUnion, BeforeValidator(_array_from_list, json_schema_input_type=ArrayUnion | _Numbers)
]
"""Numbers, or an input recipe whose shape is the channel count unless given."""
StateList = Annotated[
    ArrayUnion, BeforeValidator(_array_from_list, json_schema_input_type=ArrayUnion | _List)
]
"""A list of numbers, or an input recipe; a single number is no array."""

BY_CHANNEL = "expected shape {}, one number for each channel, found {}"
"""What is said of an array of another shape."""


def row_misfit(spec: ArraySpec, channels: int) -> str | None:
    """Return why an array cannot have a number for each of so many channels, None if it can."""
    if spec.size is not None and spec.size != (channels,):
        return BY_CHANNEL.format([channels], list(spec.size))
    return spec.misfit((channels,))
