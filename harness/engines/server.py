"""The process that workers are forked from: it has imported torch, so that they need not."""

from __future__ import annotations

from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess

SUCCESS = 256
"""What stands for the exit code 0 of a worker: no process has it."""

_IMPORTED = ["harness.engines.inside", "torch"]


class _Process(ForkServerProcess):
    """A worker: it never ends by itself, so that exit code 0 is no better than others.

    To pebble it would be an orderly end, after which nothing is missed.
    """

    @property
    def exitcode(self) -> int | None:
        """The exit code, `SUCCESS` for 0; negative for a signal, None while it lives."""
        code = super().exitcode
        return SUCCESS if code == 0 else code


class _Context(ForkServerContext):
    Process = _Process


def context() -> ForkServerContext:
    """Return the context in which workers are started."""
    found = _Context()
    found.set_forkserver_preload(_IMPORTED)
    return found


def warm() -> None:
    """Start the process, which imports for seconds, while this one has other things to do.

    It ends with this one.
    """
    context()
    forkserver.ensure_running()
