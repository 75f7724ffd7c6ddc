"""What a class supports: the arguments that it takes, and arrays of numbers that it gives."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

import numpy as np

from harness.case.model import ModuleConfig
from harness.trace import Array, same_bits

T = TypeVar("T")


class Unsupported(Exception):  # noqa: N818  # no mistake, an answer
    """The target lacks what the case asks for; its text is the reason for the user."""


def replaced(
    before: Mapping[str, Any], now: Mapping[str, Any], same_memory: Callable[[Any, Any], bool]
) -> frozenset[str]:
    """Return the names of what was there before, and is now another, elsewhere in memory, or none.

    Parameters
    ----------
    before, now : mapping of str to object or None
        What holds an array, by the same names in the same order; `before` may be empty.
    same_memory : callable
        Whether two of them hold it in the same place.
    """
    if all(map(operator.is_, before.values(), now.values())):
        return frozenset()
    return frozenset(
        name
        for name, each in before.items()
        if each is not now[name] and each is not None and not same_memory(each, now[name])
    )


def copied(array: Array, last: Array | None) -> Array:
    """Return a copy of an array; the last one, where nothing has changed since."""
    if last is not None and same_bits(array, last):
        return last
    return array.copy()


def numeric(value: object, name: str) -> Array:
    """Return a value as an array of numbers.

    Raises
    ------
    TypeError
        It is none.
    """
    array = np.asarray(value)
    dtype = array.dtype
    if dtype.kind in "fiubc":
        return array
    if dtype.hasobject or dtype.names or dtype.kind in "SUmM":
        raise TypeError(f"{name} is no array of numbers but {type(value).__name__}")
    return array


def constructed(cls: Callable[..., T], arguments: dict[str, Any]) -> T:
    """Construct a class with those of the arguments that it knows.

    An argument that it does not know is left out where it has the default of ``nn.BatchNorm2d``.

    Raises
    ------
    Unsupported
        It does not know an argument that matters, or refuses one by NotImplementedError.
    """
    known = _parameters(cls)
    if known is not None and not arguments.keys() <= known:
        left_out = {name for name in arguments.keys() - known if _is_default(name, arguments[name])}
        arguments = {name: value for name, value in arguments.items() if name not in left_out}
        if unknown := sorted(arguments.keys() - known):
            words = " and no argument ".join(unknown)
            raise Unsupported(f"the constructor has no argument {words}")
    try:
        return cls(**arguments)
    except NotImplementedError as error:
        raise Unsupported(str(error) or "the constructor is not implemented") from None


def _is_default(name: str, value: object) -> bool:
    default = ModuleConfig.model_fields[name].default
    # Types of NumPy and torch end in the name that a case spells.
    return str(value).endswith(default) if name == "dtype" else value is default or value == default


@cache
def _parameters(cls: Callable[..., Any]) -> frozenset[str] | None:
    """Return the names of a constructor's arguments, None if it takes any or does not tell."""
    try:
        parameters = inspect.signature(cls).parameters.values()
    except ValueError:
        return None
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        return None
    return frozenset(each.name for each in parameters)
