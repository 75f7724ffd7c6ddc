"""A YAML 1.2 file as plain values, with the place of each."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from ruamel.yaml.error import MarkedYAMLError

from harness.case.compose import Composer, Node, Place, Refused
from harness.case.line import line
from harness.errors import InvalidCases, InvalidInput

Path = tuple[str | int, ...]

BYTES = 8 * 2**20
"""Longest case file."""
NODES = 1_000_000
"""Most values of a file, an alias counted as often as it stands."""

# The complement of c-printable, YAML 1.2.2, section 5.1.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


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
    mistakes : list of (place, message)
        Of the file as YAML: duplicate keys, unknown tags, and the like.
    """

    file: str
    data: Any = None
    places: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)
    mistakes: list[tuple[Place, str]] = field(default_factory=list)

    def located(self, place: Place, message: str) -> str:
        """Return the message with its place, as ``file:line:column: message``, in one line."""
        return f"{self.file}:{place[0]}:{place[1]}: {line(message)}"

    def checked(self) -> Document:
        """Return the document if it has no mistakes, else raise InvalidCases with all of them."""
        if self.mistakes:
            raise InvalidCases([self.located(*each) for each in sorted(self.mistakes)])
        return self


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
        It is not YAML, or over one of the limits.
    """
    return scan(path, name).checked()


def scan(path: FilePath, name: str | None = None) -> Document:
    """Read a file as `read` does, but leave duplicate keys and the like to `mistakes`."""
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
    """Read YAML 1.2 from memory as `scan` does."""
    document = Document(name)
    composer = Composer(_text(document, content))
    try:
        root = composer.root()
        if root is not None:
            document.data = _Builder(document).value(root, ())
    except Refused as error:
        raise InvalidCases([document.located(*error.args)]) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        said = ", ".join(part for part in (error.context, error.problem) if part)
        raise InvalidCases([document.located(place, f"not YAML: {said}{_remedy(said)}")]) from None
    except Exception as error:
        # ruamel.yaml lets malformed directives and escapes end in errors of many kinds.
        said = " ".join(str(error).split())
        raise InvalidCases([document.located((1, 1), f"not YAML: {said}")]) from None
    document.mistakes = composer.mistakes
    return document


_REMEDIES = {
    "expected <block end>": "indent the line as those beside it; an item of a list begins with '-'",
    "mapping values are not allowed": "put a text with ': ' in quotes, and indent keys alike",
    "'\\t' that cannot start": "indent by spaces, not by tabs",
    "quoted scalar, found unexpected end": "close the quotes",
    "a flow sequence": "close the bracket, with commas between its items",
    "a flow mapping": "close the bracket, with commas between its items",
}
"""What to do, by what the parser says."""


def _remedy(said: str) -> str:
    return next((f"; {what}" for words, what in _REMEDIES.items() if words in said), "")


def _text(document: Document, content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        raise InvalidCases([document.located(_end(before), "not valid UTF-8")]) from None
    if found := _UNPRINTABLE.search(text):
        message = f"the character U+{ord(found.group()):04X} may not stand in a YAML file"
        raise InvalidCases([document.located(_end(text[: found.start()]), message)])
    return text


def _end(text: str) -> Place:
    """Return the place of the character that follows the text."""
    return text.count("\n") + 1, len(text) - text.rfind("\n")


class _Builder:
    """Turns nodes into values, expanding aliases within the limit."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.nodes = 0

    def value(self, node: Node, path: Path) -> object:
        self.nodes += 1
        if self.nodes > NODES:
            raise Refused(node.place, f"more than {NODES} values, aliases counted")
        self.document.places[path] = node.place
        if not isinstance(node.value, list):
            return node.value
        if not node.mapping:
            children: Any = enumerate(node.value)
            return [self.value(item, (*path, i)) for i, item in children]
        built = {}
        pairs: Any = node.value
        for key, item in pairs:
            below = (*path, key.word)
            self.document.keys[below] = key.place
            built[key.word] = self.value(item, below)
            if item.value is None and item.place[0] > key.place[0]:  # there is nothing to point at
                self.document.places[below] = key.place
        return built
