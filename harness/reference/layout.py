"""Memory layouts: which one torch sees in an array, and arrays of that layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from harness.reference.mathematics import Array


def is_channels_last(x: Array) -> bool:
    """Tell whether torch suggests channels_last for an array (N, C, H, W) that has elements.

    The strides decide, dense or not, and where sizes of 1 leave both readings open the answer
    is no (`is_channels_last_strides_2d` of `c10/core/MemoryFormat.h`).
    """
    if x.strides[1] == 0:
        return False
    least = 0
    for axis in (1, 3, 2, 0):
        size, stride = x.shape[axis], x.strides[axis]
        if stride < least:
            return False
        least = stride * size
    return True


def is_dense(x: Array) -> bool:
    """Tell whether `x` fills its memory in the order of either layout."""
    return x.flags.c_contiguous or x.transpose(0, 2, 3, 1).flags.c_contiguous


def empty(shape: tuple[int, ...], dtype: np.dtype[Any], *, channels_last: bool) -> Array:
    """Return a new array of shape (N, C, H, W), contiguous or channels_last."""
    if not channels_last:
        return np.empty(shape, dtype)
    n, c, h, w = shape
    return np.empty((n, h, w, c), dtype).transpose(0, 3, 1, 2)


def channels(x: Array, dtype: np.dtype[Any]) -> Array:
    """Return `x` (N, C, H, W) as a contiguous (N, C, H·W) array of `dtype`, copied if need be."""
    n, c, h, w = x.shape
    return np.ascontiguousarray(x, dtype).reshape(n, c, h * w)


def write(x: Array, dtype: np.dtype[Any], compute: Callable[[Array], None]) -> None:
    """Have `compute` fill a contiguous (N, C, H·W) array of `dtype`, for `x` (N, C, H, W).

    It is a view of `x` where layout and type allow.
    """
    n, c, h, w = x.shape
    if x.dtype == dtype and x.flags.c_contiguous:
        compute(x.reshape(n, c, h * w))
    else:
        out = np.empty((n, c, h * w), dtype)
        compute(out)
        x[...] = out.reshape(x.shape)
