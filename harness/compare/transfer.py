"""What a target's state must be after something that computes no statistics.

Targets may carry slightly different running statistics, all within their bounds. So a step that
moves arrays about (set, cast, load, a step that raises) is not compared by values: what the
baseline did to its own array must have been done to the target's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.trace import Array, same_bits

Arrays = Mapping[str, Array | None]


@dataclass(frozen=True, slots=True)
class Moves:
    """Where an array of the state can come from.

    Attributes
    ----------
    before, after : mapping of str to array or None
        The state around the step.
    loaded : mapping of str to array
        The state_dict that the step loads; empty for other steps.
    """

    before: Arrays
    after: Arrays
    loaded: Mapping[str, Array]


def expected(name: str, baseline: Moves, target: Moves) -> Array | None:
    """Return what the target's array must be, bit for bit, after the step.

    Parameters
    ----------
    name : str
        One of the names of the state.
    baseline, target : Moves
        The same step in both.
    """
    after = baseline.after[name]
    if after is None:
        return None
    for old, new in (
        (baseline.before[name], target.before[name]),
        (baseline.loaded.get(name), target.loaded.get(name)),
    ):
        if old is not None and new is not None and _cast(old, after):
            return _as(new, after)
    if name == "num_batches_tracked" and baseline.before[name] is not None:
        counted = target.before[name]
        if counted is not None and after.dtype.kind == "i":
            return np.asarray(counted + (after - baseline.before[name]), dtype=after.dtype)
    return after


def _cast(old: Array, after: Array) -> bool:
    return old is after or (old.shape == after.shape and same_bits(_as(old, after), after))


def _as(array: Array, like: Array) -> Array:
    if array.dtype == like.dtype:
        return array
    plain = array if like.dtype.kind == "c" else array.real
    with np.errstate(all="ignore"):
        return plain.astype(like.dtype)
