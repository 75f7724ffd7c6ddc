"""Progress on standard error: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from harness.runner import Listener, Progress

EVERY = 10.0
"""Seconds between two lines in a log."""


class Lines:
    """Lines in a log, few of them.

    Parameters
    ----------
    stream : text stream
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._start = self._last = time.monotonic()

    def tell(self, done: int, more: str = "") -> None:
        """Write how many cases are done, and more, unless a line was written a short time ago."""
        now = time.monotonic()
        if now - self._last >= EVERY:
            self._last = now
            rate = done / (now - self._start)
            self._stream.write(f"{done:,} cases, {rate:,.0f} a second{more}\n")
            self._stream.flush()


@contextmanager
def following(stream: TextIO) -> Iterator[Listener]:
    """Show progress on `stream` while the block runs; what it yields is told of progress."""
    follow = _bar if stream.isatty() else _lines
    with follow(stream) as listener:
        yield listener


@contextmanager
def _bar(stream: TextIO) -> Iterator[Listener]:
    from rich.console import Console
    from rich.progress import (
        Progress as Bar,
    )
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.completed:,.0f} cases"),
        TextColumn("{task.speed:,.0f}/s"),
        TextColumn("{task.fields[failed]:,} fail"),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=Console(file=stream), transient=True) as bar:
        task = bar.add_task("cases", total=None, failed=0)

        def listener(progress: Progress) -> None:
            bar.update(task, completed=progress.done, failed=progress.failed)

        yield listener


@contextmanager
def _lines(stream: TextIO) -> Iterator[Listener]:
    lines = Lines(stream)
    yield lambda progress: lines.tell(progress.done, f", {progress.failed:,} fail")
