"""What every fill has: a strict model, a power of two, and a way to draw."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StrictFloat,
    StrictInt,
    model_serializer,
)

from harness.case.fills import bits

Shape = tuple[int, ...]
Values = NDArray[np.float64]


def _one_nan(value: float) -> float:
    return math.nan if math.isnan(value) else value


Value = Annotated[StrictFloat, AfterValidator(_one_nan)]
"""A number that may be nan: always the same object, so that equal recipes compare equal."""


def split(shape: Shape) -> tuple[int, int]:
    """Return (C, n): channels, and values of each. Of rank 0 or 1, each value is a channel."""
    if len(shape) <= 1:
        return math.prod(shape), 1
    return shape[1], math.prod(shape[:1] + shape[2:])


def to_rows(values: NDArray[Any], shape: Shape) -> NDArray[Any]:
    """Return `values` of `shape` as (C, n), a channel a row."""
    rows = values if len(shape) <= 1 else np.moveaxis(values, 1, 0)
    return rows.reshape(split(shape))


def from_rows(rows: Values, shape: Shape) -> Values:
    """Return the (C, n) matrix as a C-contiguous array of `shape`."""
    if len(shape) <= 1:
        return rows.reshape(shape)
    swapped = rows.reshape(shape[1], shape[0], *shape[2:])
    return np.ascontiguousarray(np.moveaxis(swapped, 0, 1))


def column(values: Values) -> Values:
    """Return a vector over channels, (C,), as (C, 1)."""
    return values[:, np.newaxis]


class Recipe(BaseModel):
    """A deterministic recipe for values; each subclass is one fill.

    Frozen and strict: unknown keys, strings for numbers and booleans for numbers are refused by
    pydantic's `ValidationError`.
    """

    # Strict field by field: a strict configuration would reach into models that inherit from fills.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=True)

    iid: ClassVar[bool] = False
    """Whether the values of a channel are independent, continuous and light-tailed."""

    exponent: StrictInt = Field(
        default=0, ge=-1074, le=1023, description="Multiplies every value by 2^exponent."
    )

    def draw(self, shape: Shape, *, like: NDArray[Any] | None = None) -> Values:
        """Return the values: float64, C-contiguous, new, a function of the recipe and `shape`.

        Parameters
        ----------
        shape
            (N, C, H, W), or (C,) for parameters and statistics: C channels of one value each.
            Other ranks have their channels in axis 1; an axis may be empty.
        like
            The input of the step, of the same shape: read by `proportional` alone.

        Raises
        ------
        ValueError
            Where a fill cannot be drawn in this shape, or lacks `like`.
        """
        with np.errstate(all="ignore"):
            values = self._follow(shape, like)
            scaled = values * 2.0**self.exponent if self.exponent else values
        return np.asarray(scaled)  # NumPy makes scalars of arrays of rank 0

    def _follow(self, shape: Shape, like: NDArray[Any] | None) -> Values:  # noqa: ARG002 - one fill reads it
        return self._values(shape)

    def _values(self, shape: Shape) -> Values:
        return from_rows(self._rows(*split(shape)), shape)

    def _rows(self, channels: int, n: int) -> Values:
        raise NotImplementedError

    @model_serializer(mode="wrap")
    def _name_first(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # `fill` has a default, so that Normal() can be written, and must outlive exclude_defaults.
        return {"fill": self.name(), **handler(self)}

    @classmethod
    def name(cls) -> str:
        """Return the word that `fill:` takes for this recipe."""
        return str(cls.model_fields["fill"].default)


class Seeded(Recipe):
    """A recipe that draws random words, from a stream of its own name."""

    seed: StrictInt = Field(default=0, ge=0, lt=2**64, description="Chooses the random words.")

    def _words(self, count: int, part: int = 0) -> NDArray[np.uint64]:
        return bits.words(count, seed=self.seed, name=self.name(), part=part)

    def _bells(self, shape: Shape) -> Values:
        made = bits.bell_stream(math.prod(shape), seed=self.seed, name=self.name())
        return made.reshape(shape)

    def _spread(self, shape: Shape, mean: Values | float, std: float) -> Values:
        made = self._bells(shape)
        made *= std
        made += mean
        return made

    def _shuffled(self, rows: Values) -> Values:
        keys = self._words(rows.size, part=1).reshape(rows.shape)
        return np.take_along_axis(rows, np.argsort(keys, axis=1, kind="stable"), axis=1)


def place(rows: Values, value: float, channel: int | None, index: int, fill: str) -> Values:
    """Write `value` at `index` of one channel's row, or of every row if `channel` is None.

    `rows` is changed and returned; where it is empty, nothing is written.

    Raises
    ------
    ValueError
        If the rows have no such channel or index.
    """
    channels, n = rows.shape
    if not rows.size:
        return rows
    if index >= n:
        raise ValueError(
            f"fill {fill!r} has index {index}, but a channel of this shape holds {n} values: "
            f"choose an index of 0 to {n - 1}"
        )
    if channel is not None and channel >= channels:
        raise ValueError(
            f"fill {fill!r} has channel {channel}, but this shape has {channels} channels: "
            f"choose a channel of 0 to {channels - 1}"
        )
    rows[slice(None) if channel is None else channel, index] = value
    return rows
