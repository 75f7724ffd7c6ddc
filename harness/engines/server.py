"""The process that workers are forked from: it has imported torch, so that they need not."""

from __future__ import annotations

import os
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess

SUCCESS = 256
"""What stands for the exit code 0 of a worker: no process has it."""

ORPHANED = 255
"""Exit code, as multiprocessing says, of a worker whose server has ended; so have all others'."""

_DONE = 114
"""Exit code of a worker that has done the one task which it was started for."""

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


class _Single(_Process):
    """A worker of one task, after which it ends by itself."""

    def run(self) -> None:
        """Work, and wait for no thread or child that a target has left."""
        super().run()
        os._exit(_DONE)

    @property
    def exitcode(self) -> int | None:
        """As of any worker, but 0 for the orderly end."""
        code = super().exitcode
        return 0 if code == _DONE else code


class _Context(ForkServerContext):
    Process = _Process


class _SingleContext(ForkServerContext):
    Process = _Single


def context(*, single: bool = False) -> ForkServerContext:
    """Return the context in which workers are started, for one task each or for many."""
    found = _SingleContext() if single else _Context()
    found.set_forkserver_preload(_IMPORTED)
    return found


def warm() -> None:
    """Start the process, which imports for seconds, while this one has other things to do.

    It ends with this one.
    """
    context()
    forkserver.ensure_running()
