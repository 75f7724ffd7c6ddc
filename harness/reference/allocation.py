"""New parameters and statistics, with torch's words for sizes and types that it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.reference.checks import is_floating
from harness.reference.mathematics import Array


def parameter(num_features: object, dtype: np.dtype[Any]) -> Array:
    """Return a new array for a parameter, one element a channel.

    Raises
    ------
    TypeError
        `num_features` is not an integer.
    RuntimeError
        `num_features` is negative, or a parameter of this type could have no gradient.
    """
    shape = _shape(num_features, "empty")
    if min(shape, default=0) < 0:
        raise RuntimeError(
            f"Trying to create tensor with negative dimension {min(shape)}: {list(shape)}"
        )
    if not is_floating(dtype):
        raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
    return np.empty(shape, dtype)


def statistic(num_features: object, dtype: np.dtype[Any]) -> Array:
    """Return a new array for a running statistic, one element a channel.

    Raises
    ------
    TypeError
        `num_features` is not an integer.
    RuntimeError
        `num_features` is negative.
    """
    shape = _shape(num_features, "zeros")
    if min(shape, default=0) < 0:
        raise RuntimeError("zeros: Dimension size must be non-negative.")
    return np.empty(shape, dtype)


def fill(array: Array | None, value: int, method: str) -> None:
    """Set every element; None lacks the method that torch would call: AttributeError."""
    if array is None:
        raise AttributeError(f"'NoneType' object has no attribute '{method}'")
    array[...] = value


def _shape(num_features: object, function: str) -> tuple[int, ...]:
    if isinstance(num_features, (tuple, list)):
        return tuple(num_features)
    if isinstance(num_features, bool) or not isinstance(num_features, (int, np.integer)):
        raise TypeError(
            f"{function}(): argument 'size' (position 1) must be tuple of ints,"
            f" not {type(num_features).__name__}"
        )
    return (int(num_features),)
