"""From float64 to the type that a case names."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.dtypes import dtype


def to_dtype(values: NDArray[np.float64], name: str) -> NDArray[Any]:
    """Return float64 `values` in the type called `name`, as a new array of the same shape.

    float64: unchanged. float32, float16: rounded to nearest, ties to even. bfloat16: rounded to
    float32, then to bfloat16. What is too large becomes infinite.
    Integers: truncated towards zero, then brought into the type's range; nan is 0.
    bool: whether the value is not 0. complex64: the float32 with imaginary part 0.
    """
    with np.errstate(all="ignore"):
        if name == "bfloat16":
            return values.astype(np.float32).astype(dtype(name))
        if dtype(name).kind in "iu":
            return _truncate(values, dtype(name))
        return values.astype(dtype(name))


def _truncate(values: NDArray[np.float64], kind: np.dtype[Any]) -> NDArray[Any]:
    # What C leaves undefined, a value out of range, must not reach astype.
    info = np.iinfo(kind)
    above = values >= float(info.max)
    below = values <= float(info.min)
    whole = np.where(above | below | np.isnan(values), 0.0, values).astype(kind)
    return np.where(above, kind.type(info.max), np.where(below, kind.type(info.min), whole))
