"""The process itself, without protection from what targets do to it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from harness.engines.flow import CHUNK, SECONDS
from harness.plan import Plan
from harness.worker import Worker


class Here:
    """Calls at once; an engine.

    Parameters
    ----------
    plan : Plan
    chunk : int, optional
        Cases that are executed before they are judged.
    """

    jobs = 0
    seconds = SECONDS

    def __init__(self, plan: Plan, chunk: int | None = None) -> None:
        self.chunk = chunk or CHUNK
        self._worker = Worker(plan)
        self.about = self._worker.about()
        # As in a worker process; what somebody has frozen before stays so.
        self._froze = not gc.get_freeze_count()
        if self._froze:
            gc.freeze()

    def submit(
        self,
        function: Callable[..., Any],
        *args: object,
        more: float = 0.0,  # noqa: ARG002  # there are no time limits
        alone: bool = False,  # noqa: ARG002  # nor another process
    ) -> Future[Any]:
        """Call a function."""
        called: Future[Any] = Future()
        try:
            called.set_result(function(self._worker, *args))
        except BaseException as error:  # raised where the result is asked for
            called.set_exception(error)
        return called

    def result(self, called: Future[Any]) -> Any:  # noqa: ANN401  # what the function returned
        """Return what a function returned."""
        return called.result()

    def close(self) -> None:
        """End the processes that targets have of their own."""
        if self._froze:
            gc.unfreeze()
        self._worker.close()
