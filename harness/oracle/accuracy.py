"""What is asked of an implementation: how its sums may grow, and the types it computes in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from math import log2
from typing import Any

import numpy as np

from harness.dtypes import Precision, name_of, precision


@dataclass(frozen=True)
class Accuracy:
    """A class of summation algorithms.

    Attributes
    ----------
    name : str
    growth : function of n
        G in |fl(Σt) − Σt| ≤ G·u·Σ|t|, for n terms (Higham 2002, section 4.2).
    cross : function of n
        K, the growth of what algorithms lose that take deviations from a provisional mean.
    """

    name: str
    growth: Callable[[int], float]
    cross: Callable[[int], float]


ACCURACIES = {
    "wide": Accuracy("wide", lambda _: 1.0, lambda _: 0.0),
    "tree": Accuracy("tree", lambda n: min(n, 8 + 2 * log2(max(n, 1))), lambda n: min(n, 8)),
    "any-order": Accuracy("any-order", float, lambda n: max(n, 8)),
}
"""From the strictest to the loosest: the accumulator is wider than the elements; pairwise,
blocked or parallel; any order."""


def accuracy_class(name: str | Accuracy) -> Accuracy:
    """Return the class called `name`.

    Raises
    ------
    ValueError
        If there is none.
    """
    if isinstance(name, Accuracy):
        return name
    if name not in ACCURACIES:
        raise ValueError(f"accuracy: expected one of {', '.join(ACCURACIES)}, got {name!r}")
    return ACCURACIES[name]


def standard_accuracy(dtype: str) -> str:
    """Return the class that a verdict asks for: "tree", but "any-order" for float64 input."""
    return "any-order" if dtype == "float64" else "tree"


@dataclass(frozen=True)
class Declared:
    """What an implementation says of itself that is less than a sound one gives.

    Attributes
    ----------
    reason : str
        Why; it is shown with every verdict that rests on the declaration.
    statistics : str, optional
        The type that batch statistics are rounded to before they are used, and that momentum
        and the update are computed in.
    saved_statistics : str, optional
        The type that the statistics are rounded to between forward and backward;
        `statistics` unless given.
    parameter_gradients : str, optional
        The type that grad_weight and grad_bias are rounded to on the way to their own.
    flush_to_zero : bool
        Results below the smallest normal number may become zero.

    Raises
    ------
    ValueError
        If the reason is empty.
    """

    reason: str
    statistics: str | None = None
    saved_statistics: str | None = None
    parameter_gradients: str | None = None
    flush_to_zero: bool = False

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise ValueError("reason: say why the implementation declares less accuracy")


@dataclass(frozen=True)
class Type:
    """A floating type that values are rounded to: |fl(t) − t| ≤ u·|t| + η."""

    name: str
    u: float
    eta: float
    max: float


@dataclass(frozen=True)
class Types:
    """The types that a step is computed in."""

    element: Type
    """Arithmetic on elements and in accumulators."""
    statistics: Type | None
    """Declared type of the statistics in the forward pass; None: `element`, no rounding."""
    saved: Type | None
    """Declared type of the statistics in the backward pass."""
    update: Type
    """Arithmetic of the running update."""
    output: Type
    """Type of input, output and their gradients."""
    parameter: Type
    """Type of parameters, running statistics and their gradients."""
    gradient: Type | None
    """Declared type that parameter gradients pass through."""

    def last(self, to: Type) -> float:
        """Return the relative error of an operation whose result is stored as `to`.

        One rounding where the operation's own type is `to`, else two.
        """
        return to.u if to.name == self.element.name else to.u + self.element.u

    @cached_property
    def second_order(self) -> float:
        """F: products of two and more relative errors are at most (F − 1) times their sum."""
        kept = max((t.u for t in (self.statistics, self.saved) if t), default=0.0)
        return 1 + 2 * max(self.output.u, self.parameter.u) + 8 * max(kept, self.element.u)


@cache
def types_of(
    input_dtype: np.dtype[Any], parameter_dtype: np.dtype[Any], declared: Declared | None
) -> Types:
    """Return the types of a sound implementation, lowered to what is declared.

    A sound one computes in float32, and in float64 for float64 input.
    """
    flush = declared is not None and declared.flush_to_zero

    def rounding(name: str) -> Type:
        of: Precision = precision(name)
        return Type(name, of.unit, of.tiny if flush else of.subnormal, of.max)

    def optional(name: str | None) -> Type | None:
        return rounding(name) if name else None

    element = rounding("float64" if input_dtype == np.float64 else "float32")
    statistics = optional(declared.statistics if declared else None)
    saved = optional(declared.saved_statistics if declared else None)
    return Types(
        element=element,
        statistics=statistics,
        saved=saved or statistics,
        update=statistics or element,
        output=rounding(name_of(input_dtype)),
        parameter=rounding(name_of(parameter_dtype)),
        gradient=optional(declared.parameter_gradients if declared else None),
    )
