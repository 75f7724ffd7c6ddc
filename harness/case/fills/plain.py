"""Fills without randomness."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from pydantic import Field, StrictFloat

from harness.case.fills.base import Recipe, Shape, Value, Values, column


class Zeros(Recipe):
    """Expose a division by a variance of zero without eps. Every value is 0."""

    fill: Literal["zeros"] = "zeros"

    def _values(self, shape: Shape) -> Values:
        return np.zeros(shape)


class Ones(Recipe):
    """Expose what happens at variance zero away from the origin. Every value is 1."""

    fill: Literal["ones"] = "ones"

    def _values(self, shape: Shape) -> Values:
        return np.ones(shape)


class Constant(Recipe):
    """Expose rounding in the mean, and x·α + β where it cancels. Every value is `value`."""

    fill: Literal["constant"] = "constant"
    value: Value = Field(default=1.0, description="Every value; may be nan or infinite.")

    def _values(self, shape: Shape) -> Values:
        return np.full(shape, self.value)


class Arange(Recipe):
    """Expose swapped axes and strides: all values differ. start + step·i in row-major order."""

    fill: Literal["arange"] = "arange"
    start: StrictFloat = Field(default=0.0, description="First value.")
    step: StrictFloat = Field(default=1.0, description="Difference of neighbours.")

    def _values(self, shape: Shape) -> Values:
        index = np.arange(math.prod(shape)).astype(np.float64)
        return (self.start + self.step * index).reshape(shape)


class Ramp(Recipe):
    """Expose merged partial statistics that forget the difference of their means.

    Channel c is (c + 1)·(low + (high - low)·k/(n - 1)), k = 0 to n - 1; for n = 1, (c + 1)·low.
    """

    fill: Literal["ramp"] = "ramp"
    low: StrictFloat = Field(default=-1.0, description="First value of channel 0.")
    high: StrictFloat = Field(default=1.0, description="Last value of channel 0.")

    def _rows(self, channels: int, n: int) -> Values:
        way = np.arange(n).astype(np.float64) / max(n - 1, 1)
        return _multiples(channels) * (self.low + (self.high - self.low) * way)


class Alternating(Recipe):
    """Expose lost low bits in sums that cancel: the terms are large, their mean is small.

    Channel c is (c + 1)·((-1)^k·amplitude + drift·k), k = 0 to n - 1.
    """

    fill: Literal["alternating"] = "alternating"
    amplitude: StrictFloat = Field(default=1024.0, description="Size of the terms that cancel.")
    drift: StrictFloat = Field(default=2.0**-10, description="What each step adds.")

    def _rows(self, channels: int, n: int) -> Values:
        index = np.arange(n)
        sign = 1.0 - 2.0 * (index & 1).astype(np.float64)
        return _multiples(channels) * (
            sign * self.amplitude + self.drift * index.astype(np.float64)
        )


def _multiples(channels: int) -> Values:
    return column(np.arange(1, channels + 1).astype(np.float64))
