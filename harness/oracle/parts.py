"""Parts of rows, small enough that what is worked out of them stays in the processor's cache.

Elements are independent once their channel's sums are known. An array of some megabytes costs
three times as much for each operation as the same elements part by part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Part: TypeAlias = tuple[slice, slice]
"""Which channels, and which elements of each."""

Terms: TypeAlias = Callable[[Part], NDArray[Any]]
"""What makes the terms of a sum, part by part."""

WHOLE: Part = slice(None), slice(None)

ELEMENTS = 2**15
"""Elements of a part: some arrays of float64 are within 2 MiB."""

_UNROLLED = 8
"""NumPy's pairwise sum halves a row at a multiple of this."""


def parts(shape: tuple[int, int]) -> Iterator[Part]:
    """Yield the parts of rows (C, n), in the order of C; one part where the rows are short."""
    channels, n = shape
    if channels * n <= ELEMENTS:
        yield WHOLE
        return
    columns = min(n, ELEMENTS)
    height = max(1, ELEMENTS // columns)
    for top in range(0, channels, height):
        for left in range(0, n, columns):
            yield slice(top, min(top + height, channels)), slice(left, min(left + columns, n))


def taken(array: NDArray[Any], part: Part) -> NDArray[Any]:
    """Return a part of an array that has rows (C, n), (1, n), columns (C, 1) or one value."""
    if part is WHOLE:
        return array
    channels, elements = part
    if array.shape[0] == 1:
        channels = slice(None)
    return array[channels] if array.shape[1] == 1 else array[channels, elements]


def summed(terms: Terms, shape: tuple[int, int]) -> NDArray[Any]:
    """Return Σ along axis 1 of terms (C, n) that are made part by part, as (C, 1).

    The parts of a row are added as `np.add.reduce` adds its halves, so that the sum has its bits.
    """
    channels, n = shape
    if channels * n <= ELEMENTS:
        return _sum(terms(WHOLE))
    height = max(1, ELEMENTS // max(n, 1))
    tops = range(0, channels, height)
    whole: NDArray[Any] = np.concatenate(
        [_halved(terms, slice(top, top + height), 0, n) for top in tops]
    )
    return whole


# Not within `summed`: a function that knows itself keeps what it has met until Python looks.
def _halved(terms: Terms, rows: slice, left: int, right: int) -> NDArray[Any]:
    if right - left <= ELEMENTS:
        return _sum(terms((rows, slice(left, right))))
    half = (right - left) // 2
    middle = left + half - half % _UNROLLED
    sums: NDArray[Any] = _halved(terms, rows, left, middle) + _halved(terms, rows, middle, right)
    return sums


def _sum(rows: NDArray[Any]) -> NDArray[Any]:
    total: NDArray[Any] = np.add.reduce(rows, axis=1, keepdims=True)
    return total
