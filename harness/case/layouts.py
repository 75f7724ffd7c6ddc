"""Memory layouts: the same values in other strides, and torch's names for strides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

Layout = Literal["contiguous", "channels_last", "transposed", "sliced", "expanded"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
"""Every layout that an input can name."""

_RANK = {"contiguous": 0, "channels_last": 4, "transposed": 2, "sliced": 1, "expanded": 1}


def arrange(values: NDArray[Any], layout: Layout) -> NDArray[Any]:
    """Return a writable copy of `values`, same shape and type, with the strides of `layout`.

    Parameters
    ----------
    values
        Any shape and type.
    layout
        `contiguous`: row-major. `channels_last`: (N, C, H, W) stored as N, H, W, C.
        `transposed`: the last two axes swapped in memory. `sliced`: every second element of a
        buffer twice as wide; what lies between is nan (for integers the largest value, for
        booleans True), so that a kernel which ignores strides shows itself. `expanded`: stride 0
        along axis 0, so every sample is sample 0: this layout alone changes the values.

    Raises
    ------
    ValueError
        If `layout` is unknown or `values` has too few axes for it (`channels_last` needs four).
    """
    if layout not in _RANK:
        raise ValueError(f"unknown layout {layout!r}: choose one of {', '.join(LAYOUTS)}")
    rank = _RANK[layout]
    if values.ndim < rank or (layout == "channels_last" and values.ndim != rank):
        raise ValueError(
            f"layout {layout!r} needs {rank} axes, but the shape is {values.shape}: "
            "choose layout 'contiguous' or another shape"
        )
    return _ARRANGE[layout](values)


def _contiguous(values: NDArray[Any]) -> NDArray[Any]:
    return values.copy()


def _permuted(values: NDArray[Any], axes: tuple[int, ...], back: tuple[int, ...]) -> NDArray[Any]:
    """Copy with the axes in this order in memory; `back` is the inverse of the permutation."""
    copy = values.transpose(axes).copy().transpose(back)
    if copy.size:
        return copy
    # NumPy gives empty arrays strides of 0, torch the products of sizes.
    strides = dict(zip(axes, _row_major([values.shape[axis] for axis in axes]), strict=True))
    in_bytes = [strides[axis] * values.itemsize for axis in range(values.ndim)]
    return as_strided(copy, values.shape, in_bytes)


def _row_major(shape: Sequence[int]) -> list[int]:
    strides = [1]
    for size in reversed(shape[1:]):
        strides.append(strides[-1] * size)
    return strides[::-1]


def _transposed(values: NDArray[Any]) -> NDArray[Any]:
    *outer, height, width = range(values.ndim)
    swapped = (*outer, width, height)
    return _permuted(values, swapped, swapped)


def _sliced(values: NDArray[Any]) -> NDArray[Any]:
    *outer, width = values.shape
    buffer = np.full((*outer, 2 * width), _gap(values.dtype), dtype=values.dtype)
    buffer[..., ::2] = values
    return buffer[..., ::2]


def _gap(dtype: np.dtype[Any]) -> float:
    if dtype.kind == "b":
        return True
    return np.iinfo(dtype).max if dtype.kind in "iu" else np.nan


def _expanded(values: NDArray[Any]) -> NDArray[Any]:
    # broadcast_to gives a read-only view, which torch.from_numpy warns of.
    sample = _contiguous(values[:1])
    return as_strided(sample, values.shape, (0, *sample.strides[1:]))


_ARRANGE: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "contiguous": _contiguous,
    "channels_last": lambda values: _permuted(values, (0, 2, 3, 1), (0, 3, 1, 2)),
    "transposed": _transposed,
    "sliced": _sliced,
    "expanded": _expanded,
}


def describe(tensor: NDArray[Any] | tuple[Sequence[int], Sequence[int]]) -> frozenset[str]:
    """Return which of "contiguous" and "channels_last" hold, as torch's `is_contiguous` says.

    An array, or (shape, strides in elements). An axis of size 1 may have any stride. A tensor
    without elements is contiguous whatever its strides, but channels_last only if they fit.
    Source: compute_contiguous and compute_channels_last_contiguous_2d in c10/core.
    """
    if isinstance(tensor, np.ndarray):
        return _formats(tensor.shape, tensor.strides, tensor.itemsize)
    shape, strides = tensor
    return _formats(tuple(shape), tuple(strides), 1)


@lru_cache(maxsize=4096)
def _formats(shape: tuple[int, ...], in_bytes: tuple[int, ...], itemsize: int) -> frozenset[str]:
    strides = [stride // itemsize for stride in in_bytes]
    found = set()
    if 0 in shape or _dense(shape, strides, range(len(shape))):
        found.add("contiguous")
    if len(shape) == _RANK["channels_last"] and _dense(shape, strides, (0, 2, 3, 1)):
        found.add("channels_last")
    return frozenset(found)


def _dense(shape: Sequence[int], strides: Sequence[int], axes: Sequence[int]) -> bool:
    expected = 1
    for axis in reversed(axes):
        if shape[axis] != 1:
            if strides[axis] != expected:
                return False
            expected *= shape[axis]
    return True
