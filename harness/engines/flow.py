"""Chunks of cases on their way through processes, and who is to blame where a process ends."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, NamedTuple, Protocol

from harness.batch import About, Batch, without_trace
from harness.engines import inside
from harness.known import KnownDivergences
from harness.part import Part, spans_of
from harness.report.collect import Collector
from harness.verdicts import Verdict
from harness.worker import Task

AHEAD = 4
"""Chunks for each process that are under way or wait for it."""

CHUNK = 256
"""Cases that a process takes at a time: judged together, they are judged faster."""

SECONDS = 1.0
"""After this time a process gives back what it has found."""

Numbered = tuple[int, Task]


class Loss(NamedTuple):
    """What became of a case whose process ended."""

    verdict: Verdict
    reason: str


class Engine(Protocol):
    """Processes that execute cases."""

    @property
    def about(self) -> About:
        """What the processes say of themselves."""

    @property
    def jobs(self) -> int:
        """How many there are; 0 for this one."""

    @property
    def chunk(self) -> int:
        """Cases that one takes at a time."""

    @property
    def seconds(self) -> float:
        """After this time a process begins no other case of its chunk."""

    def submit(self, function: Callable[..., Any], *args: object, more: float = 0.0) -> Future[Any]:
        """Call a function of `inside` in one of them; `more` seconds beside those of a case."""

    def result(self, called: Future[Any]) -> Any:  # noqa: ANN401  # what the function returns
        """Return what a function returned, or the loss of the case that its process ended on."""

    def close(self) -> None:
        """Give the processes back."""


@dataclass
class _Trial:
    """A case whose process ended, while each target runs it apart."""

    place: int
    task: Task
    batch: Batch
    left: int = 0
    lost: dict[str, Loss] = field(default_factory=dict)


class Flow:
    """Takes cases through an engine.

    Parameters
    ----------
    engine : Engine
    full : bool
        As for `Plan`.
    entries : KnownDivergences
        Those of the run.
    """

    def __init__(self, engine: Engine, full: bool, entries: KnownDivergences) -> None:
        self.engine = engine
        self.about = engine.about
        self._full = full
        self._entries = entries
        self._waiting: dict[Future[Any], Callable[[Future[Any]], None]] = {}
        self._found: deque[Part] = deque()

    def run(self, tasks: Iterator[Numbered]) -> Iterator[Part]:
        """Yield what is found as it comes; few chunks are under way at a time."""
        engine = self.engine
        while True:
            while len(self._waiting) < max(1, AHEAD * engine.jobs):
                chunk = list(islice(tasks, engine.chunk))
                if not chunk:
                    break
                self._judge(chunk)
            if not self._waiting:
                break
            for called in wait(self._waiting, return_when=FIRST_COMPLETED).done:
                self._waiting.pop(called)(called)
            while self._found:
                yield self._found.popleft()

    def _submit(
        self,
        then: Callable[[Future[Any]], None],
        function: Callable[..., Any],
        *args: object,
        more: float = 0.0,
    ) -> None:
        self._waiting[self.engine.submit(function, *args, more=more)] = then

    def _judge(self, chunk: list[Numbered]) -> None:
        # A process begins no case after the time of a chunk, so each case has its own, and a
        # chunk of many cases is not waited for much longer than one.
        seconds = self.engine.seconds
        more = seconds if len(chunk) > 1 else 0.0
        tasks = [task for _, task in chunk]
        self._submit(partial(self._judged, chunk), inside.judge, tasks, seconds, more=more)

    def _judged(self, chunk: list[Numbered], future: Future[Any]) -> None:
        result = self.engine.result(future)
        if isinstance(result, Loss):
            # One of the cases did it: each alone tells which.
            for numbered in chunk if len(chunk) > 1 else ():
                self._judge([numbered])
            if len(chunk) == 1:
                self._apart(*chunk[0])
            return
        batch, done = result
        self._found.append(Part(spans_of(place for place, _ in chunk[:done]), batch))
        # What takes long goes on in pieces that take a chunk's time, to whoever is free.
        for start in range(done, len(chunk), done):
            self._judge(chunk[start : start + done])

    def _apart(self, place: int, task: Task) -> None:
        """Run a case by the baseline, then by each target, to tell whose process ends."""
        trial = _Trial(place, task, Batch(Collector(self._full), self._entries.unmet()))
        self._submit(partial(self._tried, trial, None), inside.share, task, None)

    def _tried(self, trial: _Trial, name: str | None, future: Future[Any]) -> None:
        about, result = self.about, self.engine.result(future)
        targets = [each for each in about.names if each not in {about.baseline, *about.absent}]
        if name is None:
            trial.left = len(targets)
            if isinstance(result, Loss):
                unjudged = Loss("unjudged", f"of {about.baseline}, {result.reason}")
                trial.lost = {about.baseline: result, **dict.fromkeys(targets, unjudged)}
                trial.left = 0
            else:
                trial.batch.merge(result)
                for target in targets:
                    args = (inside.share, trial.task, target)
                    self._submit(partial(self._tried, trial, target), *args)
        else:
            trial.left -= 1
            if isinstance(result, Loss):
                trial.lost[name] = result
            else:
                trial.batch.merge(result)
        if not trial.left:
            self._conclude(trial)

    def _conclude(self, trial: _Trial) -> None:
        origin, case = trial.task
        if trial.lost:
            trial.batch.known.excuse(case.id)
        for name, loss in trial.lost.items():
            trial.batch.keep(origin, without_trace(case, name, *loss), self.about)
        self._found.append(Part([(trial.place, trial.place + 1)], trial.batch))
