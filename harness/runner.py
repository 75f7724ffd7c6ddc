"""Runs a suite: cases in chunks to worker processes, what they find into one report."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import TimeoutError as FutureTimeout
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from harness import worker
from harness.case.suite import Suite
from harness.compare import Comparison
from harness.errors import InvalidInput
from harness.known import load as load_known
from harness.report.collect import Collector, Origin
from harness.report.model import Report
from harness.verdicts import Verdict
from harness.worker import Batch, Plan, Task

CHUNK = 64
"""Cases that a worker takes at a time."""

AHEAD = 4
"""Chunks for each worker that are under way or wait for it."""

TIMEOUT = 60.0
"""Seconds that one case may take."""


@dataclass(frozen=True)
class Outcome:
    """A finished run.

    Attributes
    ----------
    report : Report
    failures : list of Comparison
        What is held against the targets.
    mistakes : list of str
        Entries of known divergences that are stale, or match nothing.
    inapplicable : int
        Cases that do not hold for the baseline's version of torch.
    torch : str
        That version.
    """

    report: Report
    failures: list[Comparison] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)
    inapplicable: int = 0
    torch: str = ""


@dataclass(frozen=True)
class Progress:
    """How far a run has come: cases done, and comparisons held against targets."""

    done: int
    failed: int


_Judging = ProcessFuture[tuple[Batch, int]]
Listener = Callable[[Progress], None]


def run(
    suite: Suite,
    plan: Plan,
    *,
    jobs: int = 1,
    timeout: float = TIMEOUT,
    listener: Listener = lambda _: None,
    selection: dict[str, Any] | None = None,
    whole: bool = False,
) -> Outcome:
    """Execute and judge the cases of a suite.

    Parameters
    ----------
    suite : Suite
    plan : Plan
    jobs : int
        Worker processes; 0 runs in this process, without protection from crashes and hangs.
    timeout : float
        Seconds that one case may take.
    listener : callable
        Called as cases are done.
    selection : dict, optional
        What the report says of which cases were chosen.
    whole : bool
        All cases of the suite are run, so that each known divergence must be met.

    Raises
    ------
    InvalidInput
        A target cannot be loaded.
    """
    plan = replace(plan, timeout=timeout)
    tasks = ((Origin.of(entry), case) for entry, case in suite.cases())
    if jobs == 0:
        here = worker.Worker(plan)
        about = here.about()
        batches = _here(here, tasks)
    else:
        pool = _Pool(plan, jobs, timeout)
        about = pool.about
        batches = pool.run(tasks)
    found = Batch(Collector(plan.full), load_known())
    empty, partial = True, False
    with closing(batches):
        try:
            for batch in batches:
                empty = False
                found.merge(batch)
                listener(Progress(_count(found), len(found.failures)))
        except KeyboardInterrupt:
            partial = True
    # A shard of few cases may have none, and is needed all the same to make the run whole.
    if empty and not partial and not (selection or {}).get("shard"):
        raise InvalidInput("no case is selected; see 'bn-harness run --help' on what selects cases")
    report = found.collector.report(
        about.environment,
        about.baseline,
        about.names,
        partial=partial,
        absent=about.absent,
        selection=selection or {},
    )
    mistakes = found.known.mistakes([*about.names, about.baseline], whole and not partial)
    return Outcome(report, found.failures, mistakes, len(found.inapplicable), about.torch)


def _here(here: worker.Worker, tasks: Iterator[Task]) -> Generator[Batch, None, None]:
    for task in tasks:
        yield here.run([task])


def _count(batch: Batch) -> int:
    counts = batch.collector.verdicts.values()
    return max((each["cases"] for each in counts), default=0) + len(batch.inapplicable)


class _Pool:
    """Worker processes; one that dies or hangs takes only its case with it."""

    def __init__(self, plan: Plan, jobs: int, timeout: float) -> None:
        # Targets that keep their own time have it beside what the others have.
        timed = {str(spec) for spec in (plan.baseline, *plan.targets)}
        self.timeout = timeout
        self.limit = timeout * (1 + sum(spec.startswith("exec:") for spec in timed))
        self.jobs = jobs
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["harness.worker", "torch"])
        self.pool = ProcessPool(
            max_workers=jobs,
            context=context,
            initializer=worker.start,
            initargs=[plan, str(Path.cwd())],
        )
        try:
            self.about: worker.About = self.pool.schedule(worker.about).result()
        except (ProcessExpired, BrokenProcessPool):
            self.close()
            names = ", ".join(map(str, (*plan.targets, plan.baseline)))
            raise InvalidInput(f"a process ended while it loaded the targets {names}") from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop the workers."""
        self.pool.stop()  # type: ignore[no-untyped-call]
        self.pool.join()

    def run(self, tasks: Iterator[Task]) -> Generator[Batch, None, None]:
        """Yield what each chunk has found, in order; few chunks are under way at a time."""
        waiting: deque[tuple[list[Task], _Judging]] = deque()
        try:
            while True:
                while len(waiting) < AHEAD * self.jobs:
                    chunk = list(islice(tasks, CHUNK))
                    if not chunk:
                        break
                    waiting.append((chunk, self._schedule(chunk)))
                if not waiting:
                    break
                yield from self._finish(*waiting.popleft())
        finally:
            self.close()

    def _schedule(self, chunk: list[Task]) -> _Judging:
        # A worker begins no case after half of the limit, so each has its time, and a chunk of
        # many cases is not waited for much longer than one.
        half = self.timeout / 2
        limit = self.limit if len(chunk) == 1 else self.limit + half
        judging: _Judging = self.pool.schedule(worker.judge, args=[chunk, half], timeout=limit)
        return judging

    def _finish(self, chunk: list[Task], judging: _Judging) -> Iterator[Batch]:
        try:
            batch, done = judging.result()
        except (ProcessExpired, FutureTimeout):
            # One of the cases did it: each alone tells which.
            for task in chunk:
                yield from self._alone(task) if len(chunk) > 1 else self._apart(task)
            return
        yield batch
        rest = chunk[done:]
        if rest:
            yield from self._finish(rest, self._schedule(rest))

    def _alone(self, task: Task) -> Iterator[Batch]:
        yield from self._finish([task], self._schedule([task]))

    def _apart(self, task: Task) -> Iterator[Batch]:
        """Run a case by each target apart, to tell whose process ends."""
        lost: dict[str | None, tuple[Verdict, str]] = {}
        targets = [
            name
            for name in self.about.names
            if name != self.about.baseline and name not in self.about.absent
        ]
        for name in (None, *targets):
            if None in lost:
                lost[name] = ("unjudged", f"of {self.about.baseline}, {lost[None][1]}")
                continue
            share = self.pool.schedule(worker.share, args=[task, name], timeout=self.limit)
            try:
                yield share.result()
            except FutureTimeout:
                lost[name] = ("timeout", f"there is no result after {self.limit:g} s")
            except ProcessExpired as error:
                lost[name] = ("crash", f"the process ended with {_ending(error)}")
        if lost:
            yield self.pool.schedule(worker.lost, args=[task, lost]).result()


def _ending(error: ProcessExpired) -> str:
    code = error.exitcode
    return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
