"""The public doors through which files come in, and what comes after where one is let in."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path

from harness import known
from harness.case.suite import load
from harness.errors import InvalidInput
from harness.landscape import landscape
from harness.report.diff import diff
from harness.report.diff_page import diff_to_html
from harness.report.diff_words import to_markdown, to_text
from harness.report.document import from_json, read, to_json
from harness.report.merge import merge
from harness.report.model import Report

SECONDS = 2.0
"""Most processor time for one input."""


class TooSlowError(AssertionError):
    """An input took longer than it may."""


def cases(path: Path) -> None:
    """Read a case file, and some of the cases of each of its entries."""
    suite = load([path])
    for entry in suite.entries:
        for case in islice(entry.cases(), 3):
            list(islice(case.executions(), 10))
        list(islice(entry.ids(), 3))


def divergences(path: Path) -> None:
    """Read a file of known divergences."""
    known.load([path])


def report(path: Path) -> None:
    """Read a report, and do with it what the verbs do."""
    found, name = read(path), str(path)
    assert from_json(to_json(found), name) == found
    for old, new in ((found, found), (found, _other()), (_other(), found)):
        with suppress(InvalidInput):
            changes = diff(old, new)
            for form in (to_text, to_markdown, diff_to_html):
                form(changes)
            changes.to_json()
    for act in (lambda: merge([(name, found)]), lambda: landscape([(name, found)], {})):
        with suppress(InvalidInput):
            act()


def _other() -> Report:
    return from_json(OTHER, "other")


OTHER = """{"schema": "bn-harness/report/1", "environment": {"torch": "2.13.0"},
"baseline": "torch", "targets": ["reference"], "accuracy": {}, "cases": [], "matrices": [],
"summary": {"reference": {"cases": 0}, "torch": {"cases": 0}}}"""

DOORS: dict[str, Callable[[Path], None]] = {
    "cases": cases,
    "known": divergences,
    "report": report,
}


def knock(door: str, path: Path, content: bytes) -> str | None:
    """Put content before a door; return the message if it is refused, None if it is let in.

    Raises
    ------
    AssertionError
        The message is empty, too long, or does not name the file; or it took too long.
    """
    path.write_bytes(content)
    start, message = time.process_time(), None
    try:
        DOORS[door](path)
    except InvalidInput as error:
        message = str(error)
        lines = message.splitlines()
        assert lines, "no message"
        assert all(path.name in line for line in lines), message[:500]
        assert len(message) < 64 * (len(content) + 1024), f"{len(message)} characters"
    taken = time.process_time() - start
    if taken > SECONDS:
        raise TooSlowError(f"{taken:.1f} s for {len(content)} bytes")
    return message
