"""Cases that say the same with less: what a failing case may be reduced to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from pydantic import ValidationError

from harness.case.model import Case

_PLAIN = "arange"
_KEPT = frozenset(("fill", "shape", "dtype", "layout"))


def simpler(case: Case) -> Iterator[Case]:
    """Yield every valid case that is one reduction away, those that leave out most first.

    A reduction takes out a step, or a key of a mapping anywhere; or makes a fill plain, or a shape
    smaller.
    """
    spelled = case.model_dump(exclude_unset=True, by_alias=True)
    for reduced in chain(_shorter(spelled), _reduced(spelled)):
        try:
            candidate = Case.model_validate(reduced)
        except ValidationError:
            continue
        if candidate != case:
            yield candidate


def _shorter(case: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the case without one of its steps, those after it named by their new numbers."""
    steps = case.get("steps", ())
    for index in range(len(steps)):
        rest = [*steps[:index], *steps[index + 1 :]]
        yield {**case, "steps": [_renumbered(step, index + 1) for step in rest]}


def _renumbered(step: Mapping[str, Any], gone: int) -> Mapping[str, Any]:
    later = step.get("backward")
    if later is None or later["of"] <= gone:
        return step
    return {**step, "backward": {**later, "of": later["of"] - 1}}


def _reduced(value: Any) -> Iterator[Any]:  # noqa: ANN401  # whatever a case is spelled in
    if isinstance(value, Mapping):
        yield from _mapping(value)
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        for index in range(len(value)):
            yield [*value[:index], *value[index + 1 :]]
        for index, item in enumerate(value):
            for simple in _reduced(item):
                yield [*value[:index], simple, *value[index + 1 :]]


def _mapping(value: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name in value:
        yield {key: item for key, item in value.items() if key != name}
    if value.get("fill", _PLAIN) != _PLAIN:
        yield {key: item for key, item in value.items() if key in _KEPT} | {"fill": _PLAIN}
    for shape in _smaller(value.get("shape", ())):
        yield {**value, "shape": shape}
    for name, item in value.items():
        for simple in _reduced(item):
            yield {**value, name: simple}


def _smaller(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield the shape with one of its sizes, but for the channels, smaller."""
    for axis, size in enumerate(shape):
        for less in sorted({1, size // 2, size - 1} if axis != 1 else ()):
            if 0 < less < size:
                yield (*shape[:axis], less, *shape[axis + 1 :])
