"""Arrays that are drawn once: cases of a matrix, and all who execute them, ask for the same."""

from __future__ import annotations

import math
from functools import lru_cache
from threading import Lock
from typing import Protocol

from cachetools import LRUCache, cached

from harness.trace import Array

Shape = tuple[int, ...]

SMALL = 2**12
"""Most elements of an array that is kept for the next case with the same recipe."""

_FOR_NOW = 2**27
"""Bytes of larger arrays that are kept: the next implementation, and the oracle, take the same."""


class Spec(Protocol):
    """What draws arrays."""

    @property
    def size(self) -> Shape | None:
        """The shape that it spells."""

    @property
    def dtype(self) -> str | None:
        """The type that it spells."""

    def drawn(self, shape: Shape, dtype: str, like: Array | None) -> Array:
        """Return the elements, new."""


class Recipe(str):
    """The text of a spec, by which it is known."""

    __slots__ = ("spec",)
    spec: Spec


class Made:
    """The arrays of a spec.

    Parameters
    ----------
    spec : Spec
    text : str or None
        Equal for specs that draw the same; None where no other does.
    """

    def __init__(self, spec: Spec, text: str | None) -> None:
        self._spec = spec
        self._recipe: Recipe | None = None
        if text is not None:
            self._recipe = Recipe(text)
            self._recipe.spec = spec
        self._arrays: dict[tuple[Shape, str], tuple[Array | None, Array]] = {}

    def array(self, shape: Shape, dtype: str, like: Array | None) -> Array:
        """Return the elements in C order, read-only.

        Parameters
        ----------
        shape, dtype : tuple of int, str
            Used where the spec does not spell one.
        like : array or None
            The step's input.
        """
        found = self._arrays.get((shape, dtype))
        if found is not None and found[0] is like:
            return found[1]
        array = self._drawn(shape, dtype, like)
        if array.size <= SMALL:
            self._arrays[shape, dtype] = like, array
        return array

    def _drawn(self, shape: Shape, dtype: str, like: Array | None) -> Array:
        spec, recipe = self._spec, self._recipe
        shape = shape if spec.size is None else spec.size
        dtype = spec.dtype or dtype
        if recipe is None:
            return spec.drawn(shape, dtype, like)
        kept = _kept if math.prod(shape) <= SMALL else _kept_for_now
        return kept(recipe, shape, dtype)


@lru_cache(maxsize=4096)
def _kept(recipe: Recipe, shape: Shape, dtype: str) -> Array:
    return recipe.spec.drawn(shape, dtype, None)


@cached(LRUCache(_FOR_NOW, getsizeof=lambda array: array.nbytes), lock=Lock())
def _kept_for_now(recipe: Recipe, shape: Shape, dtype: str) -> Array:
    return recipe.spec.drawn(shape, dtype, None)
