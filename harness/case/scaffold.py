"""A new case appended to a file: what stands there stays as it is, byte for byte."""

from __future__ import annotations

import re
from pathlib import Path

from harness.case.document import Document, parse
from harness.case.files import KNOWN, SUFFIX, shipped, shown_name
from harness.case.model import Case
from harness.case.suite import Entry, entries_of, load
from harness.case.writer import to_yaml
from harness.errors import InvalidCases, InvalidInput

_INDENT = re.compile(r"^( *)-", re.MULTILINE)


def appended(path: Path, case: Case) -> str:
    """Return the text of a case file with one more case at its end.

    Parameters
    ----------
    path : pathlib.Path
        The file; it need not exist.
    case : Case

    Raises
    ------
    InvalidInput
        The file is no block list that can be appended to, the id is taken, or the file's name is
        none under which a folder's cases are found.
    InvalidCases
        The file is invalid as it stands.
    """
    name = shown_name(path)
    if path.suffix != SUFFIX or path.name == KNOWN:
        raise InvalidInput(
            f"{name}: no folder's cases are looked for there; choose another name that ends in "
            f"{SUFFIX}"
        )
    before = _text(path, name)
    _free(case.id, [shipped(), path] if before.strip() else [shipped()])
    document = _valid(before, name)
    end = "\r\n" if "\r\n" in before else "\n"
    lead = _lead(before, document, name, end)
    indent = _indent(before, document)
    body = "".join(f"{indent}{line}{end}" for line in to_yaml([case]).rstrip("\n").split("\n"))
    after = f"{lead}{body}"
    try:
        entries = entries_of(_valid(after, name))[0]
    except InvalidCases:
        entries = []
    if not entries or entries[-1].item != case:
        raise InvalidInput(
            f"{name}: a case cannot be appended to it: it is no list in block style; "
            "begin each of its cases with '- id:' on a line, or choose another file"
        )
    return after


def _free(case_id: str, places: list[Path]) -> None:
    for where in places:
        for entry in _entries(where):
            if entry.item.id == case_id or (entry.matrix and case_id in set(entry.ids())):
                raise InvalidInput(
                    f"the id '{case_id}' is taken by {entry.file}:{entry.line}; choose another"
                )


def _entries(where: Path) -> tuple[Entry, ...]:
    try:
        return load([where]).entries
    except InvalidCases:
        raise
    except InvalidInput:  # a file of comments alone, or none
        return ()


def _text(path: Path, name: str) -> str:
    try:
        return path.read_bytes().decode("utf-8") if path.exists() else ""
    except UnicodeDecodeError:
        raise InvalidInput(f"{name}: not valid UTF-8") from None
    except OSError as error:
        raise InvalidInput(f"{name}: cannot be read: {error.strerror}") from None


def _valid(text: str, name: str) -> Document:
    document = parse(text.encode(), name)
    if document.data is None and not document.mistakes:
        return document
    _, mistakes = entries_of(document)
    if mistakes:
        raise InvalidCases([document.located(*each) for each in sorted(mistakes)])
    return document


def _lead(before: str, document: Document, name: str, end: str) -> str:
    """Return what comes before the new case, with an empty line in between."""
    if document.data == []:
        # An empty list is written "[]": nothing can follow it.
        kept, bracket, rest = before.rpartition("[]")
        if not bracket or rest.strip():
            raise InvalidInput(f"{name}: an empty list; delete it, and the file can be appended to")
        before = kept
    stripped = before.rstrip("\r\n")
    if not stripped.strip():
        return ""
    return f"{stripped}{end}{end}"


def _indent(before: str, document: Document) -> str:
    if not document.data:
        return ""
    line, _ = document.places[(len(document.data) - 1,)]
    found = _INDENT.match(before.splitlines()[line - 1])
    return found.group(1) if found else ""
