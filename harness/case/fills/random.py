"""Fills that draw each value: the ordinary distributions and their relatives."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, StrictFloat, StrictInt, model_validator

from harness.case.fills import bits
from harness.case.fills.base import (
    Seeded,
    Shape,
    Value,
    Values,
    column,
    from_rows,
    place,
    split,
    to_rows,
)

_INT32 = 2**31


def _without_default(schema: dict[str, Any]) -> None:
    del schema["default"]  # JSON has no nan


class Uniform(Seeded):
    """Expose wrong factors: momentum, divisors, the affine step. low + (high - low)·u.

    u has 53 bits and is in (0, 1), ends excluded.
    """

    fill: Literal["uniform"] = "uniform"
    iid: ClassVar[bool] = True
    low: StrictFloat = Field(default=-1.0, description="Lower end.")
    high: StrictFloat = Field(default=1.0, description="Upper end.")

    @model_validator(mode="after")
    def _ordered(self) -> Uniform:
        _check_order(self.low, self.high)
        return self

    def _values(self, shape: Shape) -> Values:
        made = bits.units(self._words(math.prod(shape)))
        made *= self.high - self.low
        made += self.low
        return made.reshape(shape)


class Normal(Seeded):
    """Expose narrow arithmetic: every bit of the significand is random. mean + std·z.

    z is a sum of uniforms (`bits.bells`), not Gaussian: it ends at ±6.
    """

    fill: Literal["normal"] = "normal"
    iid: ClassVar[bool] = True
    mean: StrictFloat = Field(default=0.0, description="Mean of the distribution.")
    std: StrictFloat = Field(default=1.0, ge=0, description="Its standard deviation.")

    def _values(self, shape: Shape) -> Values:
        return self._spread(shape, self.mean, self.std)


class Offset(Seeded):
    """Expose the one-pass variance, E[x²] - E[x]²: the mean is far larger than the spread.

    Channel c is (-1)^c·(1 + (c mod 8)/8)·mean + std·z.
    """

    fill: Literal["offset"] = "offset"
    iid: ClassVar[bool] = True
    mean: StrictFloat = Field(default=1000.0, description="Mean of channel 0.")
    std: StrictFloat = Field(default=1.0, ge=0, description="Standard deviation of every channel.")

    def _values(self, shape: Shape) -> Values:
        channels, n = split(shape)
        index = np.arange(channels)
        factor = (1.0 - 2.0 * (index & 1)) * (1.0 + (index & 7) / 8.0)
        means = np.broadcast_to(column(factor * self.mean), (channels, n))
        return self._spread(shape, from_rows(means, shape), self.std)


class Relu(Seeded):
    """Expose zeros that are skipped or not counted. max(0, mean + std·z): half are zeros."""

    fill: Literal["relu"] = "relu"
    mean: StrictFloat = Field(default=0.0, description="Mean before negative values become 0.")
    std: StrictFloat = Field(default=1.0, ge=0, description="Standard deviation before that.")

    def _values(self, shape: Shape) -> Values:
        made = self._spread(shape, self.mean, self.std)
        return np.maximum(made, 0.0, out=made)


class Sorted(Seeded):
    """Expose running statistics that drift: each value is above all before it.

    mean + std·z, ascending along (N, H, W) in each channel.
    """

    fill: Literal["sorted"] = "sorted"
    mean: StrictFloat = Field(default=0.0, description="Mean of the distribution.")
    std: StrictFloat = Field(default=1.0, ge=0, description="Its standard deviation.")

    def _rows(self, channels: int, n: int) -> Values:
        return np.sort(self._spread((channels, n), self.mean, self.std), axis=1)


class Lognormal(Seeded):
    """Expose sums that lose small terms beside large ones: positive, heavy-tailed.

    Nearly log-normal, without a logarithm: (1 + u)·2^(j - 6), j the sum of four integers of 0 to 3,
    u in [0, 1) with 52 bits; between 2^-6 and 2^7. Fits a running_var or a weight.
    """

    fill: Literal["lognormal"] = "lognormal"

    def _values(self, shape: Shape) -> Values:
        source = self._words(math.prod(shape))
        fields = [source >> np.uint64(shift) & np.uint64(3) for shift in (0, 2, 4, 6)]
        power = (fields[0] + fields[1] + fields[2] + fields[3]).astype(np.int32)
        significand = (source >> np.uint64(12) | np.uint64(2**52)).astype(np.float64)
        values: Values = np.ldexp(significand, power - 58)
        return values.reshape(shape)


class Outlier(Seeded):
    """Expose a poor shift and clipped data: one of each channel is ±`amplitude`, the rest z."""

    fill: Literal["outlier"] = "outlier"
    amplitude: StrictFloat = Field(default=1e4, description="The outlier; its sign is random.")

    def _rows(self, channels: int, n: int) -> Values:
        rows = self._bells((channels, n))
        if n:
            source = self._words(channels, part=1)
            rows[np.arange(channels), bits.below(source, n)] = bits.signs(source) * self.amplitude
        return rows


class TwoValued(Seeded):
    """Expose rounding that always goes the same way. Each value is `low` or `high`, evenly."""

    fill: Literal["two_valued"] = "two_valued"
    low: Value = Field(default=-1.0, description="One value.")
    high: Value = Field(default=1.0, description="The other.")

    def _values(self, shape: Shape) -> Values:
        up = (self._words(math.prod(shape)) & np.uint64(1)).astype(np.bool_)
        return np.where(up, self.high, self.low).reshape(shape)


class SmallIntegers(Seeded):
    """Expose wrong formulas without rounding: sums are exact. Integers of `low` to `high`."""

    fill: Literal["small_integers"] = "small_integers"
    low: StrictInt = Field(default=-8, ge=-_INT32, lt=_INT32, description="Smallest value.")
    high: StrictInt = Field(default=8, ge=-_INT32, lt=_INT32, description="Largest value.")

    @model_validator(mode="after")
    def _ordered(self) -> SmallIntegers:
        _check_order(self.low, self.high)
        return self

    def _values(self, shape: Shape) -> Values:
        steps = bits.below(self._words(math.prod(shape)), self.high - self.low + 1)
        return (steps + self.low).astype(np.float64).reshape(shape)


class Special(Seeded):
    """Expose nan and infinity that leak into other channels, or that vanish.

    z everywhere but at one element of one channel, counted in (N, H, W) order.
    """

    fill: Literal["special"] = "special"
    value: Value = Field(
        default=math.nan,
        description="What stands there, nan by default; nan, inf or any other number.",
        json_schema_extra=_without_default,
    )
    channel: StrictInt = Field(default=0, ge=0, description="Its channel.")
    index: StrictInt = Field(default=0, ge=0, description="Its place among the channel's values.")

    def _values(self, shape: Shape) -> Values:
        rows = np.array(to_rows(self._bells(shape), shape))
        return from_rows(place(rows, self.value, self.channel, self.index, self.fill), shape)


def _check_order(low: float, high: float) -> None:
    if low > high:
        raise ValueError(f"low {low} is above high {high}: exchange them")
