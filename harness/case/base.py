"""What the models of a case have in common: closed, frozen, and with words for their values."""

from __future__ import annotations

import builtins
import difflib
import re
import warnings
from functools import cache
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    StrictInt,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from harness.case.fills.base import Value
from harness.case.frozen import Frozen, literal, shown


class Model(Frozen):
    """A part of a case."""


def worded(rule: str) -> WrapValidator:
    """Return a validator that says what a value may be, in place of which constraint it broke."""

    def validate(value: Any, inner: ValidatorFunctionWrapHandler) -> Any:  # noqa: ANN401
        try:
            return inner(value)
        except ValidationError:
            raise PydanticCustomError("rule", literal(f"{rule}, found {shown(value)}")) from None

    return WrapValidator(validate)


def _compiles(pattern: str) -> str:
    try:
        with warnings.catch_warnings():
            # What later versions of Python may read otherwise is not said to who reads a report.
            warnings.simplefilter("ignore", FutureWarning)
            re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        message = f"{shown(pattern)} is not a regular expression: {error}"
        raise PydanticCustomError("pattern", literal(message)) from None
    return pattern


_ERRORS = {
    name.lower(): name
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
}
_NEAR = 0.9
"""How alike a misspelt name is to the right one: ValueErorr is, ParseException is not."""


@cache
def _spelled(name: str) -> str:
    if "." in name:
        message = f"an error is named without its module: '{name.rpartition('.')[2]}'"
        raise PydanticCustomError("rule", literal(message))
    near = difflib.get_close_matches(name.lower(), _ERRORS, 1, cutoff=_NEAR)
    meant = _ERRORS[near[0]] if near else name
    if meant not in name:  # a class of one's own may be named after Python's, as MyValueError
        message = f"no error of Python is named {shown(name)}; did you mean '{meant}'?"
        raise PydanticCustomError("rule", literal(message))
    return name


Number = StrictInt | Value
Word = Annotated[
    str, StringConstraints(min_length=1), worded("expected a text of at least one character")
]
Pattern = Annotated[str, AfterValidator(_compiles)]
Version = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9})*$"),
    worded("a version is numbers and dots in quotes, as '2.12'"),
]
Id = Annotated[
    str,
    # What selects cases (globs, ::) and what ends a word cannot be part of an id.
    StringConstraints(min_length=1, max_length=300, pattern=r"^[^\s:*?\[\]]+$"),
    worded("an id is a word of 1 to 300 characters without spaces and : * ? [ ]"),
]


class Raises(Model):
    """The error that a step must raise."""

    type: Annotated[Word, AfterValidator(_spelled)]
    """Name of the exception's class."""
    match: Pattern = ""
    """Regular expression that is searched for in the message."""

    @model_validator(mode="before")
    @classmethod
    def _more_than_a_name(cls, value: object) -> object:
        if isinstance(value, str):
            name = value if value.isidentifier() else "ValueError"
            message = f"expected a mapping, as {{type: {name}}}, found {shown(value)}"
            raise PydanticCustomError("rule", literal(message))
        return value
