"""Errors over bound as dots on a logarithmic scale, one plot for each quantity."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from harness.report.model import Real, Report

LEAST, MOST = 1e-6, 1e3
"""Ends of the scale; what is beyond them is drawn at them."""

LEFT, WIDTH, ROW, TOP = 190, 340, 18, 26


@dataclass(frozen=True)
class Dot:
    """One accuracy row of a report: where it is drawn, and what it says."""

    x: float
    y: float
    text: str
    outside: bool
    baseline: bool


@dataclass(frozen=True)
class Plot:
    """One quantity: a line for each type and target."""

    quantity: str
    lines: tuple[tuple[float, str], ...]
    dots: tuple[Dot, ...]
    ticks: tuple[tuple[float, str], ...]
    bound: float
    height: float
    summary: str


def plots(report: Report) -> Iterator[Plot]:
    """Yield a plot for each quantity that the report has errors of."""
    quantities = sorted({row.quantity for rows in report.accuracy.values() for row in rows})
    for quantity in quantities:
        yield _plot(report, quantity)


def _plot(report: Report, quantity: str) -> Plot:
    rows = [
        (row.dtype, target, row)
        for target, found in report.accuracy.items()
        for row in found
        if row.quantity == quantity
    ]
    names = sorted({(dtype, target) for dtype, target, _ in rows})
    heights = {name: TOP + ROW * (place + 0.5) for place, name in enumerate(names)}
    dots = tuple(
        Dot(
            x=place(row.ratio),
            y=heights[dtype, target],
            text=f"{target}, {dtype}, {row.mode}, {row.layout}: {row.ratio} of the bound",
            outside=float(row.ratio) > 1,
            baseline=target == report.baseline,
        )
        for dtype, target, row in rows
    )
    outside = sum(dot.outside for dot in dots)
    return Plot(
        quantity=quantity,
        lines=tuple((heights[name], f"{name[0]}  {_brief(name[1])}") for name in names),
        dots=dots,
        ticks=tuple(
            (place(10.0**power), f"1e{power}" if power else "bound") for power in range(-6, 4)
        ),
        bound=place(1.0),
        height=TOP + ROW * len(names) + 8,
        summary=f"{len(dots)} errors over bound of {quantity}, {outside} of them outside",
    )


def _brief(target: str) -> str:
    longest = 20
    return target if len(target) <= longest else f"…{target[-longest:]}"


def place(ratio: Real) -> float:
    """Return where a ratio is on the scale; nan is as far off as infinity."""
    value = float(ratio)
    value = MOST if math.isnan(value) else min(max(value, LEAST), MOST)
    return round(LEFT + WIDTH * math.log(value / LEAST) / math.log(MOST / LEAST), 1)
