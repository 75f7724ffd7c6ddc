"""How two traces of a case differ, each kind of difference by a name of its own."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.trace import RESULTS, STATE, Array, Raised, StepTrace, Trace, same_bits


@dataclass(frozen=True)
class Difference:
    """One way in which two traces of a case differ.

    Attributes
    ----------
    what : str
        The kind; differences of one kind are one change.
    old, new : str
        What the two versions did.
    quantity : str
        The array that it is about, empty where it is an error.
    step : int
        From 0; -1 is the constructor.
    """

    what: str
    old: str
    new: str
    quantity: str = ""
    step: int = -1


def differences(old: Trace, new: Trace) -> Iterator[Difference]:
    """Yield how two traces differ; nothing after an error that only one of them has."""
    for name in ("unsupported", "raised"):
        one, other = getattr(old, name), getattr(new, name)
        if one is not None or other is not None:
            if _kind(one) != _kind(other):
                yield Difference("the constructor", _told(one), _told(other))
            return
    for before, since in zip(old.steps, new.steps, strict=False):
        if _kind(before.raised) != _kind(since.raised):
            what = _sentence(before.raised, since.raised)
            yield Difference(what, _told(before.raised), _told(since.raised), step=before.step)
            if (before.raised is None) != (since.raised is None):
                return
        yield from _step(before, since)


def _step(old: StepTrace, new: StepTrace) -> Iterator[Difference]:
    for quantity in (*RESULTS, *STATE):
        one, other = (
            (each.results if quantity in RESULTS else each.state).get(quantity)
            for each in (old, new)
        )
        if one is None or other is None:
            if one is not other:
                yield Difference(
                    f"{quantity}: presence", _form(one), _form(other), quantity, old.step
                )
            continue
        if one.dtype != other.dtype or one.shape != other.shape:
            yield Difference(f"{quantity}: form", _form(one), _form(other), quantity, old.step)
        elif not same_bits(one, other):
            yield _value(quantity, old.step, one, other)
        layouts = old.layouts.get(quantity), new.layouts.get(quantity)
        if layouts[0] != layouts[1]:
            told = ["+".join(sorted(each or ())) or "strided" for each in layouts]
            yield Difference(f"{quantity}: layout", told[0], told[1], quantity, old.step)
    if old.replaced is not None and new.replaced is not None:
        for quantity in sorted(old.replaced ^ new.replaced):
            told = [
                "replaced" if quantity in each else "updated in place"
                for each in (old.replaced, new.replaced)
            ]
            what = f"{quantity}: {told[0]} → {told[1]}"
            yield Difference(what, told[0], told[1], quantity, old.step)


def _value(quantity: str, step: int, old: Array, new: Array) -> Difference:
    """Return how two arrays differ: by the kinds of their values if they can be told so."""
    one, other = (each.astype(np.complex128).real.reshape(-1) for each in (old, new))
    kinds = np.array([_class(each) for each in one]), np.array([_class(each) for each in other])
    apart = np.flatnonzero(kinds[0] != kinds[1])
    with np.errstate(all="ignore"):
        at = int(apart[0]) if apart.size else int(np.nanargmax(np.abs(one - other)))
    change = f"{kinds[0][at]} → {kinds[1][at]}" if apart.size else "digits"
    return Difference(f"{quantity}: {change}", f"{one[at]:.9g}", f"{other[at]:.9g}", quantity, step)


def _class(value: float) -> str:
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf"
    return "number" if value else "zero"


def _kind(raised: Raised | str | None) -> object:
    """Return what counts of an error: its type, and its message but for numbers."""
    if isinstance(raised, Raised):
        return raised.type, re.sub(r"[-+\d.e]+", "#", raised.message)[:60]
    return raised and "unsupported"


def _sentence(old: Raised | None, new: Raised | None) -> str:
    """Return the name of a change of error: one for each kind of message."""
    told = [_told(each) for each in (old, new)]
    return "error: " + re.sub(r"[-+]?\d[\d.e+-]*", "#", f"{told[0][:70]} → {told[1][:70]}")


def _told(raised: Raised | str | None) -> str:
    text = str(raised or "no error").strip()
    return " ".join(text.split())[:160]


def _form(array: Array | None) -> str:
    return "None" if array is None else f"{array.dtype.name} {list(array.shape)}"
