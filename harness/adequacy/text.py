"""The scores as tables: for a terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import TextIO

from harness.adequacy.campaign import ENOUGH, WAVES
from harness.adequacy.scores import Score, Scores

_INTRODUCTION = """\
# Adequacy of the suite

{summary}: {by_hand:,} hand-written cases and {by_matrix:,} cases of matrices.

A mistake meets every hand-written case and {first} cases of matrices, and more of these until
{enough} cases have caught it: **by hand** and **by matrix** count the cases that caught it.
**Smallest** is the one with the fewest elements over all steps. Made by `bn-harness adequacy`; see
[docs/adequacy.md](../docs/adequacy.md).
"""


def show(scores: Scores, stream: TextIO) -> None:
    """Print the tables for a terminal, or for a log."""
    from rich.table import Table

    from harness.report.console import Output

    console = Output(stream)
    table = Table("planted mistake", "by hand", "by matrix", "smallest", box=None)
    for score in scores.planted.values():
        counts = str(score.by_hand), str(score.by_matrix)
        table.add_row(f"{score.variant.topic}:{score.variant.name}", *counts, _smallest(score))
    console.print(table)
    console.print()
    table = Table("sound variant", "cases", "blamed by", box=None)
    for score in scores.sound.values():
        name = f"{score.variant.topic}:{score.variant.name}"
        table.add_row(name, f"{score.met:,}", _blame(score))
    console.print(table)
    console.print(f"\n{scores.summary()}", highlight=False)
    for score in scores.survivors:
        variant = score.variant
        console.print(f"survives: {variant.spec}: {variant.about}", highlight=False, soft_wrap=True)


def to_markdown(scores: Scores) -> str:
    """Return the report as Markdown."""
    return "\n".join(_markdown(scores)) + "\n"


def _markdown(scores: Scores) -> Iterator[str]:
    summary = scores.summary()
    ran = {"by_hand": scores.by_hand, "by_matrix": scores.by_matrix}
    yield _INTRODUCTION.format(summary=summary, enough=ENOUGH, first=WAVES[0], **ran)
    for topic, found in groupby(scores.planted.values(), lambda each: each.variant.topic):
        yield f"## Planted: {topic.replace('_', ' ')}\n"
        yield "| mistake | what is wrong | by hand | by matrix | smallest |"
        yield "|---|---|---:|---:|---|"
        for score in found:
            about = f"{score.variant.about} {score.variant.met}".replace("|", "\\|")
            case = score.smallest[1] if score.smallest else None
            smallest = "**survives**" if case is None else f"`{case}`"
            counts = f"{score.by_hand} | {score.by_matrix}"
            yield f"| `{score.variant.name}` | {about} | {counts} | {smallest} |"
        yield ""
    yield "## Sound\n"
    yield "| variant | what is different | cases | blamed by |"
    yield "|---|---|---:|---|"
    for score in scores.sound.values():
        about = score.variant.about.replace("|", "\\|")
        yield f"| `{score.variant.name}` | {about} | {score.met:,} | {_blame(score)} |"


def _smallest(score: Score) -> str:
    if score.smallest is None:
        return "survives"
    cost, case, _ = score.smallest
    return f"{case} ({cost})"


def _blame(score: Score) -> str:
    if score.smallest is None:
        return "none"
    return f"{score.found} cases, the smallest {score.smallest[1]}"
