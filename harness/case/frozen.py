"""Values that cannot be changed, and the errors of those that cannot be accepted."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NoReturn, TypeVar

from pydantic import ConfigDict
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from harness.documented import Documented

RANK = 8
"""Most dimensions of an array."""


_Model = TypeVar("_Model", bound="Frozen")


class Frozen(Documented):
    """A model that cannot be changed, and is closed: an unknown key is a mistake.

    What is worked out of one, in cached properties, stays with it: a copy may differ in what it
    depends on, and another process makes its own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    def __copy__(self: _Model) -> _Model:
        """Return a copy of the fields."""
        return self._alone(super().__copy__())

    def __deepcopy__(self: _Model, memo: dict[int, Any] | None = None) -> _Model:
        """Return a copy of the fields and of all that is in them."""
        return self._alone(super().__deepcopy__(memo))

    def __getstate__(self) -> dict[Any, Any]:
        """Return the fields for another process."""
        state = super().__getstate__()
        fields = type(self).model_fields
        own = {name: value for name, value in state["__dict__"].items() if name in fields}
        return {**state, "__dict__": own}

    @classmethod
    def _alone(cls, copied: _Model) -> _Model:
        if len(copied.__dict__) > len(cls.model_fields):
            for name in copied.__dict__.keys() - cls.model_fields.keys():
                del copied.__dict__[name]
        return copied


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
            raise _error(f"lists nested deeper than {RANK} levels", path)
        return tuple(_frozen(item, (*path, index)) for index, item in enumerate(value))
    if isinstance(value, float):
        return math.nan if math.isnan(value) else float(value)
    if isinstance(value, bool | int):
        return value
    raise _error(f"expected a number, found {shown(value)}", path)


def _check_lengths(value: object, path: tuple[int, ...]) -> None:
    """Refuse lists that are not the rows of an array; the first row gives the shape."""
    if not isinstance(value, tuple) or not any(isinstance(item, tuple) for item in value):
        return
    expected = shape_of(value[0])
    for index, item in enumerate(value):
        _check_lengths(item, (*path, index))
        found = shape_of(item)
        if found != expected:
            message = f"this has shape {list(found)}, the first of its list {list(expected)}"
            raise _error(message, (*path, index))


def _error(message: str, path: tuple[int, ...]) -> PydanticCustomError:
    return PydanticCustomError("values", literal(message), {"path": path})


def literal(message: str) -> Any:  # noqa: ANN401
    """Return a message as the type that pydantic wants, which hopes for translations."""
    return message


Misfit = tuple[tuple[str | int, ...], str]
"""A mistake: its location below the value that is validated, and a message."""


def refuse(mistakes: Iterable[Misfit]) -> None:
    """Raise all mistakes."""
    errors = [
        InitErrorDetails(type=PydanticCustomError("fit", literal(message)), loc=loc, input=None)
        for loc, message in mistakes
    ]
    if errors:
        raise ValidationError.from_exception_data("case", errors)


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
