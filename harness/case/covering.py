"""Combinations of axes' values: all, or enough that every pair or triple occurs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Literal

from covertable import make_async

Strength = Literal["full", 2, 3]

CASES = 10_000_000
"""Most cases of a matrix."""
EFFORT = 30_000_000
"""Most pairs or triples times the fewest cases that can cover them: half a minute's search."""


def combinations(sizes: list[int], strength: Strength) -> Iterator[tuple[int, ...]]:
    """Yield indices into axes of these sizes, in a fixed order."""
    # The library wants no axis of one value, and more axes than the strength.
    varied = [index for index, size in enumerate(sizes) if size > 1]
    if strength == "full" or len(varied) <= strength:
        yield from itertools.product(*map(range, sizes))
        return
    axes = [list(range(sizes[index])) for index in varied]
    for row in make_async(axes, strength=strength):
        chosen = dict(zip(varied, row, strict=True))
        yield tuple(chosen.get(index, 0) for index in range(len(sizes)))


def excess(sizes: list[int], strength: Strength) -> str | None:
    """Return why the axes have too many combinations, None if they have not."""
    count = math.prod(sizes)
    varied = [size for size in sizes if size > 1]
    if strength == "full" or len(varied) <= strength:
        if count > CASES:
            hint = "" if strength != "full" else "; give it fewer values, or strength 2 or 3"
            return f"the matrix has {count} cases, the limit is {CASES}{hint}"
        return None
    products = [math.prod(chosen) for chosen in itertools.combinations(varied, strength)]
    if sum(products) * max(products) > EFFORT:
        kind = {2: "pairs", 3: "triples"}[strength]
        words = f"the matrix has {sum(products)} {kind} of values"
        return f"{words}, too many to search a cover of; give its axes fewer"
    return None
