"""An explanation as text, as Markdown and as HTML."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from harness.explanation.blocks import Block, Heading, Lines, Plot, Table, Words
from harness.explanation.plot import svg

_BARS = "▁▂▃▄▅▆▇█"
_WIDE = 60


def to_text(blocks: Iterable[Block]) -> str:
    """Return an explanation for a terminal."""
    return "\n".join(line for block in blocks for line in _text(block)) + "\n"


def _text(block: Block) -> Iterator[str]:
    match block:
        case Heading(level, text):
            yield from ("", text)
            if level <= 2:  # noqa: PLR2004
                yield "=-"[level - 1] * len(text)
        case Words(text):
            yield text
        case Lines(lines):
            yield from (f"    {line}".rstrip() for line in lines)
        case Table(head, rows):
            yield from (f"    {line}" for line in _aligned([head, *rows]))
        case Plot(title, curves):
            yield title
            width = max(map(len, curves), default=0)
            for name, values in curves.items():
                yield f"    {name:{width}}  {sparkline(values)}"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)).rstrip()


def sparkline(values: Sequence[float]) -> str:
    """Return values as bars between their least and their greatest; what is not finite is ×."""
    step = max(1, math.ceil(len(values) / _WIDE))
    chosen = [float(value) for value in values][::step]
    finite = [value for value in chosen if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    top = len(_BARS) - 1

    def bar(value: float) -> str:
        if not math.isfinite(value):
            return "×"
        # Halved, since a difference may be beyond the largest number.
        span = high / 2 - low / 2
        return _BARS[round(top * ((value / 2 - low / 2) / span)) if span else 0]

    return "".join(map(bar, chosen)) + f"  {low:.4g} to {high:.4g}"


def to_markdown(blocks: Iterable[Block]) -> str:
    """Return an explanation as Markdown; plots are inline SVG."""
    return "\n\n".join("\n".join(_markdown(block)) for block in blocks) + "\n"


def _markdown(block: Block) -> Iterator[str]:
    match block:
        case Heading(level, text):
            yield f"{'#' * level} {_plain(text)}"
        case Words(text):
            yield _plain(text)
        case Lines(lines):
            # Indented code has no fence that a line could end.
            yield from (f"    {line}" for line in "\n".join(lines).splitlines())
        case Table(head, rows):
            yield f"| {' | '.join(map(_plain, head))} |"
            yield f"|{'---|' * len(head)}"
            yield from (f"| {' | '.join(map(_plain, row))} |" for row in rows)
        case Plot(title, curves):
            yield svg(title, curves)


def _plain(text: str) -> str:
    """Escape what Markdown or HTML would read, and line breaks."""
    text = escape(" ".join(text.split()), quote=False)
    for char in "\\`*_[]|":
        text = text.replace(char, f"\\{char}")
    return text


def to_html(blocks: Iterable[Block]) -> str:
    """Return an explanation as a fragment of HTML, for a notebook."""
    return "\n".join(line for block in blocks for line in _html(block))


def _html(block: Block) -> Iterator[str]:
    match block:
        case Heading(level, text):
            yield f"<h{level + 1}>{escape(text)}</h{level + 1}>"
        case Words(text):
            yield f"<p>{escape(text)}</p>"
        case Lines(lines):
            yield f"<pre>{escape(chr(10).join(lines))}</pre>"
        case Table(head, rows):
            yield "<table><thead><tr>"
            yield from (f'<th scope="col">{escape(cell)}</th>' for cell in head)
            yield "</tr></thead><tbody>"
            for row in rows:
                yield f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
            yield "</tbody></table>"
        case Plot(title, curves):
            yield svg(title, curves)
