"""A comparison as a report shows it: numbers to three digits, divergences that tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from harness.compare import Comparison, Measure
from harness.compare import Divergence as Found
from harness.compare.findings import number
from harness.report.model import Closeness, Divergence, Result, Unforeseen, Worst


def result(comparison: Comparison, *, by_hand: bool = True) -> Result:
    """Return what a report says of a case and a target.

    Parameters
    ----------
    comparison : Comparison
    by_hand : bool
        The case is no matrix's, which has errors wherever its axes meet in one.
    """
    by_quantity: dict[str, Measure] = {}
    for holding, measure in comparison.measures.items():
        by_quantity.setdefault(holding.quantity, Measure()).merge(measure)
    return Result(
        verdict=comparison.verdict,
        reason=comparison.reason,
        link=comparison.link,
        bitwise_equal=comparison.bitwise_equal,
        unjudged=sum(measure.unjudged for measure in by_quantity.values()),
        worst=_worst(comparison),
        quantities={
            quantity: Closeness(
                ratio=ratio(measure.ratio), ulp=rounded(measure.ulp), closer=measure.closer
            )
            for quantity, measure in sorted(by_quantity.items())
            if measure.unjudged < measure.elements
        },
        declared=list(comparison.declared),
        unforeseen=_unforeseen(comparison) if by_hand else None,
        divergences=[reported(each) for each in telling(comparison.divergences)],
    )


def reported(found: Found) -> Divergence:
    """Return what a report says of a divergence."""
    return Divergence(**{**asdict(found), "index": list(found.index), **_digits(found)})


def _digits(found: Found) -> dict[str, Any]:
    """Return the sizes of an error to as many digits as they can mean."""
    to = {"abs": rounded, "rel": rounded, "ulp": rounded, "ratio": ratio}
    sizes = {name: getattr(found, name) for name in to}
    return {
        name: to[name](size) if isinstance(size, float) else size for name, size in sizes.items()
    }


def _worst(comparison: Comparison) -> Worst | None:
    if comparison.worst is None:
        return None
    quantity, step, largest, ulp = comparison.worst
    return Worst(quantity=quantity, step=step, ratio=ratio(largest), ulp=rounded(ulp))


def _unforeseen(comparison: Comparison) -> Unforeseen | None:
    if comparison.unforeseen is None:
        return None
    step, error = comparison.unforeseen
    return Unforeseen(step=step, type=error.type, message=error.message)


def telling(divergences: Sequence[Found]) -> list[Found]:
    """Return the first divergence of each kind: what comes after it mostly follows from it."""
    first: dict[tuple[str, str, str], Found] = {}
    for each in divergences:
        first.setdefault((each.quantity, each.aspect, each.culprit), each)
    return list(first.values())


def rounded(value: float) -> float | str:
    """Return a number to three digits, as much as a ratio or a distance in ulps can mean."""
    digits = float(f"{value:.3g}") if math.isfinite(value) else value
    # Near the largest number, three digits can be above it.
    return digits if math.isfinite(digits) else number(value)


def ratio(value: float) -> float | str:
    """Return an error over its bound to three digits; what is outside stays above 1."""
    digits = rounded(value)
    return _OUTSIDE if digits == 1 and value > 1 else digits


_OUTSIDE = 1.01
"""The least number of three digits above 1."""
