"""A history as a page of Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any


def markdown(document: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of a page that shows a history's document."""
    yield "# torch.nn.BatchNorm2d from version to version"
    yield ""
    yield "What each version does otherwise than the one before it in this table, on the same CPU."
    yield ""
    quantities = sorted({each for row in document["accuracy"].values() for each in row})
    yield f"| version | {' | '.join(quantities)} | cases outside its bound |"
    yield "|---" * (len(quantities) + 2) + "|"
    for name, row in document["accuracy"].items():
        classes = " | ".join(row.get(each, "") for each in quantities)
        yield f"| {name} | {classes} | {document['inaccurate'][name]} |"
    yield ""
    yield "A class is the strictest that every case holds (docs/tolerances.md)."
    yield "A change is shown by its smallest case; versions.json names all of them."
    yield (
        "Accuracy counts the cases in which the later version is nearer to the exact result, or "
        "farther from it, and has the largest error of either over its bound."
    )
    yield "Written by `tox run -e versions`."
    for before, since in pairwise(document["accuracy"]):
        yield ""
        yield f"## {since}, after {before}"
        yield ""
        yield from _changes([each for each in document["changes"] if each["since"] == since])
    yield ""


def _changes(changes: list[dict[str, Any]]) -> Iterator[str]:
    if not changes:
        yield "No difference."
        return
    yield "| what | smallest case | before | since | cases | accuracy |"
    yield "|---|---|---|---|---|---|"
    for each in changes:
        told = [_cell(each[key]) for key in ("what", "case", "old", "new")]
        yield f"| {' | '.join(told)} | {each['cases']} | {_accuracy(each)} |"


def _accuracy(change: dict[str, Any]) -> str:
    counts = {"better": change["nearer"], "worse": change["farther"]}
    told = [f"{word} in {count}" for word, count in counts.items() if count]
    old, new = change["ratio"]
    return f"{', '.join(told)}; at most {old} → {new} of the bound" if told else "-"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
