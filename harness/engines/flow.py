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

CHUNK = 2048
"""Most cases that a process takes at a time: judged together, they are judged faster."""

SECONDS = 2.0
"""After this time a process gives back what it has found."""

_LEAST = 64
"""Cases in a chunk, at least, where there are as many."""

_KNOWN = 2**14
"""Most cases that are looked ahead, to divide the last of them."""

Numbered = tuple[int, Task]
_Ask = Callable[[], Future[Any]]
_Then = Callable[[Any], None]


class Loss(NamedTuple):
    """What became of a case whose process ended.

    Attributes
    ----------
    verdict : str
    reason : str
    doubtful : bool
        What another process did may have ended it too.
    """

    verdict: Verdict
    reason: str
    doubtful: bool = False


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

    def submit(
        self,
        function: Callable[..., Any],
        *args: object,
        more: float = 0.0,
        alone: bool = False,
    ) -> Future[Any]:
        """Call a function of `inside` in one of them.

        Parameters
        ----------
        more : float
            Seconds beside those of a case.
        alone : bool
            In a process that has executed nothing before, where the engine owns its processes.
        """

    def result(self, called: Future[Any]) -> Any:  # noqa: ANN401  # what the function returns
        """Return what a function returned, or the loss of the case that its process ended on.

        None where no process has begun with it: it may be submitted again.
        """

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
        self._waiting: dict[Future[Any], tuple[_Then, _Ask]] = {}
        self._doubted: deque[tuple[_Trial, str | None]] = deque()
        self._found: deque[Part] = deque()

    def run(self, tasks: Iterator[Numbered]) -> Iterator[Part]:
        """Yield what is found as it comes; few chunks are under way at a time."""
        engine = self.engine
        chunks = _chunks(tasks, engine.chunk, engine.jobs)
        while True:
            while len(self._waiting) < max(1, AHEAD * engine.jobs):
                chunk = next(chunks, None)
                if chunk is None:
                    break
                self._judge(chunk)
            if not self._waiting and self._doubted:  # nothing else runs any more
                self._try(*self._doubted.popleft(), certain=True)
            if not self._waiting:
                break
            for called in wait(self._waiting, return_when=FIRST_COMPLETED).done:
                then, ask = self._waiting.pop(called)
                result = engine.result(called)
                if result is None:
                    self._waiting[ask()] = then, ask
                else:
                    then(result)
            while self._found:
                yield self._found.popleft()

    def _submit(self, then: _Then, ask: _Ask) -> None:
        self._waiting[ask()] = then, ask

    def _judge(self, chunk: list[Numbered]) -> None:
        # A process begins no case after the time of a chunk, so each case has its own, and a
        # chunk of many cases is not waited for much longer than one.
        seconds = self.engine.seconds
        more = seconds if len(chunk) > 1 else 0.0
        tasks = [task for _, task in chunk]
        ask = partial(self.engine.submit, inside.judge, tasks, seconds, more=more)
        self._submit(partial(self._judged, chunk), ask)

    def _judged(self, chunk: list[Numbered], result: Any) -> None:  # noqa: ANN401  # or its loss
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
        self._try(_Trial(place, task, Batch(Collector(self._full), self._entries.unmet())), None)

    def _try(self, trial: _Trial, name: str | None, *, certain: bool = False) -> None:
        # What a target has kept of other cases would be held against this one.
        ask = partial(self.engine.submit, inside.share, trial.task, name, alone=True)
        self._submit(partial(self._tried, trial, name, certain), ask)

    def _tried(self, trial: _Trial, name: str | None, certain: bool, result: Batch | Loss) -> None:
        if isinstance(result, Loss) and result.doubtful and not certain:
            self._doubted.append((trial, name))
            return
        about = self.about
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
                    self._try(trial, target)
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
            trial.batch.keep(
                origin, without_trace(case, name, loss.verdict, loss.reason), self.about
            )
        self._found.append(Part([(trial.place, trial.place + 1)], trial.batch))


def _chunks(tasks: Iterator[Numbered], most: int, jobs: int) -> Iterator[list[Numbered]]:
    """Yield tasks in chunks, which get smaller towards the end.

    With half of its share of what is left in each, no process has much to do yet when the others
    are through (guided self-scheduling; Polychronopoulos & Kuck 1987).
    """
    shares = max(1, 2 * jobs)
    most = min(most, max(1, _KNOWN // shares))
    ahead = list(islice(tasks, most * shares))
    while ahead:
        count = min(most, max(_LEAST, len(ahead) // shares))
        yield ahead[:count]
        ahead = ahead[count:] + list(islice(tasks, count))
