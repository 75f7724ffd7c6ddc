"""From YAML's events to a tree of values that know their places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ruamel.yaml import YAML
from ruamel.yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from harness.case.scalars import Scalar, resolve, tagged

Place = tuple[int, int]

DEPTH = 64
"""Deepest nesting of lists and mappings."""

_CORE = "tag:yaml.org,2002:"
_COLLECTIONS = {SequenceStartEvent: "seq", MappingStartEvent: "map"}
_SCALARS = ("str", "null", "bool", "int", "float")


@dataclass(slots=True)
class Key:
    """A key of a mapping, and where it stands."""

    word: str
    place: Place


@dataclass(slots=True)
class Node:
    """A value and where it stands; an alias is the very node that it stands for."""

    place: Place
    value: Scalar | list[Node] | list[tuple[Key, Node]]
    mapping: bool = False
    whole: bool = True


class Refused(Exception):  # noqa: N818  # it never leaves the reader
    """What ends the reading of a file; its arguments are the place and the message."""


class Composer:
    """Reads the one document of a text.

    Attributes
    ----------
    mistakes : list of (place, message)
        Those that need not end the reading.
    """

    def __init__(self, text: str) -> None:
        self.mistakes: list[tuple[Place, str]] = []
        self._events: Iterator[Event] = YAML(typ="safe", pure=True).parse(text)
        self._anchors: dict[str, Node] = {}
        self._depth = 0

    def root(self) -> Node | None:
        """Return the document, None if there is none.

        Raises
        ------
        Refused
            The text is nested too deeply, or has an alias without meaning, or two documents.
        ruamel.yaml.error.YAMLError
            The text is not YAML.
        """
        root = None
        for event in self._events:
            if isinstance(event, NodeEvent):
                root = self._node(event)
            elif isinstance(event, DocumentStartEvent) and root is not None:
                raise Refused(_place(event), "a second document; a case file has one")
            elif isinstance(event, StreamEndEvent):
                break
        return root

    def _node(self, event: NodeEvent) -> Node:
        if isinstance(event, AliasEvent):
            return self._alias(event)
        node = Node(_place(event), None, whole=False)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        if isinstance(event, ScalarEvent):
            node.value = self._scalar(event)
        elif isinstance(event, CollectionStartEvent):
            self._collection(event, node)
        node.whole = True
        return node

    def _alias(self, event: AliasEvent) -> Node:
        node = self._anchors.get(event.anchor)
        if node is None:
            raise Refused(
                _place(event),
                f"there is no anchor &{event.anchor} before the alias *{event.anchor}",
            )
        if not node.whole:
            raise Refused(_place(event), f"the alias *{event.anchor} contains itself")
        return node

    def _scalar(self, event: ScalarEvent) -> Scalar:
        tag = _tag(event)
        try:
            event.value.encode()
            if tag is None:
                return resolve(event.value) if event.implicit[0] else str(event.value)
            if tag in _SCALARS:
                return tagged(event.value, tag)
            self._unknown_tag(event, tag)
        except UnicodeEncodeError:
            self.mistakes.append((_place(event), "this text holds half of a surrogate pair"))
        except ValueError as error:
            self.mistakes.append((_place(event), str(error)))
        return None

    def _collection(self, event: CollectionStartEvent, node: Node) -> None:
        self._depth += 1
        if self._depth > DEPTH:
            raise Refused(node.place, f"nested deeper than {DEPTH} levels")
        tag = _tag(event)
        if tag not in (None, _COLLECTIONS[type(event)]):
            self._unknown_tag(event, tag)
        if isinstance(event, MappingStartEvent):
            node.mapping = True
            node.value = list(self._pairs())
        else:
            node.value = list(self._children())
        self._depth -= 1

    def _children(self) -> Iterator[Node]:
        for event in self._events:
            if not isinstance(event, NodeEvent):
                return
            yield self._node(event)

    def _pairs(self) -> Iterator[tuple[Key, Node]]:
        seen: dict[str, Place] = {}
        children = self._children()
        for key in children:
            word, place, value = key.value, key.place, next(children)
            if not isinstance(word, str):
                self.mistakes.append((place, "a key must be a word"))
            elif word in seen:
                line = seen[word][0]
                self.mistakes.append((place, f"duplicate key '{word}', first in line {line}"))
            else:
                seen[word] = place
                yield Key(word, place), value

    def _unknown_tag(self, event: NodeEvent, tag: object) -> None:
        self.mistakes.append((_place(event), f"the tag {tag} is not known here; leave it out"))


def _tag(event: ScalarEvent | CollectionStartEvent) -> str | None:
    """Return the event's tag, a core tag by its short name."""
    tag: str | None = event.tag
    if tag is None or (tag == "!" and not isinstance(event, ScalarEvent)):
        return None
    return "str" if tag == "!" else tag.removeprefix(_CORE)


def _place(event: Event) -> Place:
    return event.start_mark.line + 1, event.start_mark.column + 1
