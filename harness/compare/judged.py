"""What was found of one implementation's numbers: each against the exact result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.case.model import Case
from harness.compare.follow import Asked
from harness.compare.question import Question
from harness.compare.stack import Figures
from harness.oracle import AnyQuantity, Declared, Expected, Step, ratios
from harness.oracle.arithmetic import distance
from harness.semantics import TORCH, Semantics
from harness.trace import Array, StepTrace, Trace

Declarations = Callable[[Step], Declared | None]
"""What an implementation declares of its accuracy in a step; it looks at types alone."""


@dataclass(eq=False)
class Judged:
    """One quantity of one execution against the exact result.

    Attributes
    ----------
    array : array
        What the implementation computed.
    question : Question
        What was asked, from the implementation's own state before the step.
    accuracy : str
        The class whose bound is the standard.
    declared : Declared or None
    quantity : str
    figures : Figures
        How near the whole array came.
    """

    array: Array
    question: Question
    accuracy: str
    declared: Declared | None
    quantity: AnyQuantity
    figures: Figures

    @cached_property
    def expected(self) -> Expected:
        """Exact values and the standard's bounds."""
        return self.question.exact.expected(self.quantity, self.accuracy, self.declared)

    @cached_property
    def ratio(self) -> NDArray[np.float64]:
        """Error over bound of each element; above 1 is a mistake."""
        return ratios(self.array, self.expected)

    @property
    def worst_index(self) -> tuple[int, ...]:
        """Where the largest ratio is."""
        return tuple(int(each) for each in np.unravel_index(self.figures.at, self.array.shape))

    @cached_property
    def error(self) -> NDArray[np.float64]:
        """Absolute errors; a special value in the wrong place is infinitely wrong."""
        with np.errstate(all="ignore"):
            rounded = self.expected.values
            given = self.array.astype(np.float64)
            error = distance(self.array, self.expected.exact)
            same = (given == rounded) | (np.isnan(given) & np.isnan(rounded))
            return np.where(
                same & ~np.isfinite(rounded), 0.0, np.where(np.isnan(error), np.inf, error)
            )


@dataclass(eq=False)
class Assessed:
    """One execution of a step against the exact result.

    Attributes
    ----------
    asked : Asked
    before : mapping of str to array or None
        The implementation's state before the execution.
    done : StepTrace
    question : Question or None
        None where nothing is computed, or nothing can be said.
    semantics : Semantics
        What the implementation documents to mean otherwise.
    accuracy : str
        The class whose bound is the standard.
    declared : Declared or None
        What the implementation declares of its accuracy.
    computed : dict of str to array
        Those quantities that can be judged.
    figures : dict of str to Figures
        How near each came.
    consistency : Figures or None
        The output against the statistics that the implementation reports; None where they do not
        show in its running statistics.
    start : mapping of str to array or None, or None
        The state before the forward pass whose gradients a backward step takes.
    """

    asked: Asked
    before: Mapping[str, Array | None]
    done: StepTrace
    semantics: Semantics
    question: Question | None = None
    accuracy: str = ""
    declared: Declared | None = None
    computed: dict[AnyQuantity, Array] = field(default_factory=dict)
    figures: dict[AnyQuantity, Figures] = field(default_factory=dict)
    consistency: Figures | None = None
    start: Mapping[str, Array | None] | None = None

    @cached_property
    def judged(self) -> dict[str, Judged]:
        """By quantity, each element of what was judged."""
        if self.question is None:
            return {}
        rest = self.question, self.accuracy, self.declared
        return {
            quantity: Judged(self.computed[quantity], *rest, quantity, figures)
            for quantity, figures in self.figures.items()
        }


class Account(NamedTuple):
    """What an implementation did with a case, and says of itself.

    Attributes
    ----------
    name : str
    trace : Trace
    declarations : callable
        What it declares of its accuracy.
    semantics : Semantics
        What it documents to mean otherwise than torch.
    """

    name: str
    trace: Trace
    declarations: Declarations = lambda _: None
    semantics: Semantics = TORCH


class Hearing(NamedTuple):
    """What implementations did with a case.

    Attributes
    ----------
    case : Case
    torch : str
        The baseline's version, for expectations that hold in some versions only.
    baseline : Account
    targets : tuple of Account
    matrix : str or None
        The matrix with whose other cases this one may be told of, where they agree.
    """

    case: Case
    torch: str
    baseline: Account
    targets: tuple[Account, ...] = ()
    matrix: str | None = None

    @property
    def accounts(self) -> tuple[Account, ...]:
        """The baseline's, then the targets'."""
        return self.baseline, *self.targets
