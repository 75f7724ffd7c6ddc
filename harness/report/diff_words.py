"""What changed between two reports, in words: as text and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from harness.report.diff_model import Change, Diff, Kind

SHOWN = 20
"""Most changes of a kind that are shown."""

REGRESSIONS = 100
"""Most regressions that are shown."""

HEADINGS: dict[Kind, str] = {
    "run": "The run",
    "environment": "Environment",
    "verdict": "Verdicts",
    "counts": "Matrices",
    "class": "Accuracy classes",
    "ratio": "Errors over bound",
    "added": "Added",
    "removed": "Removed",
    "declared": "Declared accuracy",
}


def answer(diff: Diff) -> str:
    """Return the answer in one sentence."""
    if diff.same:
        return "nothing changed"
    if not diff.changes:
        return "nothing that counts changed: numbers moved by less than the factor"
    count = len(diff.regressions)
    changes = _counted(len(diff.changes), "change")
    return f"{_counted(count, 'regression')} in {changes}" if count else f"{changes}, none worse"


def groups(diff: Diff) -> Iterator[tuple[str, list[Change], int]]:
    """Yield heading, changes to show, and how many more there are: regressions come first."""
    if diff.regressions:
        worse = diff.regressions
        yield "Regressions", worse[:REGRESSIONS], max(len(worse) - REGRESSIONS, 0)
    rest = [change for change in diff.changes if not change.worse]
    order = list(HEADINGS)
    rest.sort(key=lambda change: order.index(change.kind))
    for kind, found in groupby(rest, key=lambda change: change.kind):
        changes = list(found)
        yield HEADINGS[kind], changes[:SHOWN], max(len(changes) - SHOWN, 0)


def sentence(change: Change) -> str:
    """Return one change in words, without its target."""
    if change.kind == "added":
        return f"{change.subject}: {words(change.new)}"
    if change.kind == "removed":
        return f"{change.subject}: was {words(change.old)}"
    return f"{change.subject}: {words(change.old)} → {words(change.new)}"


def words(value: Any) -> str:  # noqa: ANN401  # any value of a report
    """Return a value of a report in words."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {words(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(words, value)) or "none"
    if isinstance(value, bool) or not isinstance(value, int):
        return "none" if value is None else str(value)
    return f"{value:,}"


def to_text(diff: Diff) -> str:
    """Return the changes for a terminal."""
    lines = [answer(diff)]
    for heading, changes, more in groups(diff):
        lines += ["", heading]
        lines += [f"  {_of(change)}{sentence(change)}" for change in changes]
        lines += _more(more, "  ")
    return "\n".join(lines) + "\n"


def to_markdown(diff: Diff) -> str:
    """Return the changes as Markdown, for a job's summary or a comment."""
    lines = ["# What changed", "", f"**{answer(diff)}**"]
    for heading, changes, more in groups(diff):
        lines += ["", f"## {heading}", ""]
        lines += [f"- {code(_of(change) + sentence(change))}" for change in changes]
        lines += _more(more, "- ")
    return "\n".join(lines) + "\n"


def code(text: str) -> str:
    """Return text as a Markdown code span, whatever backticks it has (CommonMark, 6.1)."""
    longest = max((len(run) for run in _runs(text)), default=0)
    fence = "`" * (longest + 1)
    space = " " if longest else ""
    return f"{fence}{space}{' '.join(text.split())}{space}{fence}"


def _runs(text: str) -> Iterator[str]:
    return ("".join(run) for tick, run in groupby(text, lambda char: char == "`") if tick)


def _of(change: Change) -> str:
    return f"{change.target}: " if change.target is not None else ""


def _more(count: int, start: str) -> list[str]:
    return [f"{start}... and {count:,} more; --format json has all"] if count else []


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
