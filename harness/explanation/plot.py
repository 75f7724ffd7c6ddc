"""Curves over repetitions as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT = 640, 220, 60, 24, 150
_COLOURS = ("#0969da", "#bc4c00", "#1a7f37", "#8250df", "#bf3989", "#57606a")
_DASHES = ("", "6 3", "2 3", "8 3 2 3")
_LIMIT = 1e300


def svg(title: str, curves: Mapping[str, Sequence[float]]) -> str:
    """Return curves as one SVG element, readable on light and dark; gaps where nothing is finite.

    Parameters
    ----------
    title : str
    curves : mapping of str to sequence of float
        Values after 0, 1, 2, ... repetitions.
    """
    values = [v for curve in curves.values() for v in curve if abs(v) < _LIMIT]
    low, high = min(values, default=0.0), max(values, default=1.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    last = max(max(map(len, curves.values()), default=1) - 1, 1)
    wide, tall = _WIDTH - _LEFT - _RIGHT, _HEIGHT - 2 * _TOP

    def x(index: int) -> float:
        return _LEFT + wide * index / last

    def y(value: float) -> float:
        return _TOP + tall * (1 - (value - low) / (high - low))

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="{escape(title)}" '
        'font-family="sans-serif" font-size="11" fill="currentColor">',
        f"<title>{escape(title)}</title>",
        f'<path d="M{_LEFT} {_TOP}V{_TOP + tall}H{_LEFT + wide}" fill="none" '
        'stroke="currentColor" opacity="0.5"/>',
        f'<text x="{_LEFT - 6}" y="{_TOP + 4}" text-anchor="end">{high:.4g}</text>',
        f'<text x="{_LEFT - 6}" y="{_TOP + tall}" text-anchor="end">{low:.4g}</text>',
        f'<text x="{_LEFT}" y="{_HEIGHT - 8}">0</text>',
        f'<text x="{_LEFT + wide}" y="{_HEIGHT - 8}" text-anchor="end">{last} repetitions</text>',
    ]
    for number, (name, curve) in enumerate(curves.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        dash = _DASHES[number % len(_DASHES)]
        at = _TOP + 14 * number
        start = _LEFT + wide + 10
        style = f'fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"'
        parts += [
            f'<path d="{_path(curve, x, y)}" {style}/>',
            f'<path d="M{start} {at}h20" {style}/>',
            f'<text x="{start + 26}" y="{at + 4}">{escape(name)}</text>',
        ]
    return "".join([*parts, "</svg>"])


def _path(curve: Sequence[float], x: Callable[[int], float], y: Callable[[float], float]) -> str:
    step = max(1, math.ceil(len(curve) / 500))
    kept = sorted({*range(0, len(curve), step), len(curve) - 1})
    drawn, pen = [], "M"
    for index in kept:
        value = curve[index]
        if not abs(value) < _LIMIT:
            pen = "M"
            continue
        drawn.append(f"{pen}{x(index):.1f} {y(value):.1f}")
        pen = "L"
    return "".join(drawn)
