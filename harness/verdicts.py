"""What a comparison can come to."""

from __future__ import annotations

from typing import Literal, get_args

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
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

FAILED: tuple[Verdict, ...] = ("diverge", "crash", "timeout")
"""Verdicts that are held against a target."""

AccuracyClass = Literal["wide", "tree", "any-order", "none"]
HELD: tuple[AccuracyClass, ...] = get_args(AccuracyClass)
"""What a target may hold, from the strictest; at the end, nothing."""

CLASSES = HELD[:-1]
"""The accuracy classes that a verdict may be asked for, from the strictest, as
`harness.oracle.ACCURACIES` has them."""
