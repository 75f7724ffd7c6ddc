"""A pool of worker processes, and the pools that take its place where it breaks."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from pebble import ProcessExpired, ProcessPool

from harness.batch import About
from harness.engines import inside
from harness.engines.server import context
from harness.errors import InvalidInput
from harness.plan import Plan

ATTEMPTS = 3
"""How often processes are started that end while they load the targets."""

LOADING = 60.0
"""Least seconds that each target has to load: a short time for a case is none for an import."""

PAUSES = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Seconds to wait before each attempt: a server that is killed takes a moment to go."""


class Workers:
    """Processes that are started with the first call.

    One that ends in a call is replaced by the pool. One that ends without, as it loads the
    targets or waits, may break the pool, whose calls then raise `BrokenProcessPool`; what is
    called after that is for the next pool.

    Parameters
    ----------
    plan : Plan
    jobs : int
        How many.
    single : bool
        Each is replaced after one call.
    """

    def __init__(self, plan: Plan, jobs: int, *, single: bool = False) -> None:
        specs = [str(spec) for spec in (*plan.targets, plan.baseline)]
        self._specs = ", ".join(specs)
        self._loading = max(LOADING, plan.timeout) * len(specs)
        self._open = partial(
            ProcessPool,
            max_workers=jobs,
            max_tasks=int(single),
            context=context(single=single),
            initializer=inside.start,
            initargs=[plan, str(Path.cwd())],
        )
        self._pool: ProcessPool = self._open()
        self._called: set[Future[Any]] = set()
        self._about: Future[About] = Future()

    def start(self) -> None:
        """Start them, and ask one what it says of itself."""
        for pause in PAUSES:
            time.sleep(pause)
            with suppress(RuntimeError):
                self._about = self._pool.schedule(inside.call, args=[inside.about])
                return
            self._reopen()
        self._about = _broken()

    def about(self) -> About:
        """Return what it says, once it has loaded the targets.

        Raises
        ------
        InvalidInput
            It cannot load them, takes too long, or ends while it does, however often it is started.
        """
        for attempt in range(ATTEMPTS):
            if attempt:
                self._restart()
            try:
                return self._about.result(self._loading)
            except FutureTimeout:
                raise InvalidInput(
                    f"the targets {self._specs} are not loaded after {self._loading:g} s; if they "
                    "only need longer, give a longer --timeout"
                ) from None
            except (ProcessExpired, BrokenProcessPool):
                continue
        raise InvalidInput(f"a process ended while it loaded the targets {self._specs}")

    def call(self, function: Callable[..., Any], *args: object, timeout: float) -> Future[Any]:
        """Call a function of `inside` in one of them, which is stopped after so many seconds.

        Raises
        ------
        InvalidInput
            As for `about`, of the next pool.
        """
        try:
            called: Future[Any] = self._pool.schedule(
                inside.call, args=[function, *args], timeout=timeout
            )
        except RuntimeError:  # it has broken
            self._restart()
            self.about()  # or pools would break without end
            return _broken()
        self._called.add(called)
        called.add_done_callback(self._called.discard)
        return called

    def close(self) -> None:
        """Stop them."""
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()

    def _restart(self) -> None:
        self._reopen()
        for called in tuple(self._called):  # of which the pool had not heard when it broke
            called.set_exception(BrokenProcessPool())
        self.start()

    def _reopen(self) -> None:
        self.close()
        self._pool = self._open()


def _broken() -> Future[Any]:
    called: Future[Any] = Future()
    called.set_exception(BrokenProcessPool())
    return called
