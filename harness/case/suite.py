"""Which cases: files, folders and globs of ids, read, validated and selected."""

from __future__ import annotations

import fnmatch
import hashlib
import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Discriminator, Tag, TypeAdapter, ValidationError

from harness.case.document import Document, Place, read
from harness.case.matrix import Matrix
from harness.case.mistakes import located
from harness.case.model import Case
from harness.errors import InvalidCases, InvalidInput

KNOWN = "known.yaml"
"""The file of known divergences, which holds no cases."""


def shipped() -> Path:
    """Return the folder of the shipped suite."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "suite"
    return installed if installed.is_dir() else package.parent / "cases"


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

    def cases(self) -> Iterator[Case]:
        """Yield the case, or the cases of the matrix."""
        if isinstance(self.item, Matrix):
            yield from self.item.cases()
        else:
            yield self.item


@dataclass(frozen=True)
class Selection:
    """Which cases of a suite are wanted; each part is a function of one case alone.

    Attributes
    ----------
    expression : str
        Words joined by and, or, not, found in ids, as in ``pytest -k``.
    tags : tuple of str
        Any of these.
    sample : int or None
        At most this many: those whose ids hash lowest.
    shard : (int, int) or None
        Part I of N, I from 1, chosen by a hash of the id.
    """

    expression: str = ""
    tags: tuple[str, ...] = ()
    sample: int | None = None
    shard: tuple[int, int] | None = None


@dataclass(frozen=True)
class Suite:
    """Case files read and validated.

    Attributes
    ----------
    entries : tuple of Entry
        In order of file and line.
    globs : dict of str to tuple of str
        For a file that was selected by ``file.yaml::glob``, the globs of ids.
    """

    entries: tuple[Entry, ...]
    globs: dict[str, tuple[str, ...]]
    selection: Selection = Selection()

    def select(self, selection: Selection) -> Suite:
        """Return the suite with another selection."""
        return replace(self, selection=selection)

    def cases(self) -> Iterator[tuple[Entry, Case]]:
        """Yield the selected cases with the entries that they come from."""
        keep = self._keeper()
        for entry in self.entries:
            globs = self.globs.get(entry.file)
            for case in entry.cases():
                chosen = globs is None or any(fnmatch.fnmatchcase(case.id, glob) for glob in globs)
                if chosen and keep(case):
                    yield entry, case

    def _keeper(self) -> Any:
        wanted = self.selection
        words = _expression(wanted.expression)
        limit = None if wanted.sample is None else self._limit(wanted.sample)

        def keep(case: Case) -> bool:
            if wanted.tags and not set(wanted.tags) & set(case.tags):
                return False
            if words is not None and not words.evaluate(lambda word, **_: word in case.id):
                return False
            if wanted.shard is not None and _hash(case.id) % wanted.shard[1] != wanted.shard[0] - 1:
                return False
            return limit is None or _hash(f"sample {case.id}") <= limit

        return keep

    def _limit(self, sample: int) -> int:
        """Return the largest hash of the sample: that of the N cases whose ids hash lowest.

        A case that is added to the suite puts at most one other out of the sample.
        """
        chosen = replace(self.selection, sample=None, shard=None)
        hashes = (_hash(f"sample {case.id}") for _, case in self.select(chosen).cases())
        return max(heapq.nsmallest(sample, hashes), default=0)


@cache
def _adapter() -> TypeAdapter[Any]:
    item = Annotated[
        Annotated[Case, Tag("case")] | Annotated[Matrix, Tag("matrix")],
        Discriminator(
            lambda value: (
                ("matrix" if "matrix" in value else "case")
                if isinstance(value, dict)
                else ("matrix" if isinstance(value, Matrix) else "case")
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
    if document.data is None:
        return [], []
    if not isinstance(document.data, list):
        return [], [((1, 1), "a case file is a list of cases: start each with '- id:'")]
    entries: list[Entry] = []
    mistakes: list[tuple[Place, str]] = []
    for index, raw in enumerate(document.data):
        try:
            item = _adapter().validate_python(raw)
        except ValidationError as error:
            mistakes += located(error, document, (index,), _adapter())
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
    globs: dict[str, tuple[str, ...]] = {}
    whole: set[str] = set()
    paths: dict[str, Path] = {}
    for selector in selectors or [shipped()]:
        name, separator, glob = str(selector).partition("::")
        for path in _files(Path(name)):
            shown = shown_name(path)
            paths[shown] = path
            if separator:
                globs[shown] = (*globs.get(shown, ()), glob)
            else:
                whole.add(shown)
    entries: list[Entry] = []
    mistakes: list[str] = []
    for shown, path in sorted(paths.items()):
        try:
            document = read(path, shown)
        except InvalidCases as error:
            mistakes += error.mistakes
            continue
        found, wrong = entries_of(document)
        entries += found
        mistakes += [document.located(place, message) for place, message in sorted(wrong)]
    mistakes += _repeated(entries)
    if mistakes:
        raise InvalidCases(mistakes)
    suite = Suite(tuple(entries), {name: each for name, each in globs.items() if name not in whole})
    for shown, patterns in suite.globs.items():
        ids = [case.id for entry in entries if entry.file == shown for case in entry.cases()]
        for pattern in patterns:
            if not fnmatch.filter(ids, pattern):
                raise InvalidInput(f"{shown}::{pattern}: no case has such an id")
    return suite


def _files(path: Path) -> Iterable[Path]:
    if path.is_dir():
        found = sorted(each for each in path.rglob("*.yaml") if each.name != KNOWN)
        if not found:
            raise InvalidInput(f"{path}: the folder has no case files (*.yaml)")
        return found
    if not path.exists():
        raise InvalidInput(f"{path}: no such file or folder")
    return [path]


def shown_name(path: Path) -> str:
    """Return the name of a case file in messages and reports, the same wherever it is run."""
    absolute = path.resolve()
    if absolute.is_relative_to(shipped()):
        return (Path("cases") / absolute.relative_to(shipped())).as_posix()
    if absolute.is_relative_to(Path.cwd()):
        return absolute.relative_to(Path.cwd()).as_posix()
    return path.as_posix()


def _repeated(entries: list[Entry]) -> Iterator[str]:
    first: dict[str, Entry] = {}
    for entry in entries:
        other = first.setdefault(entry.item.id, entry)
        if other is not entry:
            yield (
                f"{entry.file}:{entry.line}:1: the id '{entry.item.id}' is taken "
                f"by {other.file}:{other.line}"
            )


def _expression(text: str) -> Any:
    if not text:
        return None
    from _pytest.mark.expression import Expression  # noqa: PLC0415  # slow, and seldom needed

    try:
        return Expression.compile(text)
    except SyntaxError as error:
        raise InvalidInput(f"-k '{text}': {error}; join words by and, or, not") from None


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
