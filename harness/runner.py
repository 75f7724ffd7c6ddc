"""Runs a suite: cases in chunks to worker processes, what they find into one report."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from harness import known
from harness.batch import Batch, Failure
from harness.case.suite import Suite
from harness.engines.flow import Engine, Flow
from harness.engines.here import Here
from harness.engines.hired import Hired
from harness.engines.pool import Pool
from harness.errors import InvalidInput
from harness.identity import identity
from harness.journal import Journal
from harness.part import Spans, joined, without
from harness.patience import patient
from harness.plan import Plan
from harness.report.collect import Collector, Origin
from harness.report.model import Report
from harness.worker import Task


@dataclass(frozen=True)
class Outcome:
    """A finished run.

    Attributes
    ----------
    report : Report
    failures : list of Failure
        What is held against the targets.
    mistakes : list of str
        Entries of known divergences that are stale, or match nothing.
    inapplicable : int
        Cases that do not hold for the baseline's version of torch.
    torch : str
        That version.
    """

    report: Report
    failures: list[Failure] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)
    inapplicable: int = 0
    torch: str = ""


@dataclass(frozen=True)
class Progress:
    """How far a run has come: cases done, and comparisons held against targets."""

    done: int
    failed: int


Listener = Callable[[Progress], None]


def run(
    suite: Suite,
    plan: Plan,
    *,
    jobs: int = 1,
    listener: Listener = lambda _: None,
    selection: dict[str, Any] | None = None,
    whole: bool = False,
    journal: Journal | None = None,
    resume: bool = False,
    executor: Executor | None = None,
    chunk: int | None = None,
) -> Outcome:
    """Execute and judge the cases of a suite.

    Parameters
    ----------
    suite : Suite
    plan : Plan
    jobs : int
        Worker processes; 0 runs in this process, without protection from crashes and hangs.
        With an executor, the tasks that it can run at once.
    listener : callable
        Called as cases are done.
    selection : dict, optional
        What the report says of which cases were chosen.
    whole : bool
        All cases of the suite are run, so that each known divergence must be met.
    journal : Journal, optional
        Where what is found is written as it comes.
    resume : bool
        Go on from what the journal has.
    executor : concurrent.futures.Executor, optional
        Whose processes, or threads, run the cases; it is not shut down. There is no protection
        from hangs.
    chunk : int, optional
        Cases that a process, or the executor, is given at a time; what is found of them comes
        together.

    Raises
    ------
    InvalidInput
        A target cannot be loaded, the journal is of another run or cannot be written, or the
        executor fails.
    """
    entries = known.load(known.files(plan.known))
    found, partial = Batch(Collector(plan.full), entries.unmet()), False
    with patient(), closing(_engine(plan, jobs, executor, chunk)) as engine:
        tasks: Iterator[Task] = ((Origin.of(entry), case) for entry, case in suite.cases())
        tasks = chain([*islice(tasks, 1)], tasks)  # a sample is drawn while workers start
        about = engine.about
        done: Spans = []
        if journal is not None:
            this = identity(suite, plan, about, selection)
            if not resume:
                journal.begin(this, about)
            for part in journal.resume(this, about, entries) if resume else ():
                found.merge(part.batch)
                done = joined([*done, *part.spans])
        try:
            for part in Flow(engine, plan.full, entries).run(without(tasks, done)):
                found.merge(part.batch)
                if journal is not None:
                    journal.add(part)
                listener(Progress(found.cases, len(found.failures)))
        except KeyboardInterrupt:
            partial = True
    # A shard of few cases may have none, and is needed all the same to make the run whole.
    if not (found.cases or partial or (selection or {}).get("shard")):
        chosen = {name: value for name, value in (selection or {}).items() if name != "cases"}
        by = [f"{name} {_spelled(value)}" for name, value in chosen.items()]
        raise InvalidInput(
            f"no case is selected{' by ' if by else ''}{' and '.join(by)}; "
            "see 'bn-harness run --help' on what selects cases"
        )
    report, mistakes = found.reported(
        about, partial=partial, selection=selection or {}, whole=whole
    )
    return Outcome(report, found.failures, mistakes, found.inapplicable, about.torch)


def _spelled(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else f"{value}"


def _engine(plan: Plan, jobs: int, executor: Executor | None, chunk: int | None) -> Engine:
    if plan.memory is not None and (executor is not None or not jobs):
        raise InvalidInput(
            "--memory ends processes, so it is for worker processes of the run's own"
        )
    if executor is not None:
        return Hired(plan, executor, max(1, jobs), chunk)
    return Pool(plan, jobs, chunk) if jobs else Here(plan, chunk)


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
