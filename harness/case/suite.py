"""Which cases: the items of files, read, validated and selected."""

from __future__ import annotations

import fnmatch
import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Discriminator, Tag, TypeAdapter, ValidationError

from harness.case.compose import Place
from harness.case.document import Document, scan
from harness.case.files import case_files, shipped, shown_name
from harness.case.line import line
from harness.case.matrix import Matrix
from harness.case.mistakes import located
from harness.case.model import Case
from harness.case.selection import Selection, expression, hashed
from harness.errors import InvalidCases, InvalidInput

__all__ = ["Entry", "Selection", "Suite", "entries_of", "load", "schema"]


@dataclass(frozen=True)
class Entry:
    """An item of a case file, and where it stands.

    Attributes
    ----------
    item : Case or Matrix
    file : str
        As reports show it: the shipped suite's files start with ``cases/``.
    line : int
        From 1.
    """

    item: Case | Matrix
    file: str
    line: int

    @property
    def matrix(self) -> str | None:
        """The matrix's id, None for a hand-written case."""
        return self.item.id if isinstance(self.item, Matrix) else None

    def cases(self, wanted: Callable[[str], bool] = lambda _: True) -> Iterator[Case]:
        """Yield the case, or the cases of the matrix, if their ids are wanted."""
        if isinstance(self.item, Matrix):
            yield from self.item.cases(wanted)
        elif wanted(self.item.id):
            yield self.item

    def ids(self) -> Iterator[str]:
        """Yield the ids of `cases`, without making matrix cases."""
        return self.item.ids() if isinstance(self.item, Matrix) else iter((self.item.id,))


_EVERYTHING = Selection()


@dataclass(frozen=True)
class Suite:
    """Case files read and validated.

    Attributes
    ----------
    entries : tuple of Entry
        In order of file and line.
    globs : dict of str to tuple of str
        For each file, the globs of ids that are wanted; all without an entry.
    selection : Selection
        What else is asked of a case.
    known : tuple of pathlib.Path
        The files of known divergences in the folders, and beside the files.
    """

    entries: tuple[Entry, ...]
    globs: dict[str, tuple[str, ...]]
    selection: Selection = _EVERYTHING
    known: tuple[Path, ...] = ()

    def select(self, selection: Selection) -> Suite:
        """Return the suite with another selection."""
        return replace(self, selection=selection)

    def cases(self) -> Iterator[tuple[Entry, Case]]:
        """Yield the selected cases with the entries that they come from."""
        for entry, wanted in self._wanted():
            for case in entry.cases(wanted):
                yield entry, case

    def ids(self) -> Iterator[str]:
        """Yield the ids of `cases`, without making matrix cases."""
        for entry, wanted in self._wanted():
            yield from filter(wanted, entry.ids())

    def _wanted(self) -> Iterator[tuple[Entry, Callable[[str], bool]]]:
        """Yield the entries whose tags are selected, and what tells which of their ids are."""
        selection = self.selection
        words, tags = expression(selection.expression), set(selection.tags)
        limit = None if selection.sample is None else self._limit(selection.sample)
        for entry in self.entries:
            if tags and tags.isdisjoint(entry.item.tags):
                continue
            globs = self.globs.get(entry.file, ("*",))
            if "*" in globs and words is None and selection.shard is None and limit is None:
                yield entry, _any
                continue

            def wanted(name: str, globs: tuple[str, ...] = globs) -> bool:
                shard = selection.shard
                return (
                    any(fnmatch.fnmatchcase(name, glob) for glob in globs)
                    and (words is None or words(name))
                    and (shard is None or hashed(name) % shard[1] == shard[0] - 1)
                    and (limit is None or hashed(f"sample {name}") <= limit)
                )

            yield entry, wanted

    def _limit(self, sample: int) -> int:
        """Return the largest hash of the sample: that of the N cases whose ids hash lowest.

        A case that is added to the suite puts at most one other out of the sample.
        """
        chosen = replace(self.selection, sample=None, shard=None)
        hashes = (hashed(f"sample {name}") for name in self.select(chosen).ids())
        return max(heapq.nsmallest(sample, hashes), default=-1)


def _any(_: str) -> bool:
    return True


