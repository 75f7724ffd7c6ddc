"""Where tables are printed: a terminal, a log, a pipe."""

from __future__ import annotations

import errno
import os
from typing import NoReturn, TextIO

from rich.console import Console

WIDTH = 160
"""Columns where there is no terminal."""


class Output(Console):
    """A stream that tables are printed to, as wide as the terminal that it is.

    Parameters
    ----------
    stream : text stream
    highlight : bool
        Whether numbers in a terminal have a colour.
    """

    def __init__(self, stream: TextIO, *, highlight: bool = True) -> None:
        width = None if stream.isatty() else WIDTH
        super().__init__(file=stream, highlight=highlight, width=width)

    def on_broken_pipe(self) -> NoReturn:
        """Tell the caller that the reader has left.

        Left to rich, the process would exit with 1, which says that a target diverges.

        Raises
        ------
        BrokenPipeError
            Always.
        """
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
