"""Runs a suite: cases in chunks to worker processes, what they find into one report."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from harness import worker
from harness.case.suite import Suite
from harness.compare import Comparison
from harness.errors import InvalidInput
from harness.report.collect import Origin
from harness.report.model import Report
from harness.worker import Batch, Plan, Task

CHUNK = 64
"""Cases that a worker takes at a time."""

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
    """

    report: Report
    failures: list[Comparison] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)
    inapplicable: int = 0


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
    tasks = ((Origin.of(entry), case) for entry, case in suite.cases())
    if jobs == 0:
        here = worker.Worker(plan)
        about = worker.About(here.names, here.absent, here.environment)
        batches = (here.run([task]) for task in tasks)
    else:
        pool = _Pool(plan, jobs, timeout)
        about = pool.about
        batches = pool.run(tasks)
    found: Batch | None = None
    partial = False
    try:
        for batch in batches:
            if found is None:
                found = batch
            else:
                found.merge(batch)
            listener(Progress(_count(found), len(found.failures)))
    except KeyboardInterrupt:
        partial = True
    if found is None:
        raise InvalidInput("no case is selected; see 'bn-harness run --help' on what selects cases")
    baseline = plan.baseline
    names = [*about.names, baseline]
    more: dict[str, Any] = {"absent": about.absent, "selection": selection or {}}
    report = found.collector.report(
        about.environment, baseline, about.names, partial=partial, **more
    )
    mistakes = found.known.mistakes(names, whole and not partial)
    return Outcome(report, found.failures, mistakes, len(found.inapplicable))


def _count(batch: Batch) -> int:
    counts = batch.collector.verdicts.values()
    return max((each["cases"] for each in counts), default=0) + len(batch.inapplicable)


class _Pool:
    """Worker processes; one that dies or hangs takes only its case with it."""

    def __init__(self, plan: Plan, jobs: int, timeout: float) -> None:
        self.timeout = timeout
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
        except ProcessExpired:
            self.close()
            raise InvalidInput("a worker process ended while it loaded the targets") from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop the workers."""
        self.pool.stop()
        self.pool.join()

    def run(self, tasks: Iterator[Task]) -> Iterator[Batch]:
        """Yield what each chunk has found, in order; few chunks are under way at a time."""
        waiting: deque[tuple[list[Task], ProcessFuture]] = deque()
        try:
            while True:
                while len(waiting) < 4 * self.jobs:
                    chunk = list(islice(tasks, CHUNK))
                    if not chunk:
                        break
                    waiting.append((chunk, self._schedule(chunk)))
                if not waiting:
                    break
                yield from self._finish(*waiting.popleft())
        finally:
            self.close()

    def _schedule(self, chunk: Sequence[Task]) -> ProcessFuture:
        limit = self.timeout * len(chunk)
        return self.pool.schedule(worker.judge, args=[list(chunk)], timeout=limit)

    def _finish(self, chunk: list[Task], future: ProcessFuture) -> Iterator[Batch]:
        try:
            yield future.result()
        except (ProcessExpired, FutureTimeout) as error:
            if len(chunk) > 1:
                # One of the cases did it: each alone tells which.
                for task in chunk:
                    yield from self._finish([task], self._schedule([task]))
            else:
                yield self._lost(chunk[0], error)

    def _lost(self, task: Task, error: ProcessExpired | FutureTimeout) -> Batch:
        if isinstance(error, FutureTimeout):
            reason = f"no result after {self.timeout:g} s"
            verdict = "timeout"
        else:
            reason, verdict = f"the process ended: {_ending(error)}", "crash"
        return self.pool.schedule(worker.lost, args=[task, verdict, reason]).result()


def _ending(error: ProcessExpired) -> str:
    code = error.exitcode
    if code is not None and code < 0:
        import signal  # noqa: PLC0415

        return signal.Signals(-code).name
    return f"exit code {code}"


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
