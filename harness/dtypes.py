"""The element types that a case can name, and the constants of their arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args

import ml_dtypes
import numpy as np

Floating = Literal["float16", "bfloat16", "float32", "float64"]
"""Types that batch normalisation is defined for."""

FLOATING = get_args(Floating)

OTHERS = ("bool", "uint8", "int32", "int64", "complex64")
"""Types that it refuses; a case names them to see how."""

_SPECIAL = {"bfloat16": np.dtype(ml_dtypes.bfloat16)}


@cache
def dtype(name: str) -> np.dtype[Any]:
    """Return the NumPy type called `name` ("float32", "bfloat16", ...)."""
    return _SPECIAL.get(name) or np.dtype(name)


@cache
def name_of(dtype: np.dtype[Any]) -> str:
    """Return the type's name; NumPy takes longer than an addition of arrays to make it."""
    return dtype.name


@dataclass(frozen=True)
class Precision:
    """The constants of a floating type (IEEE 754-2019, section 3.3; bfloat16 alike)."""

    name: str
    bits: int
    """Bits of the significand, the hidden one included."""
    unit: float
    """Unit roundoff u = 2^-bits: the largest relative error of rounding to nearest."""
    tiny: float
    """Smallest positive normal number."""
    subnormal: float
    """Smallest positive number."""
    max: float
    """Largest finite number."""


@cache
def precision(name: str) -> Precision:
    """Return the constants of the floating type called `name`."""
    info = ml_dtypes.finfo(dtype(name))  # type: ignore[no-untyped-call]  # it has no types
    return Precision(
        name=name,
        bits=info.nmant + 1,
        unit=2.0 ** -(info.nmant + 1),
        tiny=float(info.tiny),
        subnormal=float(info.smallest_subnormal),
        max=float(info.max),
    )
