"""Worker processes of this machine; one that dies or hangs takes only its case with it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from concurrent.futures.process import BrokenProcessPool
from functools import cached_property
from typing import Any

from pebble import ProcessExpired

from harness.batch import About
from harness.engines.flow import CHUNK, SECONDS, Loss
from harness.engines.server import ORPHANED, SUCCESS
from harness.engines.workers import Workers
from harness.exits import ending
from harness.memory import EXHAUSTED
from harness.plan import Plan, in_own_process


class Pool:
    """Worker processes, which start while this one goes on; an engine.

    Parameters
    ----------
    plan : Plan
    jobs : int
        How many.
    chunk : int, optional
        Cases that one takes at a time.
    """

    def __init__(self, plan: Plan, jobs: int, chunk: int | None = None) -> None:
        self.plan = plan
        self.jobs = jobs
        self.chunk = chunk or CHUNK
        self.seconds = min(SECONDS, plan.timeout / 2)
        # Targets that keep their own time have it beside what the others have.
        timed = set(filter(in_own_process, (plan.baseline, *plan.targets)))
        self.limit = plan.timeout * (1 + len(timed))
        self._workers = Workers(plan, jobs)
        self._singles = Workers(plan, jobs, single=True)
        self._workers.start()

    @cached_property
    def about(self) -> About:
        """What the first worker says of itself, once it has loaded the targets."""
        return self._workers.about()

    def submit(
        self,
        function: Callable[..., Any],
        *args: object,
        more: float = 0.0,
        alone: bool = False,
    ) -> Future[Any]:
        """Call a function in a worker, which is stopped when the time of a case is over."""
        workers = self._singles if alone else self._workers
        return workers.call(function, *args, timeout=self.limit + more)

    def result(self, called: Future[Any]) -> Any:  # noqa: ANN401  # what the function returns
        """Return what a function returned, or how its process ended; None if none has begun."""
        try:
            return called.result()
        except FutureTimeout:
            return Loss("timeout", f"there is no result after {self.limit:g} s")
        except ProcessExpired as error:
            return Loss("crash", self._ending(error), doubtful=error.exitcode == ORPHANED)
        except BrokenProcessPool:
            return None

    def _ending(self, error: ProcessExpired) -> str:
        code, memory = error.exitcode, self.plan.memory
        code = 0 if code == SUCCESS else code
        if memory is not None and code == EXHAUSTED:
            return f"it wants more than the {memory:,} bytes of memory that it may take"
        within = f", its memory limited to {memory:,} bytes" if memory is not None else ""
        return f"the process ended with {ending(code)}{within}"

    def close(self) -> None:
        """Stop the workers."""
        self._workers.close()
        self._singles.close()
