"""Divergences that are what the target documents of itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from harness.compare.findings import Comparison, Divergence
from harness.compare.judged import Assessed
from harness.semantics import Difference, Semantics
from harness.trace import RESULTS


def undocumented(
    found: Comparison, divergences: Iterable[Divergence], semantics: Semantics
) -> Iterator[Divergence]:
    """Yield the divergences that no documented difference explains; note those that do.

    Parameters
    ----------
    found : Comparison
        Gets the differences that explain something, in `declared`.
    divergences : iterable of Divergence
    semantics : Semantics
        What the target documents to mean otherwise.
    """
    for each in divergences:
        difference = _explains(each, semantics)
        if difference is None:
            yield each
        elif each.aspect != "published":  # what is judged from its own state says why
            note(found, difference)


def _explains(divergence: Divergence, semantics: Semantics) -> Difference | None:
    counter = divergence.quantity == "num_batches_tracked"
    sides = divergence.expected, divergence.actual
    found: Difference | None = None
    match divergence.aspect if divergence.culprit == "target" else "":
        case "layout":
            found = semantics.layout
        case "presence" if counter and divergence.actual == "None":
            found = semantics.num_batches_tracked
        case "error" | "published" if divergence.quantity == "error":
            found = semantics.errors if "no error" not in sides else None
        case "memory":
            found = semantics.results if divergence.quantity in RESULTS else semantics.state
        case "published" if counter:
            found = semantics.num_batches_tracked
        case "published":
            # Torch's numbers come from torch's running statistics; the oracle judges the rest.
            found = semantics.running_var or semantics.momentum or semantics.eps
    return found


def note(found: Comparison, difference: Difference | None) -> None:
    """Add a documented difference to those that a verdict rests on."""
    if difference is not None:
        found.declared = tuple(sorted({*found.declared, difference.text}))


def note_numbers(found: Comparison, target: Assessed) -> None:
    """Note what the target documents of the numbers of a step."""
    computed, semantics = target.computed, target.semantics
    if target.question is None:
        return
    # To a module of float32 the rounding of eps is nothing new.
    if "output" in computed and computed["output"].dtype == np.float64:
        note(found, semantics.eps)
    if "running_mean" in computed and target.question.factor != target.asked.momentum:
        note(found, semantics.momentum)
    if "running_var" in computed:
        note(found, semantics.running_var)