@cache
def _adapter() -> TypeAdapter[Any]:
    item = Annotated[
        Annotated[Case, Tag("a case")] | Annotated[Matrix, Tag("a matrix")],
        Discriminator(
            lambda value: (
                ("a matrix" if "matrix" in value else "a case")
                if isinstance(value, dict)
                else ("a matrix" if isinstance(value, Matrix) else "a case")
            )
        ),
    ]
    return TypeAdapter(item)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a case file."""
    inner = _adapter().json_schema()
    definitions = inner.pop("$defs")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Batch normalisation conformance cases",
        "type": "array",
        "items": inner,
        "$defs": definitions,
    }


def entries_of(document: Document) -> tuple[list[Entry], list[tuple[Place, str]]]:
    """Return the entries of a document, and every mistake with its place."""
    mistakes = list(document.mistakes)
    if document.data is None:
        return [], mistakes
    if not isinstance(document.data, list):
        start = document.places[()]
        return [], [*mistakes, (start, "a case file is a list of cases; begin each with '- id:'")]
    entries: list[Entry] = []
    unread = {place for place, _ in mistakes}  # null stands there
    for index, raw in enumerate(document.data):
        try:
            item = _adapter().validate_python(raw)
        except ValidationError as error:
            found = located(error, document, (index,), _adapter())
            mistakes += [each for each in found if each[0] not in unread]
        else:
            entries.append(Entry(item, document.file, document.places[(index,)][0]))
    return entries, mistakes


def load(selectors: Sequence[str | Path] = ()) -> Suite:
    """Read and validate case files.

    Parameters
    ----------
    selectors : sequence of str or path
        Files, folders, or ``file.yaml::glob`` of ids; none for the shipped suite.

    Raises
    ------
    InvalidInput
        A selector finds nothing.
    InvalidCases
        All mistakes of all files.
    """
    globs: dict[str, set[str]] = {}
    paths: dict[str, Path] = {}
    known: dict[Path, None] = {}
    wanted: list[tuple[str, str, set[str]]] = []
    for selector in selectors or [shipped()]:
        name, separator, glob = str(selector).partition("::")
        glob = glob if separator else "*"
        cases, lists = case_files(name)
        known.update(dict.fromkeys(lists))
        found = {shown_name(path): path for path in cases}
        paths.update(found)
        wanted.append((str(selector), glob, set(found)))
        for shown in found:
            globs.setdefault(shown, set()).add(glob)
    suite = Suite(
        _entries(paths),
        {name: tuple(sorted(each)) for name, each in globs.items()},
        known=tuple(known),
    )
    for selector, glob, files in wanted:
        if glob != "*" and not _matches(glob, [e for e in suite.entries if e.file in files]):
            raise InvalidInput(f"{selector}: no case has an id that matches '{glob}'")
    return suite


def _entries(paths: dict[str, Path]) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    names: list[_Named] = []
    mistakes: list[tuple[str, Place, str]] = []
    for shown, path in paths.items():
        try:
            document = scan(path, shown)
            found, wrong = entries_of(document)
        except InvalidCases as error:
            mistakes += [(shown, (0, 0), message) for message in error.mistakes]
            continue
        entries += found
        names += _names(document)
        mistakes += [(shown, at, f"{shown}:{at[0]}:{at[1]}: {line(said)}") for at, said in wrong]
    entries.sort(key=lambda entry: (entry.file, entry.line))
    mistakes += _repeated(sorted(names), entries)
    if mistakes:
        raise InvalidCases([message for _, _, message in sorted(mistakes)])
    return tuple(entries)


def _matches(glob: str, entries: list[Entry]) -> bool:
    return any(fnmatch.fnmatchcase(case_id, glob) for entry in entries for case_id in entry.ids())


_Named = tuple[str, Place, str]
"""File, place and id of an item."""


def _names(document: Document) -> Iterator[_Named]:
    """Yield the items that have an id, whatever else is wrong with them."""
    for index, raw in enumerate(document.data if isinstance(document.data, list) else ()):
        if isinstance(raw, dict) and isinstance(raw.get("id"), str):
            yield document.file, document.places[(index,)], raw["id"]


def _repeated(
    names: Sequence[_Named], entries: Sequence[Entry]
) -> Iterator[tuple[str, Place, str]]:
    """Yield file, place and message for every id that is not the first of its name."""
    first: dict[str, tuple[str, Place]] = {}
    taken = [
        (file, place, name, other)
        for file, place, name in names
        if (other := first.setdefault(name, (file, place))) != (file, place)
    ]
    # A hand-written case may also have the id that a matrix spells.
    for matrix in (entry for entry in entries if entry.matrix):
        if any(name.startswith(f"{matrix.item.id}/") for name in first):
            other = matrix.file, (matrix.line, 1)
            taken += [(*first[name], name, other) for name in matrix.ids() if name in first]
    for file, (row, _), name, (other_file, (other_row, _)) in taken:
        message = f"the id '{name}' is taken by {other_file}:{other_row}"
        yield file, (row, 1), f"{file}:{row}:1: {message}"
