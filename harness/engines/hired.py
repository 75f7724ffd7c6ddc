"""Processes that someone else owns: any `concurrent.futures.Executor`, a cluster's too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from harness.batch import About
from harness.engines import inside
from harness.engines.flow import Loss
from harness.errors import InvalidInput
from harness.identity import difference
from harness.plan import Plan

CHUNK = 1000
"""Cases of one task: a cluster takes milliseconds for each task."""

SECONDS = 30.0
"""After this time a task gives back what it has found."""

PATIENCE = "10s"
"""How long a cluster has to answer."""


class Hired:
    """The processes of an executor, which stays its owner's; an engine.

    A case has no time limit. The executor may run a task again, on another machine too, as long
    as the environment there is the same.

    Parameters
    ----------
    plan : Plan
    executor : concurrent.futures.Executor
    jobs : int
        Tasks that it can run at once.
    chunk : int, optional
        Cases of one task.
    """

    seconds = SECONDS

    def __init__(self, plan: Plan, executor: Executor, jobs: int, chunk: int | None = None) -> None:
        self.jobs = jobs
        self.chunk = chunk or CHUNK
        self._executor = executor
        self._given = uuid4().hex, plan, str(Path.cwd())
        self._called: set[Future[Any]] = set()
        # Whoever executes must agree with the first, of which the report will tell.
        self._first: About | None = None
        self.about: About = self._own(self.submit(inside.about))

    def submit(
        self,
        function: Callable[..., Any],
        *args: object,
        more: float = 0.0,  # noqa: ARG002  # there are no time limits
        alone: bool = False,  # noqa: ARG002  # which process it is, the executor decides
    ) -> Future[Any]:
        """Call a function somewhere."""
        given = partial(inside.hired, *self._given, function, *args)
        called: Future[Any] = self._executor.submit(given)
        self._called.add(called)
        return called

    def result(self, called: Future[Any]) -> Any:  # noqa: ANN401  # what the function returns
        """Return what a function returned, or the loss of a case on which processes ended."""
        try:
            return self._own(called)
        except Exception as error:
            if type(error).__name__ != _KILLED:
                raise
            return Loss("crash", "the processes that ran it ended")

    def _own(self, called: Future[Any]) -> Any:  # noqa: ANN401  # as above
        self._called.discard(called)
        try:
            about, result = called.result()
        except (BrokenExecutor, CancelledError) as error:
            raise InvalidInput(
                f"the executor gave up a part of the run: {type(error).__name__}: {error}; "
                "see its own log, and what '-j' says of the same cases"
            ) from None
        self._first = self._first or about
        if said := difference(asdict(self._first), asdict(about)):
            raise InvalidInput(
                f"the executor's processes differ: {said}; a report is of one environment"
            )
        return result

    def close(self) -> None:
        """Leave the executor to its owner, without what this run asked of it."""
        for called in self._called:
            called.cancel()


_KILLED = "KilledWorker"
"""What Dask raises for a task on which it has lost several workers."""


@contextmanager
def cluster(address: str) -> Iterator[tuple[Executor, int]]:
    """Connect to a Dask cluster; yield its executor, and how many tasks it can run at once.

    Raises
    ------
    InvalidInput
        Dask is not installed, or the cluster does not answer or has no workers.
    """
    try:
        from distributed import Client
        from distributed.comm import resolve_address
    except ImportError:
        raise InvalidInput(
            "--dask needs Dask; install it by: pip install 'bn-harness[dask]'"
        ) from None
    try:
        resolve_address(address)  # what a client says of a wrong one is not a message
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, asyncio.TimeoutError, ValueError, TypeError) as error:
        raise InvalidInput(f"--dask {address}: no cluster answers there: {error}") from None
    with client:
        threads = sum(client.nthreads().values())
        if not threads:
            raise InvalidInput(f"--dask {address}: the cluster has no workers; start some")
        yield client.get_executor(pure=False), threads
