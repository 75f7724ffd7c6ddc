"""What happens inside the processes that execute cases."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from harness.batch import About, Batch
from harness.errors import InvalidInput
from harness.plan import Plan
from harness.worker import Task, Worker

T = TypeVar("T")

_PR_SET_PDEATHSIG = 1
"""To be sent a signal when the process ends that has started this one (prctl(2))."""

_here: list[tuple[str, Worker | InvalidInput]] = []
_turn = threading.RLock()


def about(here: Worker) -> About:
    """Return what this process says of itself."""
    return here.about()


def judge(here: Worker, tasks: Sequence[Task], seconds: float) -> tuple[Batch, int]:
    """Execute and judge cases until the time is over.

    Returns what was found, and how many of the cases were judged: at least one.
    """
    return here.take(tasks, seconds)


def share(here: Worker, task: Task, name: str | None) -> Batch:
    """Execute a case by one target and judge it; None stands for the baseline alone."""
    batch = here.batch()
    here.share(batch, *task, [name or here.baseline.info.name])
    return batch


def start(plan: Plan, folder: str) -> None:
    """Make this process a worker; what a target prints goes to standard error.

    Parameters
    ----------
    plan : Plan
    folder : str
        Where modules of targets are found.
    """
    threading.Thread(target=_follow, daemon=True).start()
    if sys.platform == "linux":  # whose server has ended is not watched, and would be waited for
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.dup2(2, 1)  # standard output is for results
    sys.stdout = sys.stderr  # its own buffer would be lost when the process is stopped
    _load("", plan, folder)
    gc.freeze()  # what is there by now, torch above all, stays, and need not be looked at again


def _follow() -> None:
    """End with the run: what is killed cannot stop a worker that hangs."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def call(function: Callable[..., T], *args: object) -> T:
    """Call one of these functions in a process that has been started."""
    return function(_worker(), *args)


def hired(
    run: str, plan: Plan, folder: str, function: Callable[..., T], *args: object
) -> tuple[About, T]:
    """Call one of these functions in a process, or thread, that an executor owns.

    The targets are loaded for the first call of a run, which has a name of its own, and kept;
    threads of one process take turns.
    """
    with _turn:
        if not _here or _here[0][0] != run:
            _load(run, plan, folder)
        return about(_worker()), call(function, *args)


def _load(run: str, plan: Plan, folder: str) -> None:
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        _here[:] = [(run, Worker(plan))]
    except InvalidInput as error:  # told to whoever asks
        _here[:] = [(run, error)]


def _worker() -> Worker:
    ((_, here),) = _here
    if isinstance(here, InvalidInput):
        raise here
    return here
