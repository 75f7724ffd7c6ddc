"""The landscape as a page in Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from harness.landscape.model import Cell, Landscape, Row

_WORDS = {
    "crash": "**crash**",
    "diverges": "**diverges**",
    "declared": "declared",
    "agree": "agrees",
    "unreached": "unreached",
    "unsupported": "unsupported",
}

_UNJUDGED = ("unreached", "unsupported")


def to_markdown(landscape: Landscape) -> str:
    """Return the page: targets down, features across, and what each cell rests on."""
    return "\n".join(_lines(landscape)) + "\n"


def _lines(landscape: Landscape) -> Iterator[str]:
    yield "# The landscape"
    yield ""
    yield (
        f"Batch normalisation of other frameworks against `{landscape.baseline}` "
        f"{landscape.torch}, on a sample of the suite."
    )
    yield (
        "Each cell has the gravest that any case comes to, and how many of the feature's cases "
        "come to it; cases that are unsupported, or that an error ends before the feature is met "
        "(unreached), are left out where others are judged."
    )
    yield "A declared difference is documented by the framework, and all else is judged exactly."
    yield "Written by `tox run -e landscape`; [findings](../docs/findings.md) explain it."
    yield ""
    yield f"| | {' | '.join(landscape.features)} |"
    yield f"|---|{'---|' * len(landscape.features)}"
    for row in landscape.rows:
        cells = (_cell(row.cells[feature]) for feature in landscape.features)
        yield f"| {short(row.target)} | {' | '.join(cells)} |"
    for row in landscape.rows:
        yield from _row(landscape, row)


def short(target: str) -> str:
    """Return a target's name as a heading has it: its module, and its class unless it is one."""
    module, _, name = target.rpartition(":")
    module = module.rpartition(".")[2] or target
    return module if name in ("", "BatchNorm") else f"{module} {name}"


def _cell(cell: Cell) -> str:
    judged = sum(count for state, count in cell.counts.items() if state not in _UNJUDGED)
    count = cell.counts[cell.state]
    if cell.state in _UNJUDGED:
        return f"{_WORDS[cell.state]} ({count})"
    return f"{_WORDS[cell.state]} ({count}{'' if count == judged else f' of {judged}'})"


def _row(landscape: Landscape, row: Row) -> Iterator[str]:
    yield ""
    yield f"## {short(row.target)}"
    yield ""
    yield f"`{row.target}`: {', '.join(f'{k} {v}' for k, v in row.versions.items()) or '-'}"
    if row.declared:
        yield ""
        yield "Declared:"
        yield ""
        yield from (f"- {text}" for text in row.declared)
    shown = [feature for feature in landscape.features if row.cells[feature].case is not None]
    if shown:
        yield ""
        yield "| feature | | smallest case | what it shows |"
        yield "|---|---|---|---|"
    for feature in shown:
        cell = row.cells[feature]
        shows = (cell.shows or "").replace("|", "&#124;").replace("\n", " ")
        yield f"| {feature} | {_WORDS[cell.state]} | `{cell.file}::{cell.case}` | {shows} |"
    commands = dict.fromkeys(filter(None, (row.cells[each].reproduce for each in shown)))
    if commands:
        yield ""
        yield "Each divergence, in the order of the table:"
        yield ""
        yield from (f"    {command}" for command in commands)
