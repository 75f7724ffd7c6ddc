"""The process that workers are forked from: it has imported torch, so that they need not."""

from __future__ import annotations

import multiprocessing
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext

_IMPORTED = ["harness.engines.inside", "torch"]


def context() -> ForkServerContext:
    """Return the context in which workers are started."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(_IMPORTED)
    return found


def warm() -> None:
    """Start the process, which imports for seconds, while this one has other things to do.

    It ends with this one.
    """
    context()
    forkserver.ensure_running()
