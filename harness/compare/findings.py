"""What a comparison finds: divergences with place, size and culprit, and the verdict of a case."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from harness.compare.assess import Judged

Culprit = Literal["target", "baseline", "both"]
Aspect = Literal[
    "value", "presence", "dtype", "shape", "layout", "error", "state", "input", "published"
]
Verdict = Literal[
    "agree",
    "diverge",
    "baseline_inaccurate",
    "unsupported",
    "unjudged",
    "known",
    "crash",
    "timeout",
]


@dataclass(frozen=True, slots=True)
class Divergence:
    """One difference that counts.

    Attributes
    ----------
    step, repetition : int
        Where, from 0; step -1 is before the first.
    quantity : str
        "output", "running_var", ...; "error" or "input" where no array is meant.
    aspect : str
        What of the quantity differs.
    culprit : str
    expected, actual : str, float or None
        The baseline's and the target's value, or what stands for it.
    exact : float or None
        The exact result of the target's step.
    index : tuple of int
        Of the worst element.
    abs, rel, ulp, ratio : float or None
        The target's error against the exact result: absolute, relative, in units in the last
        place of the exact value, and as a multiple of the bound.
    count : int
        How many elements are outside.
    """

    step: int
    repetition: int
    quantity: str
    aspect: Aspect
    culprit: Culprit
    expected: str | float | None = None
    actual: str | float | None = None
    exact: str | float | None = None
    index: tuple[int, ...] = ()
    abs: str | float | None = None
    rel: str | float | None = None
    ulp: str | float | None = None
    ratio: str | float | None = None
    count: int = 1


@dataclass(slots=True)
class Measure:
    """How near one quantity came to the exact result, over the steps of a case.

    Attributes
    ----------
    elements, unjudged, vacuous, bitwise : int
        Elements in all; without a finite bound; with a bound of more than a tenth of the value;
        equal to the baseline's bit for bit.
    ratio, ulp : float
        Largest error over bound, and largest error in ulps (at the channel's largest value).
    step : int
        The step of the largest ratio, from 0.
    nearer, farther : int
        Steps in which the target's largest error is below, or above, the baseline's.
    """

    elements: int = 0
    unjudged: int = 0
    vacuous: int = 0
    bitwise: int = 0
    ratio: float = 0.0
    ulp: float = 0.0
    step: int = 0
    nearer: int = 0
    farther: int = 0

    def add(self, step: int, judged: Judged) -> None:
        """Count one more execution of the quantity."""
        expected = judged.expected
        self.elements += judged.array.size
        if expected.unjudged is not None:
            self.unjudged += int(np.count_nonzero(expected.unjudged))
        self.vacuous += int(np.count_nonzero(expected.vacuous))
        if judged.worst > self.ratio:
            self.ratio, self.step = judged.worst, step
        self.ulp = max(self.ulp, judged.ulp)

    @property
    def closer(self) -> Literal["target", "baseline", "equal"]:
        """Who is closer to the exact result in more steps."""
        if self.nearer == self.farther:
            return "equal"
        return "target" if self.nearer > self.farther else "baseline"


Holding = tuple[str, str, str]
"""Quantity, dtype and layout that an accuracy class is held for."""


@dataclass(slots=True)
class Comparison:
    """A target's trace against the baseline's and the oracle's.

    Attributes
    ----------
    id : str
        The case's.
    target : str
    verdict : str
    divergences : list of Divergence
    measures : dict of str to Measure
        By quantity.
    held : dict of (quantity, dtype, layout) to int
        The accuracy class that the case allows: an index into the classes from the strictest,
        or their number where the loosest is not held.
    bitwise_equal : bool
        All that the target returned equals the baseline's, bit for bit.
    reason : str or None
        Why it is unsupported, known, a crash or a timeout.
    declared : tuple of str
        Reasons of the declarations that the verdict rests on.
    """

    id: str
    target: str
    verdict: Verdict = "agree"
    divergences: list[Divergence] = field(default_factory=list)
    measures: dict[str, Measure] = field(default_factory=dict)
    held: dict[Holding, int] = field(default_factory=dict)
    bitwise_equal: bool = True
    reason: str | None = None
    declared: tuple[str, ...] = ()


def number(value: Any) -> str | float:
    """Return a float, or the name of one that strict JSON does not know."""
    plain = float(value)
    return plain if math.isfinite(plain) else str(plain)
