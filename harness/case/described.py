"""What a JSON Schema says of the value at a path: its keys, its kinds."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import Any

from pydantic import TypeAdapter

Json = dict[str, Any]

_KINDS = {
    "number": "a number",
    "integer": "an integer",
    "string": "a text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}


class Described:
    """The JSON Schema of an adapter, walked along a value."""

    def __init__(self, schema: Json) -> None:
        self.schema = schema

    @staticmethod
    @lru_cache(maxsize=8)
    def by(adapter: TypeAdapter[Any]) -> Described:
        """Return what an adapter says of its values."""
        return Described(adapter.json_schema())

    def keys(self, value: object, path: tuple[str | int, ...]) -> list[str]:
        """Return the keys that the mapping at the path may have."""
        found = self._at(value, path)
        return sorted({key for item in found for key in item.get("properties", {})})

    @cached_property
    def homes(self) -> dict[str, list[str]]:
        """By key, the keys whose mappings may have it; '' stands for the whole value."""
        found: dict[str, set[str]] = {}
        self._settle([self.schema], "", found, set())
        return {key: sorted(names) for key, names in found.items()}

    def kinds(self, value: object, path: tuple[str | int, ...]) -> str:
        """Return in words what the value at the path may be."""
        names: set[str] = set()
        for item in self._at(value, path):
            named = item.get("type", [])
            names.update([named] if isinstance(named, str) else named)
        if "number" in names:
            names.discard("integer")
        return _or([word for name, word in _KINDS.items() if name in names])

    def _settle(
        self, candidates: list[Json], name: str, found: dict[str, set[str]], seen: set[str]
    ) -> None:
        for item in (each for candidate in candidates for each in self._members(candidate)):
            below = item.get("properties", {})
            place = f"{name}: {item.get('title')} {sorted(below)}"
            if place in seen:
                continue
            seen.add(place)
            for key, described in below.items():
                found.setdefault(key, set()).add(name)
                self._settle([described], key, found, seen)
            self._settle(list(_below(item, 0)), name, found, seen)

    def _at(self, value: Any, path: tuple[str | int, ...]) -> list[Json]:  # noqa: ANN401
        candidates = self._resolved([self.schema], value)
        for part in path:
            value = value[part]
            below = [inner for item in candidates for inner in _below(item, part)]
            candidates = self._resolved(below, value)
        return candidates

    def _resolved(self, candidates: list[Json], value: object) -> list[Json]:
        """Resolve references and unions, keeping the mappings that the value is most like."""
        flat = [item for candidate in candidates for item in self._members(candidate)]
        if not isinstance(value, dict):
            return flat
        likeness = [_likeness(item, value) for item in flat]
        return [item for item, like in zip(flat, likeness, strict=True) if like == max(likeness)]

    def _members(self, candidate: Json) -> Iterator[Json]:
        if "$ref" in candidate:
            yield from self._members(self.schema["$defs"][candidate["$ref"].rpartition("/")[2]])
        elif members := candidate.get("anyOf") or candidate.get("oneOf"):
            for member in members:
                yield from self._members(member)
        else:
            yield candidate


def _likeness(item: Json, value: Json) -> int:
    """Return how many of the keys that a mapping must have a value has, fixed words counted."""
    properties = item.get("properties", {})
    fixed = {
        key: described["const"] for key, described in properties.items() if "const" in described
    }
    if any(value.get(key) != word for key, word in fixed.items()):
        return -1
    return sum(key in value for key in item.get("required", [])) + ("properties" in item)


def _below(candidate: Json, part: str | int) -> Iterator[Json]:
    if isinstance(part, int):
        if isinstance(candidate.get("items"), dict):
            yield candidate["items"]
    elif part in candidate.get("properties", {}):
        yield candidate["properties"][part]
    elif isinstance(candidate.get("additionalProperties"), dict):
        yield candidate["additionalProperties"]


def _or(words: list[str]) -> str:
    if len(words) <= 1:
        return "".join(words)
    # "true or false" has an "or" of its own.
    plain = len(words) == 2 and not any(" or " in word for word in words)  # noqa: PLR2004
    return " or ".join(words) if plain else f"{', '.join(words[:-1])}, or {words[-1]}"
