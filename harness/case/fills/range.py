"""Fills at the edges of a floating type's range and resolution."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, StrictFloat, StrictInt, model_validator

from harness.case.fills import bits
from harness.case.fills.base import Seeded, Shape, Values
from harness.case.fills.cast import to_dtype
from harness.dtypes import precision

Floating = Literal["float16", "bfloat16", "float32", "float64"]


class FewUlps(Seeded):
    """Expose variances that cancellation makes negative or zero: a constant but for its last bits.

    value + k·ulp, k an even choice of -ulps to ulps; `value` is rounded to the type, and ulp is the
    type's spacing at and above |value|.
    """

    fill: Literal["few_ulps"] = "few_ulps"
    value: StrictFloat = Field(default=1.0, description="What all values are near.")
    ulps: StrictInt = Field(default=3, ge=0, le=2**20, description="Largest distance from it.")
    precision: Floating = Field(default="float32", description="Type whose spacing is meant.")

    @model_validator(mode="after")
    def _in_range(self) -> FewUlps:
        if not abs(self.value) <= precision(self.precision).max:
            raise ValueError(
                f"value {self.value} is not a finite {self.precision}: "
                f"choose one within ±{precision(self.precision).max}"
            )
        return self

    def _values(self, shape: Shape) -> Values:
        value = float(to_dtype(np.array(self.value), self.precision))
        steps = bits.below(self._words(math.prod(shape)), 2 * self.ulps + 1) - self.ulps
        return (value + steps.astype(np.float64) * self._ulp(value)).reshape(shape)

    def _ulp(self, value: float) -> float:
        kind = precision(self.precision)
        power = math.frexp(value)[1] - kind.bits
        return max(math.ldexp(1.0, power), kind.subnormal) if value else kind.subnormal


class NearEps(Seeded):
    """Expose a misplaced or wrong eps: the variance is about `factor`·eps. √(factor·eps)·z."""

    fill: Literal["near_eps"] = "near_eps"
    iid: ClassVar[bool] = True
    eps: StrictFloat = Field(default=1e-5, ge=0, description="The module's eps.")
    factor: StrictFloat = Field(default=1.0, ge=0, description="Variance over eps.")

    def _values(self, shape: Shape) -> Values:
        return math.sqrt(self.factor * self.eps) * self._bells(shape)


class Tiny(Seeded):
    """Expose an eps outside the root: the variance vanishes beside eps. z·2^-40 by default."""

    fill: Literal["tiny"] = "tiny"
    iid: ClassVar[bool] = True
    exponent: StrictInt = Field(
        default=-40, ge=-1074, le=1023, description="z is scaled by 2^this."
    )

    def _values(self, shape: Shape) -> Values:
        return self._bells(shape)


class Huge(Seeded):
    """Expose squares that overflow and an eps that scales with the data. z·2^40 by default."""

    fill: Literal["huge"] = "huge"
    iid: ClassVar[bool] = True
    exponent: StrictInt = Field(default=40, ge=-1074, le=1023, description="z is scaled by 2^this.")

    def _values(self, shape: Shape) -> Values:
        return self._bells(shape)


class Subnormal(Seeded):
    """Expose flushing to zero: odd multiples of the type's smallest number, below its normals."""

    fill: Literal["subnormal"] = "subnormal"
    precision: Floating = Field(default="float32", description="Type whose subnormals are meant.")

    def _values(self, shape: Shape) -> Values:
        kind = precision(self.precision)
        source = self._words(math.prod(shape))
        odd = (source >> np.uint64(66 - kind.bits) << np.uint64(1)) | np.uint64(1)
        return (bits.signs(source) * odd.astype(np.float64) * kind.subnormal).reshape(shape)
