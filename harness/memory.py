"""A limit on the memory that targets take in a worker process."""

from __future__ import annotations

import os
import re
import resource
from pathlib import Path
from typing import NoReturn

from harness.case.model import Case
from harness.errors import InvalidInput
from harness.targets import Target
from harness.trace import Trace

EXHAUSTED = 113
"""Exit status of a process in which a target wanted more memory than it may take."""

_STATM = Path("/proc/self/statm")
_DATA = 5
"""Which number of ``statm`` is the size of private writable memory (proc(5))."""

_REFUSALS = ("allocate memory", "bad_alloc")
"""What errors of other types say of it: those of torch's allocator, and of C++."""

_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def size(text: str) -> int:
    """Return the bytes that a size stands for: 500MiB or 2GB, the one of 1024s, the other of 1000s.

    Raises
    ------
    InvalidInput
        It is no size above 0, or this system does not tell how much memory a process has.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?", text.strip(), re.IGNORECASE)
    found = 0
    if match:
        base, power = 1024 if match[3] else 1000, _POWERS[match[2].upper()]
        found = int(float(match[1]) * base**power)
    if not found:
        raise InvalidInput(f"--memory {text}: should be a size, as 500MiB or 2GB")
    if not _STATM.exists():
        raise InvalidInput(f"--memory {text}: needs Linux, whose {_STATM} tells a process's memory")
    return found


class Limit:
    """Lets targets have so much private writable memory beside what the process has now.

    The limit (``RLIMIT_DATA``, setrlimit(2)) holds while a target executes a case, and not while
    the case is judged. It counts what is asked for, touched or not; what is mapped from files,
    as the code of libraries, is not counted. Where a target cannot have what it wants, the process
    ends with the status `EXHAUSTED`: what it may have kept of earlier cases ends with it, so that
    the case can be run again in a process of its own, and be blamed only for its own.

    Parameters
    ----------
    memory : int
        In bytes.
    """

    def __init__(self, memory: int) -> None:
        pages = int(_STATM.read_text(encoding="ascii").split()[_DATA])
        self.limit = pages * resource.getpagesize() + memory

    def execute(self, target: Target, case: Case) -> Trace:
        """Run a case within the limit."""
        before = resource.getrlimit(resource.RLIMIT_DATA)
        hard = before[1]
        soft = self.limit if hard == resource.RLIM_INFINITY else min(self.limit, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
        try:
            trace = target.execute(case)
        except MemoryError:
            _end()
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, before)
        if _exhausted(trace):
            _end()
        return trace


def _exhausted(trace: Trace) -> bool:
    """Whether an error of the trace says that there was not enough memory."""
    raised = [trace.raised, *(step.raised for step in trace.steps)]
    return any(
        error.type.endswith("MemoryError") or any(word in error.message for word in _REFUSALS)
        for error in raised
        if error is not None
    )


def _end() -> NoReturn:
    os._exit(EXHAUSTED)
