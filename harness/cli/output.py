"""Standard output is for results: what targets print goes elsewhere."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout


@contextmanager
def targets_apart() -> Iterator[None]:
    """Send what is written to standard output, by whatever means, to standard error.

    What targets print when the process ends goes there, too.
    """
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        # Handlers run in the reverse order of their registration: this one before the targets'.
        atexit.register(_leave)


def _leave() -> None:
    sys.stdout.flush()
    os.dup2(2, 1)
