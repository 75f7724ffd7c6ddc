"""What the harness says to a user who gave it something that it cannot use."""

from __future__ import annotations

from collections.abc import Sequence


class InvalidInput(Exception):
    """Input that cannot be used: a case file, a target, an option, a report.

    Its text is the whole message to the user: what is wrong, where, and what to do.
    """


class InvalidCases(InvalidInput):
    """Every mistake in a set of case files, each as ``file:line:column: message``.

    Attributes
    ----------
    mistakes : tuple of str
    """

    def __init__(self, mistakes: Sequence[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(self.mistakes))
