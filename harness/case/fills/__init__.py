"""Fills: recipes that give the same input bits on every machine, NumPy version and language.

    FILLS["normal"](mean=3, std=2, seed=1).draw((4, 2, 3, 3))

A fill is drawn in float64 and then rounded by `to_dtype`. Only exact integer arithmetic, the five
basic operations of IEEE 754 in the order written, comparison and correctly rounded sums make it.
"""

from __future__ import annotations

from typing import Annotated, get_args

from pydantic import Field

from harness.case.fills.base import Recipe
from harness.case.fills.cast import to_dtype
from harness.case.fills.gradient import OneHot, Proportional, ZeroSum
from harness.case.fills.lattice import Exact
from harness.case.fills.plain import Alternating, Arange, Constant, Ones, Ramp, Zeros
from harness.case.fills.random import (
    Lognormal,
    Normal,
    Offset,
    Outlier,
    Relu,
    SmallIntegers,
    Sorted,
    Special,
    TwoValued,
    Uniform,
)
from harness.case.fills.range import FewUlps, Huge, NearEps, Subnormal, Tiny

__all__ = ["FILLS", "Fill", "Recipe", "to_dtype"]

Fill = Annotated[
    Zeros
    | Ones
    | Constant
    | Arange
    | Ramp
    | Alternating
    | Uniform
    | Normal
    | Offset
    | Relu
    | Sorted
    | Lognormal
    | Outlier
    | TwoValued
    | SmallIntegers
    | Special
    | Exact
    | FewUlps
    | NearEps
    | Tiny
    | Huge
    | Subnormal
    | OneHot
    | ZeroSum
    | Proportional,
    Field(discriminator="fill"),
]
"""Any fill, told apart by its `fill` key."""

FILLS: dict[str, type[Recipe]] = {recipe.name(): recipe for recipe in get_args(get_args(Fill)[0])}
"""Every fill by its name, in the order of the documentation."""
