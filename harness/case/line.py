"""What a file spells, fit to be shown: it may break lines, speak to a terminal, or have no end."""

from __future__ import annotations

MOST = 1000
"""Characters that a message shows of it."""


def line(text: str) -> str:
    """Return a text in one line of printable characters, cut where it is too long."""
    text = text if len(text) <= MOST else f"{text[:MOST]}..."
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
