"""What items found, from every process of a session, gathered into the report."""

from __future__ import annotations

import base64
import pickle
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.case.files import known_below
from harness.errors import InvalidInput

if TYPE_CHECKING:
    from harness.batch import About, Batch
    from harness.case.suite import Entry
    from harness.plan import Plan
    from harness.report.collect import Collector
    from harness.report.model import Report, Summary

BEGUN = "begun"
"""What the report of an item's setup carries: its record is still to come."""


@dataclass(frozen=True)
class Record:
    """What one item found, and which part of which file it was.

    Attributes
    ----------
    entry : Entry
        Case or matrix.
    entries : int
        How many entries the file has.
    part : (int, int)
        Part I of N of the entry's cases, I from 1.
    batch : Batch
    about : About
    """

    entry: Entry
    entries: int
    part: tuple[int, int]
    batch: Batch
    about: About

    def packed(self) -> str:
        """Return the record as text, as reports between processes carry it."""
        return base64.b85encode(pickle.dumps(self)).decode("ascii")

    @classmethod
    def unpacked(cls, text: str) -> Record:
        """Return what `packed` packed, in a process of the same session."""
        record: Record = pickle.loads(base64.b85decode(text))  # noqa: S301  # our own processes
        return record


class Gatherer:
    """The plugin of the process that all reports reach: the only one, or xdist's controller.

    Parameters
    ----------
    config : pytest.Config
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.begun: set[str] = set()
        # By item, so that one that ran twice counts once.
        self.packed: dict[str, str] = {}
        self.lines: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what an item sends."""
        sent = getattr(report, "conformance", None)
        if sent == BEGUN:
            self.begun.add(report.nodeid)
        elif sent is not None:
            self.packed[report.nodeid] = sent

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write the report; fail the session for what no item can fail for."""
        file = self.config.getoption("conformance_report")
        if self.config.getoption("collectonly") or (not self.begun and file is None):
            return
        fine = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        stopped = exitstatus in (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR)
        records = [Record.unpacked(text) for text in self.packed.values()]
        unfinished = len(self.begun - set(self.packed))
        if unfinished:
            items = "items have" if unfinished > 1 else "item has"
            self.lines.append(
                f"{unfinished} {items} not finished, and nothing is known of their cases"
            )
        if not records:
            if file is not None:
                self.lines.append(f"no case ran, so that {file} is not written")
                session.exitstatus = pytest.ExitCode.USAGE_ERROR if fine else exitstatus
            return
        partial = bool(stopped or session.shouldfail or session.shouldstop or unfinished)
        report, mistakes = reported(plan(self.config), records, partial=partial)
        self.lines += _lines(report)
        self.lines += mistakes
        if mistakes and fine:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if file is not None:
            from harness.report.document import to_json
            from harness.writing import write_whole

            try:
                write_whole(file, to_json(report))
            except InvalidInput as error:
                self.lines.append(f"--conformance-report: {error}")
                session.exitstatus = pytest.ExitCode.USAGE_ERROR
            else:
                self.lines.append(f"wrote {file}")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say how many cases went how."""
        if self.lines:
            terminalreporter.section("conformance")
            for line in self.lines:
                terminalreporter.line(line)


def plan(config: pytest.Config) -> Plan:
    """Return what the options ask for."""
    from harness.plan import Plan

    return Plan(
        tuple(dict.fromkeys(config.getoption("conformance_targets") or ["reference"])),
        config.getoption("conformance_against"),
        config.getoption("conformance_accuracy"),
        known=tuple(file for folder in folders(config) for file in known_below(folder)),
    )


def folders(config: pytest.Config) -> list[Path]:
    """Return the folders, and files, of the project's own cases."""
    defaults = [config.rootpath / "cases", config.invocation_params.dir / "cases"]
    return [*(config.getini("conformance_cases") or defaults)]


def reported(asked: Plan, records: Iterable[Record], *, partial: bool) -> tuple[Report, list[str]]:
    """Return the report of what items found, and the mistakes in the known divergences.

    Parameters
    ----------
    asked : Plan
    records : iterable of Record
        Their batches are used up.
    partial : bool
        Not all items that were selected have finished.
    """
    from harness.batch import Batch
    from harness.report.collect import Collector
    from harness.report.selection import selection, spelled

    records = list(records)
    about = records[0].about
    found = Batch(Collector(), records[0].batch.known)
    counted: set[tuple[str, str, int]] = set()
    for record in records:
        key = record.entry.file, record.entry.item.id, record.part[0]
        if key in counted:
            _drop(record.batch.collector, about.baseline)
        counted.add(key)
        found.merge(record.batch)
    chosen = selection(spelled(_ran(records)), accuracy=asked.accuracy)
    return found.reported(about, partial=partial, selection=chosen, whole=not chosen)


def _drop(collector: Collector, target: str) -> None:
    """Forget a target: items of other targets have run the baseline on the same cases."""
    collector.verdicts.pop(target, None)
    collector.declared.pop(target, None)
    for key in [key for key in collector.measures if key[0] == target]:
        del collector.measures[key]
    for _, results in collector.cases.values():
        results.pop(target, None)
    for _, matrices in collector.matrices.values():
        matrices.pop(target, None)
    for name in [name for name, (_, results) in collector.cases.items() if not results]:
        del collector.cases[name]


def _ran(records: Iterable[Record]) -> Iterable[str]:
    """Yield what ran as selectors: a file that ran whole, else its cases and matrices."""
    files: dict[str, dict[str, dict[int, Record]]] = {}
    for record in records:
        entries = files.setdefault(record.entry.file, {})
        entries.setdefault(record.entry.item.id, {})[record.part[0]] = record
    for file, entries in files.items():
        missing = {name: _parts(found) - len(found) for name, found in entries.items()}
        (some, *_), *_ = ((*found.values(),) for found in entries.values())
        if some.entries == len(entries) and not any(missing.values()):
            yield file
            continue
        for name, found in entries.items():
            glob = (
                f"{file}::{name}/*"
                if next(iter(found.values())).entry.matrix
                else f"{file}::{name}"
            )
            if missing[name]:
                yield from (f"{glob} (part {part} of {_parts(found)})" for part in found)
            else:
                yield glob


def _parts(found: dict[int, Record]) -> int:
    return next(iter(found.values())).part[1]


def _lines(report: Report) -> Iterable[str]:
    from harness.report.failing import kinds, listed

    environment = report.environment
    yield ", ".join(f"{name} {environment[name]}" for name in _SHOWN if name in environment)
    for target, summary in report.summary.items():
        role = " (baseline)" if target == report.baseline else ""
        yield f"{target}{role}: {summary.cases:,} cases: {_counts(summary)}"
    for target, found in kinds(report).items():
        yield f"{target} fails by {listed(found)}"
    if report.partial:
        yield "partial: not all of the selected cases have run"


_SHOWN = ("torch", "numpy", "cpu_capability", "cuda")


def _counts(summary: Summary) -> str:
    counts = {name: getattr(summary, name) for name in type(summary).model_fields}
    return ", ".join(
        f"{count:,} {name.replace('_', ' ')}"
        for name, count in counts.items()
        if name not in ("cases", "bitwise_equal", "accuracy") and count
    )
