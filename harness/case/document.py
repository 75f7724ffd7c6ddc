"""YAML 1.2 into plain values, with the place of each in its file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from harness.errors import InvalidCases, InvalidInput

Path = tuple[str | int, ...]
Place = tuple[int, int]

BYTES = 8 * 2**20
"""Longest case file."""
DEPTH = 64
"""Deepest nesting of lists and mappings."""
NODES = 1_000_000
"""Most values of a file, an alias counted as often as it stands."""

_DATE = "tag:yaml.org,2002:timestamp"  # of YAML 1.1; a string in 1.2
_CORE = ("null", "bool", "int", "float", "str", "seq", "map")
_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in _CORE) | {_DATE}


@dataclass
class Document:
    """A file's values and their places.

    Attributes
    ----------
    file : str
        The file's name as messages show it.
    data : object
        Lists, dicts, strings, numbers, booleans and None.
    places : dict of path to (line, column)
        Of each value, from 1; a path is the keys and indices that lead to it.
    keys : dict of path to (line, column)
        Of each mapping's key.
    """

    file: str
    data: Any = None
    places: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)

    def located(self, place: Place, message: str) -> str:
        """Return the message with its place, as ``file:line:column: message``."""
        return f"{self.file}:{place[0]}:{place[1]}: {message}"


def read(path: FilePath, name: str | None = None) -> Document:
    """Read a YAML 1.2 file.

    Parameters
    ----------
    path : pathlib.Path
    name : str, optional
        What to call the file in messages.

    Raises
    ------
    InvalidInput
        The file cannot be read.
    InvalidCases
        It is not YAML, or over one of the limits of this module.
    """
    name = name or str(path)
    try:
        size = path.stat().st_size
        if size > BYTES:
            raise InvalidInput(f"{name}: {size} bytes is over the limit of {BYTES}; split the file")
        content = path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{name}: cannot be read: {error.strerror}") from None
    return parse(content, name)


def parse(content: bytes, name: str) -> Document:
    """Read YAML 1.2 from memory; errors as in `read`."""
    document = Document(name)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        raise InvalidCases([document.located((line, column), "not valid UTF-8")]) from None
    yaml = YAML(typ="safe", pure=True)
    try:
        _check_depth(document, text)
        root = yaml.compose(text)
        if root is not None:
            document.data = _Builder(document, yaml.constructor).value(root, ())
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        said = ", ".join(part for part in (error.context, error.problem) if part)
        raise InvalidCases([document.located(place, said or "not YAML")]) from None
    except YAMLError as error:
        raise InvalidCases([document.located((1, 1), " ".join(str(error).split()))]) from None
    return document


def _check_depth(document: Document, text: str) -> None:
    """Refuse what the recursive composer could not survive."""
    depth = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        depth += event.__class__.__name__.endswith("StartEvent")
        depth -= event.__class__.__name__.endswith("EndEvent")
        if depth > DEPTH:
            place = (event.start_mark.line + 1, event.start_mark.column + 1)
            raise InvalidCases([document.located(place, f"nested deeper than {DEPTH} levels")])


class _Builder:
    """Turns nodes into values, expanding aliases within the limits."""

    def __init__(self, document: Document, constructor: Any) -> None:
        self.document = document
        self.constructor = constructor
        self.nodes = 0
        self.open: set[int] = set()

    def value(self, node: Node, path: Path) -> Any:
        self.nodes += 1
        if self.nodes > NODES:
            self._refuse(node, f"more than {NODES} values, aliases counted")
        if id(node) in self.open:
            self._refuse(node, "an alias that contains itself")
        if node.tag not in _TAGS:
            self._refuse(node, f"the tag {node.tag} is not known")
        self.document.places[path] = self._place(node)
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        self.open.add(id(node))
        try:
            if isinstance(node, SequenceNode):
                return [self.value(item, (*path, i)) for i, item in enumerate(node.value)]
            return dict(self._items(node, path))
        finally:
            self.open.discard(id(node))

    def _items(self, node: MappingNode, path: Path) -> Iterator[tuple[str, Any]]:
        seen: dict[str, Place] = {}
        for key_node, value_node in node.value:
            key = self._scalar(key_node) if isinstance(key_node, ScalarNode) else None
            if not isinstance(key, str):
                self._refuse(key_node, "a key must be a word")
            if key in seen:
                self._refuse(key_node, f"duplicate key '{key}', first in line {seen[key][0]}")
            seen[key] = self.document.keys[(*path, key)] = self._place(key_node)
            yield key, self.value(value_node, (*path, key))

    def _scalar(self, node: ScalarNode) -> Any:
        if node.tag == _DATE:
            return node.value
        try:
            return self.constructor.construct_object(node)
        except (ValueError, OverflowError):
            self._refuse(node, f"'{node.value[:40]}' is not a value of its kind")

    def _refuse(self, node: Node, message: str) -> Any:
        raise InvalidCases([self.document.located(self._place(node), message)])

    @staticmethod
    def _place(node: Node) -> Place:
        return node.start_mark.line + 1, node.start_mark.column + 1
