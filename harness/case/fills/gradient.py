"""Fills made for grad_output."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StrictFloat, StrictInt

from harness.case.fills.base import Recipe, Seeded, Shape, Value, Values, from_rows, place, to_rows


class OneHot(Recipe):
    """Expose a wrong term of grad_input: it becomes one column of the Jacobian. 1 among 0s.

    `index` counts a channel's values in (N, H, W) order.
    """

    fill: Literal["one_hot"] = "one_hot"
    index: StrictInt = Field(
        default=0, ge=0, description="Place among a channel's values, (N, H, W)."
    )
    channel: StrictInt | None = Field(default=None, ge=0, description="Its channel; null for all.")
    value: Value = Field(default=1.0, description="What stands there.")

    def _rows(self, channels: int, n: int) -> Values:
        return place(np.zeros((channels, n)), self.value, self.channel, self.index, self.fill)


class ZeroSum(Seeded):
    """Expose the term of grad_input with the variance alone: each channel's exact sum is 0.

    Pairs z and -z, shuffled in each channel; a 0 where n is odd.
    """

    fill: Literal["zero_sum"] = "zero_sum"

    def _rows(self, channels: int, n: int) -> Values:
        half = self._bells((channels, n // 2))
        return self._shuffled(np.concatenate([half, -half, np.zeros((channels, n % 2))], axis=1))


class Proportional(Recipe):
    """Expose a wrong variance term: grad_input cancels but for eps. factor·(x - m)/√(v + eps).

    m and v are the mean and the biased variance of each channel of the step's input x: correctly
    rounded sums of float64 values (`math.fsum`), each divided by n. 0 or nan where they overflow.
    """

    fill: Literal["proportional"] = "proportional"
    factor: StrictFloat = Field(default=1.0, description="What x̂ is multiplied by.")
    eps: StrictFloat = Field(default=1e-5, ge=0, description="The module's eps.")

    def _follow(self, shape: Shape, like: NDArray[Any] | None) -> Values:
        if like is None or like.shape != shape:
            found = "none is given" if like is None else f"the one given has shape {like.shape}"
            raise ValueError(
                f"fill 'proportional' needs the step's input in shape {shape}, but {found}: "
                "use it for the grad_output of a step with an input"
            )
        rows = to_rows(like.real.astype(np.float64), shape)
        return from_rows(np.array([self._hat(row) for row in rows]).reshape(rows.shape), shape)

    def _hat(self, row: Values) -> Values:
        centred = row - _mean(row)
        scaled: Values = centred / np.sqrt(_mean(centred * centred) + self.eps)
        return self.factor * scaled


def _mean(values: Values) -> float:
    try:
        return math.fsum(values.tolist()) / max(values.size, 1)
    except (OverflowError, ValueError):  # a sum beyond the range; inf - inf
        return math.nan
