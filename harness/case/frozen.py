"""Values that cannot be changed, are hashable, and are equal where their numbers are."""

from __future__ import annotations

import math
from typing import Any, NoReturn

from pydantic_core import PydanticCustomError

RANK = 8
"""Most dimensions of an array."""


class FrozenDict(dict[str, Any]):
    """A mapping that cannot be changed."""

    def __hash__(self) -> int:  # type: ignore[override]  # dict says that it has none
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[type[FrozenDict], tuple[dict[str, Any]]]:
        return FrozenDict, (dict(self),)

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a case cannot be changed")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse


def numbers(value: object) -> object:
    """Return numbers in nested lists as tuples, every nan the same object.

    Raises
    ------
    PydanticCustomError
        A number is none, or the lists differ in length; its context has the `path` to the place.
    """
    frozen = _frozen(value, ())
    _check_lengths(frozen, ())
    return frozen


def shape_of(value: object) -> tuple[int, ...]:
    """Return the shape of what `numbers` returned."""
    if not isinstance(value, tuple):
        return ()
    return (len(value), *(shape_of(value[0]) if value else ()))


def _frozen(value: object, path: tuple[int, ...]) -> object:
    if isinstance(value, list | tuple):
        if len(path) == RANK:
            raise _error("lists nested deeper than {limit} levels", path, limit=RANK)
        return tuple(_frozen(item, (*path, index)) for index, item in enumerate(value))
    if isinstance(value, float):
        return math.nan if math.isnan(value) else float(value)
    if isinstance(value, bool | int):
        return value
    raise _error("expected a number, found {found}", path, found=shown(value))


def _check_lengths(value: object, path: tuple[int, ...]) -> None:
    """Refuse lists that are not the rows of an array; the first row gives the shape."""
    if not isinstance(value, tuple) or not any(isinstance(item, tuple) for item in value):
        return
    expected = shape_of(value[0])
    for index, item in enumerate(value):
        _check_lengths(item, (*path, index))
        found = shape_of(item)
        if found != expected:
            raise _error(
                "the lists of an array differ in shape: {found} here, {expected} before",
                (*path, index),
                found=str(list(found)),
                expected=str(list(expected)),
            )


def _error(message: str, path: tuple[int, ...], **context: Any) -> PydanticCustomError:  # noqa: ANN401
    template: Any = message  # the library wants a literal, for its translators
    return PydanticCustomError("values", template, {"path": path, **context})


def shown(value: object) -> str:
    """Return a value as YAML would spell it, cut to 40 characters."""
    if value is None or isinstance(value, bool):
        text = {None: "null", True: "true", False: "false"}[value]
    elif isinstance(value, dict):
        text = "a mapping"
    elif isinstance(value, list | tuple):
        text = "a list"
    elif isinstance(value, float) and not math.isfinite(value):
        text = ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    else:
        text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else text[:37] + "..."  # noqa: PLR2004
