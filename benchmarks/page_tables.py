"""Tables in Markdown, and the places in a page that they are written to."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose first column is text and whose others are numbers."""
    rule = ["---", *["--:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))


def milliseconds(seconds: float) -> str:
    """Return a time above 0 in ms, with three digits of it or all before the point."""
    time = 1e3 * seconds
    return f"{time:,.{max(0, 2 - math.floor(math.log10(time)))}f}"


def mebibytes(size: int) -> str:
    """Return a size in MiB."""
    return f"{size / 2**20:,.0f}"


def replace(page: Path, name: str, text: str) -> None:
    """Write a table where the page has ``<!-- table: NAME -->``, up to ``<!-- end -->``.

    Raises
    ------
    ValueError
        The page has no such place.
    """
    before = page.read_text(encoding="utf-8")
    place = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not place.search(before):
        raise ValueError(f"{page}: there is no '<!-- table: {name} -->' with its '<!-- end -->'")
    after = place.sub(lambda found: f"{found[1]}{text}\n{found[2]}", before)
    page.write_text(after, encoding="utf-8")


def machine(load: float) -> str:
    """Return what was measured on: processor, versions, and the load before (1 keeps one busy)."""
    import pyperf  # type: ignore[import-untyped]  # it has no types

    from harness.environment import environment

    here = environment()
    about = pyperf.Run([1.0]).get_metadata()
    processor = about.get("cpu_model_name", about.get("platform", "unknown processor"))
    return (
        f"On {processor}, {about['cpu_count']} processors; Python {here['python']}, "
        f"torch {here['torch']}, NumPy {here['numpy']}, one thread; "
        f"load before {load:.1f}."
    )
