"""Divergences that are known: listed with a reason and a link, and stale loudly."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from harness.case.base import Model, Word
from harness.case.document import read
from harness.case.files import KNOWN, shipped, shown_name
from harness.case.frozen import literal
from harness.case.mistakes import located
from harness.compare import Comparison
from harness.errors import InvalidCases
from harness.trace import RESULTS, STATE

_QUANTITIES = (*RESULTS, *STATE, "error", "input", "state_dict", "crash", "timeout")


def _quantity(glob: str) -> str:
    if not fnmatch.filter(_QUANTITIES, glob) and not glob.startswith("state_dict."):
        near = difflib.get_close_matches(glob, _QUANTITIES, 1)
        meant = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(_QUANTITIES)}"
        raise PydanticCustomError("quantity", literal(f"no quantity matches '{glob}'; {meant}"))
    return glob


class Known(Model):
    """One entry of the file of known divergences."""

    target: Word
    """Name or glob of the targets that diverge."""
    case: Word
    """Id or glob of the cases."""
    quantity: Annotated[Word, AfterValidator(_quantity)]
    """Name or glob of the quantities; "crash" or "timeout" where there are none."""
    reason: Word
    """Why it diverges."""
    link: Word
    """Where it is discussed."""

    def names(self, target: str) -> bool:
        """Whether the entry is about a target, "./mine.py:Mine" being "mine.py:Mine"."""
        return fnmatch.fnmatchcase(target.removeprefix("./"), self.target.removeprefix("./"))


@dataclass
class KnownDivergences:
    """The entries, and which of them a run has met.

    Attributes
    ----------
    entries : tuple of Known
    places : tuple of str
        Where each entry stands, as ``file:line:column``.
    tried, used : set of int
        Entries that spoke of a comparison of the run, and those that a divergence needed.
    """

    entries: tuple[Known, ...] = ()
    places: tuple[str, ...] = ()
    tried: set[int] = field(default_factory=set)
    used: set[int] = field(default_factory=set)
    _named: dict[str, list[int]] = field(default_factory=dict, repr=False, compare=False)

    def apply(self, comparison: Comparison) -> None:
        """Give a comparison whose divergences are all known that verdict, reason and link."""
        speaking = [
            index
            for index in self._of(comparison.target)
            if fnmatch.fnmatchcase(comparison.id, self.entries[index].case)
        ]
        if not speaking:
            return
        self.tried.update(speaking)
        covering = [self._entry(speaking, quantity) for quantity in _held(comparison)]
        needed = [index for index in covering if index is not None]
        self.used.update(needed)
        if needed and len(needed) == len(covering):
            first = self.entries[needed[0]]
            comparison.verdict = "known"
            comparison.reason, comparison.link = first.reason, first.link

    def meet(self, target: str, cases: Iterable[str]) -> None:
        """Take note of cases in which a target does not diverge."""
        for index in self._of(target):
            if any(map(re.compile(fnmatch.translate(self.entries[index].case)).match, cases)):
                self.tried.add(index)

    def excuse(self, case: str) -> None:
        """Take note of a case of which nothing can be said: no entry is stale for it."""
        self.used.update(
            index
            for index, entry in enumerate(self.entries)
            if fnmatch.fnmatchcase(case, entry.case)
        )

    def unmet(self) -> KnownDivergences:
        """Return the same entries, none of them met yet."""
        return KnownDivergences(self.entries, self.places)

    def _of(self, target: str) -> list[int]:
        """Return the indices of the entries that are about a target."""
        if target not in self._named:
            entries = enumerate(self.entries)
            self._named[target] = [index for index, entry in entries if entry.names(target)]
        return self._named[target]

    def _entry(self, indices: Iterable[int], quantity: str) -> int | None:
        """Return the first of some entries that explains a quantity, None if none does."""
        for index in indices:
            if fnmatch.fnmatchcase(quantity, self.entries[index].quantity):
                return index
        return None

    def merge(self, other: KnownDivergences) -> None:
        """Add what another part of the run has met."""
        self.tried |= other.tried
        self.used |= other.used

    def mistakes(self, targets: Iterable[str], whole: bool) -> list[str]:
        """Return a message for each entry that is stale, or that matches nothing.

        Parameters
        ----------
        targets : iterable of str
            The targets that ran.
        whole : bool
            Whether all cases of the suite ran; else an entry may speak of others, and a glob
            of cases may be needed by another.
        """
        messages = []
        for index, (entry, place) in enumerate(zip(self.entries, self.places, strict=True)):
            ran = [target for target in targets if entry.names(target)]
            if not ran or index in self.used:
                continue
            if index in self.tried and (whole or not _GLOB & set(entry.case)):
                messages.append(
                    f"{place}: {entry.case} no longer diverges in {entry.quantity} "
                    f"for {ran[0]}; remove the entry"
                )
            elif whole and index not in self.tried:
                messages.append(_unmatched(entry, place))
        return messages

    def unmatched(self, ids: Collection[str]) -> list[str]:
        """Return a message for each entry that matches none of the ids."""
        return [
            _unmatched(entry, place)
            for entry, place in zip(self.entries, self.places, strict=True)
            if not fnmatch.filter(ids, entry.case)
        ]


def _unmatched(entry: Known, place: str) -> str:
    return f"{place}: no case matches {entry.case}; correct or remove it"


def _held(comparison: Comparison) -> list[str]:
    """Return the quantities that the verdict rests on; a crash and a time-out have no others."""
    match comparison.verdict:
        case "crash" | "timeout" as verdict:
            return [verdict]
        case "baseline_inaccurate":
            return [each.quantity for each in comparison.divergences]
        case "diverge":
            blamed = (each for each in comparison.divergences if each.culprit != "baseline")
            return [each.quantity for each in blamed]
        case _:
            return []


_GLOB = frozenset("*?[")
_ENTRY = TypeAdapter(Known)


def files(more: Iterable[Path] = ()) -> list[Path]:
    """Return the file of the shipped suite, if it has one, and those of others, each once."""
    own = shipped() / KNOWN
    named = [own, *more] if own.exists() else [*more]
    return list({path.resolve(): path for path in named}.values())


def load(paths: Iterable[Path]) -> KnownDivergences:
    """Read files of known divergences.

    Raises
    ------
    InvalidInput
        A file cannot be read.
    InvalidCases
        All mistakes of all files.
    """
    found: list[tuple[Known, str]] = []
    mistakes: list[str] = []
    for path in paths:
        try:
            found += _read(path)
        except InvalidCases as error:
            mistakes += error.mistakes
    if mistakes:
        raise InvalidCases(mistakes)
    return KnownDivergences(tuple(entry for entry, _ in found), tuple(at for _, at in found))


def _read(path: Path) -> list[tuple[Known, str]]:
    document = read(path, shown_name(path))
    items = document.data or []
    if not isinstance(items, list):
        raise InvalidCases([document.located((1, 1), "expected a list of known divergences")])
    found, mistakes = [], []
    for index, raw in enumerate(items):
        try:
            entry = _ENTRY.validate_python(raw)
        except ValidationError as error:
            wrong = located(error, document, (index,), _ENTRY)
            mistakes += [document.located(*each) for each in wrong]
        else:
            line, column = document.places[(index,)]
            found.append((entry, f"{document.file}:{line}:{column}"))
    if mistakes:
        raise InvalidCases(mistakes)
    return found
