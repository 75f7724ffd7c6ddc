"""Arrays as messages have them, in either direction."""

from __future__ import annotations

import base64
import math

import numpy as np
from numpy.lib.stride_tricks import as_strided
from pydantic import BaseModel, ConfigDict, Field

from harness.case.arrays import DTypeName
from harness.case.layouts import describe
from harness.dtypes import dtype
from harness.trace import Array


class Message(BaseModel):
    """A part of a message; what the protocol does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class WireArray(Message):
    """An array: type, shape, strides in elements (row-major unless given) and its memory."""

    dtype: DTypeName
    shape: tuple[int, ...] = Field(max_length=32)
    strides: tuple[int, ...] | None = None
    data: str

    def array(self) -> Array:
        """Return the array; ValueError where shape, strides and data do not fit."""
        stored = dtype(self.dtype).newbyteorder("<")
        raw = base64.b64decode(self.data, validate=True)
        if len(raw) % stored.itemsize:
            raise ValueError(f"{len(raw)} bytes are no whole number of {self.dtype}")
        memory = np.frombuffer(raw, stored).astype(dtype(self.dtype))
        strides = row_major(self.shape) if self.strides is None else self.strides
        if len(strides) != len(self.shape) or min((*self.shape, *strides), default=0) < 0:
            raise ValueError(f"strides {list(strides)} do not fit the shape {list(self.shape)}")
        needed = extent(self.shape, strides)
        if memory.size != needed:
            raise ValueError(
                f"shape {list(self.shape)} with strides {list(strides)} has {needed} elements "
                f"in memory, the data {memory.size}"
            )
        return as_strided(memory, self.shape, [each * memory.itemsize for each in strides])

    def formats(self) -> frozenset[str]:
        """Return the memory formats of its strides; without elements it has none to tell."""
        # NumPy keeps no strides of empty arrays, so no other target can tell them either.
        if 0 in self.shape:
            return describe(np.empty(self.shape))
        return describe((self.shape, self.strides or row_major(self.shape)))


def packed(array: Array) -> dict[str, object]:
    """Return an array as a message has it, its memory with what lies between its elements."""
    strides = [each // array.itemsize for each in array.strides]
    memory = as_strided(array, (extent(array.shape, strides),), (array.itemsize,))
    little = memory.astype(memory.dtype.newbyteorder("<"))
    data = base64.b64encode(little.tobytes()).decode()
    found: dict[str, object] = {"dtype": array.dtype.name, "shape": list(array.shape)}
    if strides != list(row_major(array.shape)):
        found["strides"] = strides
    return {**found, "data": data}


def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides, in elements, of a row-major array; an empty axis counts as one."""
    return tuple(
        math.prod(max(size, 1) for size in shape[axis + 1 :]) for axis in range(len(shape))
    )


def extent(shape: tuple[int, ...], strides: tuple[int, ...] | list[int]) -> int:
    """Return how many elements of memory an array spans."""
    if 0 in shape:
        return 0
    return 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
