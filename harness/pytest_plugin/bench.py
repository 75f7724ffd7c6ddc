"""What the items of one process share: the targets, and how a case is judged."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import pytest

from harness.batch import About, Batch
from harness.case.suite import Entry, Suite
from harness.compare import Comparison
from harness.errors import InvalidCases, InvalidInput
from harness.plan import Plan
from harness.pytest_plugin.gather import plan
from harness.report.collect import Origin
from harness.report.model import Report
from harness.report.selection import selection
from harness.report.text import Sources, differences, explained, reproduction
from harness.report.unforeseen import unforeseen
from harness.worker import Worker


@dataclass(frozen=True)
class Found:
    """What was found of an item's cases.

    Attributes
    ----------
    entry : Entry
    target : str
        The target's name.
    comparisons : list of Comparison
        None of a case that does not hold for the baseline's version of torch.
    batch : Batch
    about : About
    plan : Plan
    """

    entry: Entry
    target: str
    comparisons: list[Comparison]
    batch: Batch
    about: About
    plan: Plan

    @cached_property
    def _report(self) -> Report:
        chosen = selection([], accuracy=self.plan.accuracy)
        about = self.about
        return self.batch.collector.report(
            about.environment, about.baseline, about.names, selection=chosen
        )

    def explained(self, comparison: Comparison) -> str:
        """Return what differs, first of all, why the case is there, and how to see it again."""
        sources = Sources(Suite((self.entry,), {}))
        told = self._report, self._report[comparison.id], self.target, sources
        lines, first = explained(*told), differences(*told)[:1]
        return "\n".join([*first, *(line for line in lines if line.strip() not in first)])

    def unforeseen(self) -> list[str]:
        """Return what the baseline refuses of the case, and the case does not expect."""
        found = any(each.unforeseen for each in self.comparisons)
        return list(unforeseen(self._report)) if found and not self.entry.matrix else []

    def reproduction(self, glob: str) -> str:
        """Return the command that runs the cases of the file whose ids match."""
        cases = f"{self.entry.file}::{glob}"
        return reproduction(cases, self.target, self.about.baseline, self.plan.accuracy)


class Bench:
    """The targets of a process, loaded when the first case is to run.

    Parameters
    ----------
    asked : Plan
    folder : pathlib.Path
        Where modules of targets are found, as for the command line.
    """

    def __init__(self, asked: Plan, folder: Path) -> None:
        self.plan = asked
        self.folder = folder
        self._ids: dict[str, Entry] = {}

    def claim(self, entries: Sequence[Entry]) -> None:
        """Take note of ids; InvalidCases for those that another file has."""
        taken = [
            f"{entry.file}:{entry.line}:1: the id '{entry.item.id}' is taken "
            f"by {other.file}:{other.line}"
            for entry in entries
            if (other := self._ids.setdefault(entry.item.id, entry)).file != entry.file
        ]
        if taken:
            raise InvalidCases(taken)

    @cached_property
    def worker(self) -> Worker | InvalidInput:
        """The worker, or why there is none."""
        if str(self.folder) not in sys.path:
            sys.path.insert(0, str(self.folder))
        try:
            return Worker(self.plan)
        except InvalidInput as error:
            return error

    @cached_property
    def names(self) -> dict[str, str]:
        """From the SPEC of each target to its name; empty without a worker."""
        if isinstance(self.worker, InvalidInput):
            return {}
        return dict(zip(self.plan.targets, self.worker.names, strict=True))

    @property
    def absent(self) -> dict[str, str]:
        """From the SPEC of each absent target to the reason; empty without a worker."""
        if isinstance(self.worker, InvalidInput):
            return {}
        missing = self.worker.absent
        return {spec: missing[name] for spec, name in self.names.items() if name in missing}

    def judge(self, entry: Entry, part: tuple[int, int], spec: str) -> Found:
        """Judge a part of an entry's cases by one target, and by the baseline."""
        worker = self.worker
        if isinstance(worker, InvalidInput):
            raise worker
        name, baseline = self.names[spec], worker.about().baseline
        batch, origin = worker.batch(), Origin.of(entry)
        comparisons = []
        for case in islice(entry.cases(), part[0] - 1, None, part[1]):
            found = worker.share(batch, origin, case, [baseline, name])
            comparisons += [each for each in found if each.target == name]
        batch.failures.clear()
        return Found(entry, name, comparisons, batch, worker.about(), self.plan)


_KEY = pytest.StashKey[Bench]()


def bench(config: pytest.Config) -> Bench:
    """Return the process's bench."""
    if _KEY not in config.stash:
        config.stash[_KEY] = Bench(plan(config), config.invocation_params.dir)
    return config.stash[_KEY]
