"""Validation errors in the words of the case format: located, complete, with the nearest key."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from harness.case.compose import Place
from harness.case.described import Described
from harness.case.document import Document, Path
from harness.case.frozen import shown
from harness.case.steps import STEPS

_BOUNDS = {
    "greater_than_equal": "expected at least {ge}",
    "greater_than": "expected more than {gt}",
    "less_than_equal": "expected at most {le}",
    "less_than": "expected less than {lt}",
    "too_short": "expected a list of at least {min_length}",
    "too_long": "expected a list of at most {max_length}",
    "string_too_short": "expected a text of at least {min_length} characters",
    "string_too_long": "expected a text of at most {max_length} characters",
    "finite_number": "expected a finite number",
}
_MISSPELT = 0.8
"""How alike a key is to one that there is if it is taken for that, wherever else it is right."""
_LIKE = 0.65
"""How alike a key is to one that there is if it is right in no other place."""
_LISTED = 16  # more keys than this say nothing to a reader


def located(
    error: ValidationError, document: Document, root: Path, adapter: TypeAdapter[Any]
) -> Iterator[tuple[Place, str]]:
    """Yield place and message of every mistake, one for each place.

    Parameters
    ----------
    error : pydantic.ValidationError
        What validation said of the value at `root`.
    document : Document
        Where the value comes from.
    root : path
    adapter : pydantic.TypeAdapter
        What validated; its JSON Schema knows what is allowed where.
    """
    found = _by_path(error, document, root)
    for path, details in _behind_unknown_fills(found, document, root, adapter).items():
        found.setdefault(path, details)
    for path, details in found.items():
        here = _Mistake(document, root, path, Described.by(adapter))
        unknown = details[0]["type"] == "extra_forbidden"
        yield (document.keys if unknown else document.places)[path], here.message(details)


def _by_path(
    error: ValidationError, document: Document, root: Path
) -> dict[Path, list[ErrorDetails]]:
    found: dict[Path, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False):
        loc = (*detail["loc"], *detail.get("ctx", {}).get("path", ()))
        found.setdefault(_path(document, root, loc), []).append(detail)
    return found


def _behind_unknown_fills(
    found: dict[Path, list[ErrorDetails]],
    document: Document,
    root: Path,
    adapter: TypeAdapter[Any],
) -> dict[Path, list[ErrorDetails]]:
    """Return what else is wrong in arrays whose fill is misspelt, read as the nearest fill."""
    item = copy.deepcopy(_at(document.data, root))
    corrected = False
    for path, (first, *_) in found.items():
        given = first["input"]
        unknown = first["type"] == "union_tag_invalid" and isinstance(given, dict)
        if unknown and isinstance(given.get("fill"), str):
            near = _nearest_word(given["fill"], _fills(first))
            array = _at(item, path[len(root) :])
            if near is not None and isinstance(array, dict):
                array["fill"] = near
                corrected = True
    if not corrected:
        return {}
    try:
        adapter.validate_python(item)
    except ValidationError as further:
        return _by_path(further, document, root)
    return {}


def _at(value: Any, path: Path) -> Any:  # noqa: ANN401  # a value of YAML
    for part in path:
        value = value[part]
    return value


def _path(document: Document, path: Path, loc: Path) -> Path:
    """Return the longest path of the document along the error's location.

    The location also names the union members that were tried, which the document does not know.
    """
    best = path
    for index, part in enumerate(loc):
        if (*path, part) in document.places:
            found = _path(document, (*path, part), loc[index + 1 :])
            best = found if len(found) >= len(best) else best
    return best


class _Mistake:
    """What is wrong with the value at a path of a document."""

    def __init__(self, document: Document, root: Path, path: Path, schema: Described) -> None:
        self.schema = schema
        self.path = path[len(root) :]
        self.item: Any = _at(document.data, root)
        self.value = _at(self.item, self.path)

    def message(self, details: list[ErrorDetails]) -> str:  # noqa: PLR0911  # one for each kind
        first = details[0]
        kind = first["type"]
        if kind == "extra_forbidden":
            return self._unknown_key()
        if kind == "missing":
            missing = [f"'{detail['loc'][-1]}'" for detail in details]
            return f"{_and(missing)} {'is' if len(missing) == 1 else 'are'} missing"
        if kind in ("union_tag_invalid", "union_tag_not_found"):
            return self._wrong_array(first)
        if kind == "step":
            given = [str(key) for key in self.value] if isinstance(self.value, dict) else []
            return first["msg"] + (_nearest(given[0], _STEPS) if given else self._found())
        if kind == "literal_error":
            return self._not_a_choice(first["ctx"]["expected"])
        if kind in _BOUNDS:
            bounds = {key: shown(bound) for key, bound in first.get("ctx", {}).items()}
            found = f", found {bounds['actual_length']}" if "actual_length" in bounds else None
            return _BOUNDS[kind].format(**bounds) + (found or self._found())
        if kind == "value_error":
            return str(first["ctx"]["error"])
        if kind in _TYPES:
            # Behind a misspelt fill the schema cannot say what is expected.
            kinds = self.schema.kinds(self.item, self.path) or "another kind of value"
            return f"expected {kinds}{self._found()}"
        return first["msg"]

    def _found(self) -> str:
        return f", found {shown(self.value)}{_meant(self.value)}"

    def _unknown_key(self) -> str:
        word, mapping = str(self.path[-1]), self.path[:-1]
        if word == "<<":
            return "mappings are not merged here; write out the keys"
        if word in _STEPS and len(mapping) == _STEP_DEPTH and mapping[0] == "steps":
            return f"'{word}' in a step of another kind; begin a step of its own with '-'"
        allowed = self.schema.keys(self.item, mapping)
        if word in allowed:  # of another kind of what is described here
            beside = _at(self.item, mapping)
            other = next((key for key in _KINDS if key in beside), "the others")
            return f"{shown(word)} does not go with {shown(other)}"
        near = _nearest(word, allowed, cutoff=_MISSPELT) or self._elsewhere(word, mapping)
        near = near or _nearest(word, allowed, cutoff=_LIKE)
        if not near and len(allowed) <= _LISTED:
            near = f"; the keys here are {', '.join(allowed)}"
        return f"unknown key {shown(word)}{near}"

    def _elsewhere(self, word: str, mapping: Path) -> str:
        """Return where a key belongs that is right in another place."""
        beside = _at(self.item, mapping)
        homes = self.schema.homes.get(word, [])
        for key in homes:
            if key in beside:
                return f"; it belongs inside '{key}'"
        for depth in range(len(mapping) - 1, -1, -1):
            above = mapping[:depth]
            if isinstance(mapping[depth], str) and word in self.schema.keys(self.item, above):
                return f"; it belongs beside '{mapping[depth]}'"
        named = [f"'{home}'" for home in homes if home]
        return f"; it belongs inside {_or(named)}" if named else ""

    def _wrong_array(self, detail: ErrorDetails) -> str:
        given = detail["input"]
        if not isinstance(given, dict):
            return f"expected an array ('values', or 'shape' and 'fill'){self._found()}"
        if not isinstance(given.get("fill", ""), str):
            found = shown(given["fill"])
            return f"expected the name of a fill, with its parameters beside it, found {found}"
        if "fill" in given:
            suggestion = _nearest(str(given["fill"]), _fills(detail))
            return f"unknown fill {shown(given['fill'])}{suggestion}"
        for key in given:
            if near := difflib.get_close_matches(key, ("fill", "values"), n=1):
                return f"an array needs 'values' or a 'fill'; is '{key}' to be '{near[0]}'?"
        return "an array needs 'values' or a 'fill'"

    def _not_a_choice(self, expected: str) -> str:
        allowed = _words(expected.replace(" or ", ", "))
        if isinstance(self.value, str) and self.value in allowed:
            return f"{shown(self.value)} stands in quotes; leave them out"
        near = _nearest(str(self.value), allowed)
        return f"{shown(self.value)} is not one of {', '.join(allowed)}{near}"


def _meant(value: object) -> str:
    """Return what a text is to be that was meant for a number or for nothing."""
    if not isinstance(value, str):
        return ""
    word = value.strip().lower()
    if word in _SPELLED:
        return f"; write {_SPELLED[word]}"
    try:
        float(word)
    except ValueError:
        return ""
    return "; leave out the quotes"


_SPELLED = {"none": "null"} | {
    f"{sign}{name}": f"{sign}.{name[:3]}"
    for sign in ("", "-")
    for name in ("nan", "inf", "infinity")
}
"""What YAML calls the numbers, and the nothing, of Python."""

_KINDS = ("values", "matrix")
"""Keys that decide which others there can be."""

_STEPS = tuple(STEPS)
_STEP_DEPTH = 2
_NAMES = ("int", "float", "bool", "string", "list", "tuple", "dict", "mapping", "model")
_TYPES = frozenset(f"{name}_type" for name in (*_NAMES, "model_attributes"))


def _fills(detail: ErrorDetails) -> list[str]:
    return [word for word in _words(detail["ctx"]["expected_tags"]) if word != "values"]


def _words(quoted: str) -> list[str]:
    return [word.strip("'") for word in quoted.split(", ")]


def _and(words: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _or(words: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _nearest(word: str, allowed: Iterable[str], cutoff: float = 0.5) -> str:
    near = _nearest_word(word, allowed, cutoff)
    return f"; did you mean '{near}'?" if near else ""


def _nearest_word(word: str, allowed: Iterable[str], cutoff: float = 0.5) -> str | None:
    near = difflib.get_close_matches(word.lower(), list(allowed), n=1, cutoff=cutoff)
    return near[0] if near else None
