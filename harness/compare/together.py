"""What was measured of many cases at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.compare.findings import Holding, Measure
from harness.compare.stack import Columns

NEAR = 0.99
"""Rounding to three digits moves a ratio by less than the rest."""


class Together(NamedTuple):
    """What was measured in one step of R cases, of Q quantities.

    Attributes
    ----------
    holdings : sequence of Holding
    elements : sequence of int
        Of each quantity, in one case.
    cases : sequence of str
        Their ids.
    figures : Columns
        Arrays (Q, R).
    bitwise : (Q, R) array
    nearer, farther : (Q, R) bool arrays
        As in `Measured`.
    """

    holdings: Sequence[Holding]
    elements: Sequence[int]
    cases: Sequence[str]
    figures: Columns
    bitwise: NDArray[np.intp]
    nearer: NDArray[np.bool_]
    farther: NDArray[np.bool_]

    def measures(
        self, shown: Callable[[float], float], known: Callable[[Holding], float]
    ) -> Iterator[tuple[Holding, Measure, float]]:
        """Yield what was measured of each quantity over all cases, and the largest ratio itself.

        Parameters
        ----------
        shown : callable
            Of ratios the largest counts as it is shown, and of the cases that have it the first.
        known : callable
            A ratio that a quantity is known to have come to: what is clearly below needs no case.
        """
        figures = self.figures
        counts = figures.unjudged, figures.vacuous, self.bitwise, self.nearer, self.farther
        sums = [each.sum(axis=1).tolist() for each in counts]
        most = [each.max(axis=1).tolist() for each in (figures.ratio, figures.ulp, figures.held)]
        for q, (holding, *of) in enumerate(zip(self.holdings, *sums, *most, strict=True)):
            unjudged, vacuous, bitwise, nearer, farther, highest, ulp, held = of
            ratio, ratio_at = highest, ""
            if highest >= NEAR * known(holding):
                ratio, ratio_at = self._largest(figures.ratio[q], highest, shown)
            measure = Measure(
                elements=self.elements[q] * len(self.cases),
                unjudged=unjudged,
                vacuous=vacuous,
                bitwise=bitwise,
                ratio=ratio,
                ulp=ulp,
                ratio_at=ratio_at,
                held=held,
                held_at=self._first(figures.held[q] == held) if held else "",
                nearer=nearer,
                farther=farther,
            )
            yield holding, measure, highest

    def _largest(
        self, ratio: NDArray[np.float64], highest: float, shown: Callable[[float], float]
    ) -> tuple[float, str]:
        most = shown(highest)
        near = ratio >= NEAR * highest
        same = [each for each in {*ratio[near].tolist()} if shown(each) == most]
        return most, self._first(ratio >= min(same))

    def _first(self, which: NDArray[np.bool_]) -> str:
        return min(self.cases[each] for each in np.flatnonzero(which).tolist())
