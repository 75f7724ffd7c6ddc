"""What an explanation is made of, whatever form it is shown in."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.trace import Array

PRINTED = 64
"""Most elements of an array that is printed in full."""


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the case, 2 a step, 3 a part of it."""

    level: int
    text: str


@dataclass(frozen=True)
class Words:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Lines:
    """Arithmetic or an array, set line by line."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Rows of texts."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Plot:
    """Curves over repetitions, counted from 0: before the first."""

    title: str
    curves: Mapping[str, Sequence[float]]


Block = Heading | Words | Lines | Table | Plot


def short(value: float) -> str:
    """Return a number for arithmetic on paper: four digits after the point."""
    value = float(value)
    if not math.isfinite(value):
        return str(value)
    plain = value == 0 or 1e-3 <= abs(value) < 1e5  # noqa: PLR2004  # as NumPy and torch print
    if not plain:
        return f"{value:.4g}".replace("-", "−", 1 if value < 0 else 0)
    digits = f"{value:.4f}".rstrip("0")
    return (digits + "0" if digits.endswith(".") else digits).replace("-", "−")


def bracketed(value: float) -> str:
    """Return a number as `short` does, in brackets where it has a sign."""
    text = short(value)
    return f"({text})" if text.startswith("−") else text


def _like(wide: Array) -> str:
    finite = wide[np.isfinite(wide)]
    like = ["nothing finite"]
    if finite.size:
        like = [
            f"from {short(finite.min())} to {short(finite.max())}",
            f"mean {short(finite.mean())}",
        ]
    special = {"nan": np.isnan(wide), "inf": np.isposinf(wide), "-inf": np.isneginf(wide)}
    counts = [(word, np.count_nonzero(mask)) for word, mask in special.items()]
    return ", ".join([*like, *(f"{count:,} {word}" for word, count in counts if count)])


def printed(array: Array) -> str:
    """Return an array with four digits after the point, as torch prints it.

    Of a large array, what it is like.
    """
    if array.size > PRINTED:
        return f"{array.dtype.name}, shape {array.shape}: {_like(array.astype(np.float64))}"
    if array.dtype.kind in "biuc":
        return np.array2string(array, separator=", ")
    wide = array.astype(np.float64)
    values = np.abs(wide[np.isfinite(wide) & (wide != 0)])
    plain = not values.size or (1e-3 <= values.max() < 1e5)  # noqa: PLR2004
    style = {"float_kind": (lambda x: f"{x:.4f}") if plain else (lambda x: f"{x:.4e}")}
    return np.array2string(wide, separator=", ", formatter=style)  # type: ignore[arg-type]
