"""The process itself, without protection from what targets do to it."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from harness.worker import Plan, Worker


class Here:
    """Calls at once, a case at a time; an engine.

    Parameters
    ----------
    plan : Plan
    """

    jobs = 0
    chunk = 1
    seconds = math.inf

    def __init__(self, plan: Plan) -> None:
        self._worker = Worker(plan)
        self.about = self._worker.about()

    def submit(self, function: Callable[..., Any], *args: object, more: float = 0.0) -> Future[Any]:  # noqa: ARG002
        """Call a function."""
        called: Future[Any] = Future()
        called.set_result(function(self._worker, *args))
        return called

    def result(self, called: Future[Any]) -> Any:  # noqa: ANN401  # what the function returned
        """Return what a function returned."""
        return called.result()

    def close(self) -> None:
        """Keep nothing open: there is nothing."""
