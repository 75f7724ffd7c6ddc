"""Exact results of batch normalisation, and how far from them a sound implementation may be.

    step = Step(input=x, eps=1e-5, batch_statistics=True, weight=w, bias=b)
    worst = ratios(y, exact(step).expected("output", "tree")).max()    # above 1: a mistake

docs/tolerances.md derives the bounds.
"""

from harness.oracle.accuracy import (
    ACCURACIES,
    Accuracy,
    Declared,
    standard_accuracy,
)
from harness.oracle.consistency import self_consistent
from harness.oracle.judge import Expected, ratios, ulps
from harness.oracle.quantities import QUANTITIES, RUNNING, Quantity, quantities_of
from harness.oracle.results import Results, exact
from harness.oracle.second import DoubleQuantity, double_backward, quantities_of_double
from harness.oracle.step import Channels, Step, rows, unrows

AnyQuantity = Quantity | DoubleQuantity

__all__ = [
    "ACCURACIES",
    "QUANTITIES",
    "RUNNING",
    "Accuracy",
    "AnyQuantity",
    "Channels",
    "Declared",
    "DoubleQuantity",
    "Expected",
    "Quantity",
    "Results",
    "Step",
    "double_backward",
    "exact",
    "quantities_of",
    "quantities_of_double",
    "ratios",
    "rows",
    "self_consistent",
    "standard_accuracy",
    "ulps",
    "unrows",
]
