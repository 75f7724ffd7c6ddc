"""What a comparison finds: divergences with place, size and culprit, and the verdict of a case."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, SupportsFloat, TypeVar

from harness.verdicts import Verdict

if TYPE_CHECKING:
    from harness.compare.stack import Figures
    from harness.trace import Raised

Culprit = Literal["target", "baseline", "both"]
Aspect = Literal[
    "value",
    "presence",
    "dtype",
    "shape",
    "layout",
    "error",
    "state",
    "memory",
    "input",
    "published",
]


CONSISTENCY = "self_consistency"
"""What reports call the output against reported statistics, among the quantities."""


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


class Holding(NamedTuple):
    """What a measure is of."""

    quantity: str
    mode: str
    """"train" or "eval"; "backward" of gradients that a later step takes."""
    dtype: str
    """Of the quantity."""
    layout: str
    """Of the input."""


class Measured(NamedTuple):
    """What was measured of one quantity in one step.

    Attributes
    ----------
    holding : Holding
    elements : int
    figures : Figures
    bitwise : int
        Elements equal to the baseline's bit for bit.
    nearer, farther : bool
        Its largest error over bound is below, or above, the baseline's.
    """

    holding: Holding
    elements: int
    figures: Figures
    bitwise: int = 0
    nearer: bool = False
    farther: bool = False


@dataclass(slots=True)
class Measure:
    """How near one quantity came to the exact result, over steps and cases.

    Attributes
    ----------
    elements, unjudged, vacuous, bitwise : int
        Elements in all; without a finite bound; with a bound of more than a tenth of the value;
        equal to the baseline's bit for bit.
    ratio, ulp : float
        Largest error over bound, and the error there in ulps of the channel's largest value.
    ratio_at : str
        The case of the largest ratio.
    held : int
        The strictest accuracy class that all hold: an index into the classes from the strictest,
        their number where not even the loosest is held.
    held_at : str
        The first case, by its id, that does not hold the next stricter class.
    nearer, farther : int
        Steps in which the target's largest error over bound is below, or above, the baseline's.
    """

    elements: int = 0
    unjudged: int = 0
    vacuous: int = 0
    bitwise: int = 0
    ratio: float = 0.0
    ulp: float = 0.0
    ratio_at: str = ""
    held: int = 0
    held_at: str = ""
    nearer: int = 0
    farther: int = 0

    def add(self, found: Measured, case: str, ratio: float) -> None:
        """Add a step of a case, `ratio` standing for the figures' own."""
        _, elements, (_, _, ulp, held, unjudged, vacuous), bitwise, nearer, farther = found
        self.elements += elements
        self.unjudged += unjudged
        self.vacuous += vacuous
        self.bitwise += bitwise
        self.nearer += nearer
        self.farther += farther
        self.ulp = max(self.ulp, ulp)
        if ratio >= self.ratio:
            self.ratio, self.ratio_at = _worse(self.ratio, self.ratio_at, ratio, case)
        if held and held >= self.held:
            self.held, self.held_at = _worse(self.held, self.held_at, held, case)

    def merge(self, other: Measure) -> None:
        """Add what another measure of the same holding has found."""
        self.elements += other.elements
        self.unjudged += other.unjudged
        self.vacuous += other.vacuous
        self.bitwise += other.bitwise
        self.nearer += other.nearer
        self.farther += other.farther
        self.ulp = max(self.ulp, other.ulp)
        # Ties go to the first id, so that the order of merging does not show.
        self.ratio, self.ratio_at = _worse(self.ratio, self.ratio_at, other.ratio, other.ratio_at)
        self.held, self.held_at = _worse(self.held, self.held_at, other.held, other.held_at)

    @property
    def closer(self) -> Literal["target", "baseline", "equal"]:
        """Who is closer to the exact result in more steps."""
        if self.nearer == self.farther:
            return "equal"
        return "target" if self.nearer > self.farther else "baseline"


Size = TypeVar("Size", int, float)


def _worse(size: Size, at: str, other: Size, other_at: str) -> tuple[Size, str]:
    if not at or other > size or (other == size and other_at and other_at < at):
        return (other, other_at) if other >= size else (size, at)
    return size, at


class Worst(NamedTuple):
    """The largest error over bound of a case."""

    quantity: str
    step: int
    ratio: float
    ulp: float


class Unforeseen(NamedTuple):
    """An error of the baseline that the case does not expect."""

    step: int
    """From 0; -1 is the constructor."""
    error: Raised


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
    measured : list of Measured
    worst : Worst or None
        None where no number was judged.
    bitwise_equal : bool
        All that the target returned equals the baseline's, bit for bit.
    reason : str or None
        Why it is unsupported, known, a crash or a timeout.
    link : str or None
        Where a known divergence is discussed.
    declared : tuple of str
        Reasons of the declarations that the verdict rests on.
    unforeseen : Unforeseen or None
        The first there is.
    """

    id: str
    target: str
    verdict: Verdict = "agree"
    divergences: list[Divergence] = field(default_factory=list)
    measured: list[Measured] = field(default_factory=list)
    worst: Worst | None = None
    bitwise_equal: bool = True
    reason: str | None = None
    link: str | None = None
    declared: tuple[str, ...] = ()
    unforeseen: Unforeseen | None = None

    @property
    def measures(self) -> dict[Holding, Measure]:
        """What was measured, over all steps."""
        measures: dict[Holding, Measure] = {}
        for each in self.measured:
            own = measures.setdefault(each.holding, Measure())
            own.add(each, self.id, each.figures.ratio)
        return measures


def number(value: SupportsFloat) -> str | float:
    """Return a float, or the name of one that strict JSON does not know."""
    plain = float(value)
    return plain if math.isfinite(plain) else str(plain)
