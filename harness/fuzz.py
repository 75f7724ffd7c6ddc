"""Searches for a case in which a target diverges, shrinks it, and keeps it as YAML."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as seeded
from hypothesis.database import DirectoryBasedExampleDatabase, ExampleDatabase

from harness.case.files import KNOWN, SUFFIX
from harness.case.model import Case
from harness.case.simpler import simpler
from harness.case.strategies import cases
from harness.case.suite import load
from harness.case.writer import to_yaml
from harness.compare import Comparison, Divergence
from harness.plan import Plan
from harness.report.collect import Origin
from harness.report.result import reported
from harness.report.text import PYTHON, describe
from harness.verdicts import FAILED
from harness.worker import Worker
from harness.writing import write_whole

MEMORY = Path(".bn-harness") / "fuzz"
"""Where Hypothesis keeps what it found, in the current folder."""

SHRINKING = 60.0
"""Seconds that a failure may take to shrink, besides those of the search."""

_ROUND = 100
"""Cases between two looks at the clock; each round starts anew from simple ones."""


@dataclass(frozen=True)
class Find:
    """A case in which a target diverges.

    Attributes
    ----------
    case : Case
    comparison : Comparison
        The target's.
    baseline : str
        The baseline's name.
    file : Path or None
        Where it is saved.
    """

    case: Case
    comparison: Comparison
    baseline: str
    file: Path | None = None

    @property
    def divergence(self) -> Divergence | None:
        """The first that is held against the target."""
        return _first(self.comparison)

    @property
    def words(self) -> str:
        """The divergence in words."""
        if self.divergence is None:
            return self.comparison.reason or self.comparison.verdict
        kinds = [step.kind for step in self.case.steps]
        return describe(reported(self.divergence), self.baseline, kinds)


@dataclass
class Search:
    """A search for cases in which targets diverge from a baseline, in this process.

    Parameters
    ----------
    targets : sequence of str or class
        SPECs as on the command line, or classes.
    against : str
        The baseline.
    known : sequence of pathlib.Path
        Files of known divergences, beside that of the suite.
    seed : int, optional
        Where the search starts; the same seed tries the same cases. By default another each time.
    memory : Path, optional
        Folder in which Hypothesis keeps failures to start from the next time.
    listener : callable
        Told of the number of distinct cases after each.
    legal : bool
        Draw only cases in which torch raises no error.

    Attributes
    ----------
    tried : int
        Distinct cases that were executed.
    found_after : int or None
        How many of them it took to the first that diverges, before any shrinking.

    Raises
    ------
    InvalidInput
        A target cannot be loaded, or the baseline cannot run here.
    """

    targets: Sequence[str | type[Any]]
    against: str = "torch"
    known: Sequence[Path] = ()
    seed: int | None = None
    memory: Path | None = None
    listener: Callable[[int], None] = lambda _: None
    legal: bool = False
    found_after: int | None = field(default=None, init=False)
    _tried: dict[bytes, Comparison | None] = field(default_factory=dict, init=False)
    _find: Find | None = field(default=None, init=False)
    _end: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._worker = Worker(Plan(tuple(self.targets), self.against, known=tuple(self.known)))
        if self.seed is None:
            self.seed = random.randrange(2**32)  # noqa: S311  # a choice of cases, no secret

    @property
    def tried(self) -> int:
        """Distinct cases that were executed."""
        return len(self._tried)

    def saved(self, folder: Path) -> Find | None:
        """Return the first of the cases in a folder in which a target diverges, None if none does.

        Raises
        ------
        InvalidCases
            The folder's files have mistakes.
        """
        if all(path.name == KNOWN for path in folder.rglob(f"*{SUFFIX}")):
            return None
        for entry, case in load([folder]).cases():
            comparison = self.judge(case)
            if comparison is not None:
                return Find(case, comparison, self._worker.baseline.info.name, Path(entry.file))
        return None

    def run(self, seconds: float) -> Find | None:
        """Search until the time is over or a case diverges; return the case, shrunk.

        Shrinking may take `SHRINKING` seconds more.
        """
        self._end = time.monotonic() + seconds
        number = 0
        while self._find is None and time.monotonic() < self._end:
            self._round(number)
            number += 1
        return None if self._find is None else self._smallest(self._find)

    def judge(self, case: Case) -> Comparison | None:
        """Execute a case; return the first comparison that is held against a target."""
        origin = Origin(PYTHON, 1, case.tags, None)
        comparisons = self._worker.judge(self._worker.batch(), origin, case)
        return next((each for each in comparisons if each.verdict in FAILED), None)

    def _smallest(self, find: Find) -> Find:
        """Return what is left when nothing can be left out; Hypothesis gives up sooner."""
        for case in simpler(find.case):
            if time.monotonic() >= self._end:
                break
            comparison = self._judged(case)
            if comparison is not None and _kind(comparison) == _kind(find.comparison):
                return self._smallest(Find(case, comparison, find.baseline))
        return find

    def _judged(self, case: Case) -> Comparison | None:
        key = hashlib.blake2b(repr(case).encode(), digest_size=16).digest()
        if key not in self._tried:
            self._tried[key] = self.judge(case)
            self.listener(self.tried)
        return self._tried[key]

    def _round(self, number: int) -> None:
        phases = [Phase.generate, Phase.shrink]
        if number == 0:
            phases.insert(0, Phase.reuse)
        memory: ExampleDatabase | None = None
        if self.memory is not None:
            memory = DirectoryBasedExampleDatabase(self.memory)
        configured = settings(
            max_examples=_ROUND,
            database=memory,
            phases=phases,
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.quiet,
            deadline=None,
            derandomize=False,
            report_multiple_bugs=False,
        )
        drawn = cases(legal=True) if self.legal else cases()
        # The settings come last: a seed takes the memory away.
        test = configured(seeded(f"{self.seed} {number}")(given(drawn)(self._try)))
        try:
            test()
        except _Diverges:
            # What is found has been kept; the exception is Hypothesis' own way out.
            return

    def _try(self, case: Case) -> None:
        if time.monotonic() >= self._end and self._find is None:
            return
        comparison = self._judged(case)
        if comparison is None:
            return
        if self._find is None:
            self.found_after = self.tried
            self._end = time.monotonic() + SHRINKING
        elif _kind(comparison) != _kind(self._find.comparison):
            # On the way to a smaller case another mistake may turn up; one at a time.
            return
        self._find = Find(case, comparison, self._worker.baseline.info.name)
        raise _Diverges


class _Diverges(Exception):  # noqa: N818  # it says what a case does
    """A case diverges."""


def _first(comparison: Comparison) -> Divergence | None:
    held = (each for each in comparison.divergences if each.culprit != "baseline")
    return next(held, None)


def _kind(comparison: Comparison) -> tuple[object, ...]:
    """Return what two divergences share that are taken for the same mistake."""
    first = _first(comparison)
    if first is None:
        return comparison.target, comparison.verdict
    errors = (first.expected, first.actual) if first.aspect == "error" else ()
    return (comparison.target, first.quantity, first.aspect, *(_type(each) for each in errors))


def _type(error: object) -> str:
    """Return the type that an error's words begin with."""
    return str(error).partition(":")[0]


def named(find: Find) -> Case:
    """Return the case of a find with an id and a `why` of its own, for a person to complete."""
    body = find.case.model_copy(update={"id": "fuzz", "why": "fuzz"})
    digest = hashlib.blake2b(to_yaml([body]).encode(), digest_size=4).hexdigest()
    first = find.divergence
    what = f"{first.quantity}-{first.aspect}" if first else find.comparison.verdict
    if first is not None and first.aspect == first.quantity:
        what = first.aspect
    return find.case.model_copy(
        update={
            "id": f"fuzz-{what.replace('_', '-')}-{digest}",
            "why": f"Found by fuzz: {find.words}. Say which fact it shows.",
        }
    )


def save(find: Find, folder: Path) -> Find:
    """Write the case of a find to a file of its own, and return the find with both.

    Raises
    ------
    InvalidInput
        The folder cannot be written.
    """
    case = named(find)
    file = folder / f"{case.id}.yaml"
    write_whole(file, to_yaml([case]))
    return Find(case, find.comparison, find.baseline, file)
