"""Scalars of the YAML 1.2 core schema: what `1e-5`, `on` and `.nan` mean."""

from __future__ import annotations

import math
import re

Scalar = str | int | float | bool | None

_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_BOOL = {
    word: value
    for value in (True, False)
    for word in (str(value), str(value).lower(), str(value).upper())
}
_NAN = frozenset((".nan", ".NaN", ".NAN"))
_INFINITY = {
    sign + word: float(sign + "inf") for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")
}
_INTEGERS = (
    (re.compile(r"[-+]?[0-9]+"), 10),
    (re.compile(r"0o[0-7]+"), 8),
    (re.compile(r"0x[0-9a-fA-F]+"), 16),
)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NUMBER_START = frozenset("+-.0123456789")
_DIGITS = 100  # far above 64 bits, far below where int() becomes slow

SMALLEST, LARGEST = -(2**63), 2**64 - 1
"""The integers that 64 bits hold, with a sign or without."""


def resolve(text: str) -> Scalar:
    """Return the value of a plain scalar.

    Source: YAML 1.2.2, section 10.3.2. Whatever it does not name is a string.

    Raises
    ------
    ValueError
        A number that 64 bits do not hold.
    """
    if text[:1] in _NUMBER_START:
        return _number(text)
    if text in _NULL:
        return None
    return _BOOL.get(text, text)


def _number(text: str) -> Scalar:
    if text in _NAN:
        return math.nan
    if text in _INFINITY:
        return _INFINITY[text]
    for pattern, base in _INTEGERS:
        if pattern.fullmatch(text):
            value = int(text, base) if len(text) <= _DIGITS else LARGEST + 1
            if not SMALLEST <= value <= LARGEST:
                raise ValueError("this integer needs more than 64 bits; write a float, as 1e30")
            return value
    if not _FLOAT.fullmatch(text):
        return text
    real = float(text)
    if math.isinf(real):
        raise ValueError("this number is beyond the range of float64; write .inf for infinity")
    return real


_KINDS: dict[str, tuple[type, ...]] = {
    "null": (type(None),),
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
}


def tagged(text: str, kind: str) -> Scalar:
    """Return the value of a scalar with the core tag `kind`: str, null, bool, int or float.

    Raises
    ------
    ValueError
        The text is no value of that kind.
    """
    if kind == "str":
        return text
    value = resolve(text)
    if type(value) not in _KINDS[kind]:
        raise ValueError(f"this is no {kind}")
    return float(value) if kind == "float" and isinstance(value, int) else value
