"""Validation errors in the words of the case format: located, complete, with the nearest key."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from harness.case.document import Document, Path, Place

_EXPECTED = {
    "int_type": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a word",
    "none_required": "null",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "mapping_type": "a mapping",
}


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
        What validated; its JSON Schema knows which keys are allowed where.
    """
    found: dict[Path, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False):
        path = _path(document, root, detail)
        found.setdefault(path, []).append(detail)
    for path, details in found.items():
        place = document.keys.get(path) if _is_key(details[0]) else document.places.get(path)
        yield place or document.places[root], _message(document, root, path, details, adapter)


def _is_key(detail: ErrorDetails) -> bool:
    return detail["type"] == "extra_forbidden"


def _path(document: Document, root: Path, detail: ErrorDetails) -> Path:
    """Return the longest path of the document along the error's location.

    The location also names the union members that were tried; the document does not know these.
    """
    path = root
    for part in detail["loc"]:
        if (*path, part) in document.places:
            path = (*path, part)
    return path


def _message(
    document: Document,
    root: Path,
    path: Path,
    details: list[ErrorDetails],
    adapter: TypeAdapter[Any],
) -> str:
    first = details[0]
    kind = first["type"]
    if kind == "extra_forbidden":
        word = str(path[-1])
        return f"unknown key '{word}'{_nearest(word, _keys(document, root, path[:-1], adapter))}"
    if kind == "missing":
        missing = [f"'{detail['loc'][-1]}'" for detail in details if detail["type"] == "missing"]
        return f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
    if kind == "step":
        given = [key for key in first["input"]] if isinstance(first["input"], dict) else []
        return first["msg"] + (_nearest(str(given[0]), _STEPS) if given else "")
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _wrong_fill(first)
    words = [_EXPECTED[detail["type"]] for detail in details if detail["type"] in _EXPECTED]
    if words and len(words) == len(details):
        expected = " or ".join(dict.fromkeys(words))
        return f"expected {expected}, found {_shown(first['input'])}"
    if kind in ("literal_error", "enum"):
        allowed = [
            word.strip("'") for word in first["ctx"]["expected"].replace(" or ", ", ").split(", ")
        ]
        return f"{_shown(first['input'])} is not one of {', '.join(allowed)}" + _nearest(
            str(first["input"]), allowed
        )
    return first["msg"][:1].lower() + first["msg"][1:]


_STEPS = ("train", "eval", "set", "call", "cast", "save", "load")


def _wrong_fill(detail: ErrorDetails) -> str:
    given = detail["input"]
    if not isinstance(given, dict):
        return f"expected an array (values, or shape and fill), found {_shown(given)}"
    if "fill" not in given:
        return "an array needs 'values', or 'shape' and 'fill'"
    fills = [word.strip("'") for word in detail["ctx"]["expected_tags"].split(", ")]
    fills.remove("values")
    return f"unknown fill {_shown(given['fill'])}{_nearest(str(given['fill']), fills)}"


def _nearest(word: str, allowed: Iterator[str] | tuple[str, ...] | list[str]) -> str:
    near = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else ""


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    if value is None or isinstance(value, bool):
        text = {None: "null", True: "true", False: "false"}[value]
    return text if len(text) <= 40 else text[:37] + "..."


def _keys(document: Document, root: Path, path: Path, adapter: TypeAdapter[Any]) -> list[str]:
    """Return the keys that the schema allows in the mapping at `path`."""
    schema = adapter.json_schema()
    candidates = [schema]
    value = document.data
    for part in root:
        value = value[part]
    for part in path[len(root) :]:
        candidates = [
            below
            for candidate in _alternatives(schema, candidates, value)
            for below in _below(candidate, part)
        ]
        value = value[part]
    objects = _alternatives(schema, candidates, value)
    return sorted({key for item in objects for key in item.get("properties", {})})


def _below(candidate: dict[str, Any], part: str | int) -> Iterator[dict[str, Any]]:
    if isinstance(part, int):
        if isinstance(candidate.get("items"), dict):
            yield candidate["items"]
    elif part in candidate.get("properties", {}):
        yield candidate["properties"][part]
    elif isinstance(candidate.get("additionalProperties"), dict):
        yield candidate["additionalProperties"]


def _alternatives(
    schema: dict[str, Any], candidates: list[dict[str, Any]], value: Any
) -> list[dict[str, Any]]:
    """Resolve references and unions, keeping those members whose fixed words the value has."""
    resolved = []
    for candidate in candidates:
        if "$ref" in candidate:
            target = schema["$defs"][candidate["$ref"].rpartition("/")[2]]
            resolved += _alternatives(schema, [target], value)
        elif members := candidate.get("anyOf") or candidate.get("oneOf"):
            resolved += _alternatives(schema, members, value)
        elif _admits(candidate, value):
            resolved.append(candidate)
    return resolved


def _admits(candidate: dict[str, Any], value: Any) -> bool:
    if not isinstance(value, dict):
        return True
    fixed = {
        key: item["const"]
        for key, item in candidate.get("properties", {}).items()
        if "const" in item
    }
    return all(value.get(key) == word for key, word in fixed.items())
