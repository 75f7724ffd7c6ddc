"""What the harness says to a user who gave it something that it cannot use."""

from __future__ import annotations

from collections.abc import Sequence


class InvalidInput(Exception):  # noqa: N818  # named for what the user gave
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
        # The arguments are what an exception is remade from on its way between processes.
        super().__init__(self.mistakes)

    def __str__(self) -> str:
        return "\n".join(self.mistakes)
