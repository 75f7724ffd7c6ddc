"""An implementation's executions of a case against the baseline's, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from harness.case.model import Call
from harness.compare import discrete
from harness.compare.blame import blame, equal_elements
from harness.compare.documented import note_numbers
from harness.compare.findings import (
    CONSISTENCY,
    Comparison,
    Divergence,
    Holding,
    Measured,
    Unforeseen,
    Worst,
)
from harness.compare.judged import Assessed
from harness.compare.transfer import Arrays
from harness.dtypes import name_of
from harness.semantics import TORCH
from harness.trace import RESULTS, STATE, same_bits


def compare_executions(
    found: Comparison, ours: Sequence[Assessed], theirs: Sequence[Assessed]
) -> None:
    """Compare step by step, up to an error that only one side raises.

    Parameters
    ----------
    found : Comparison
        Gets what is found.
    ours, theirs : sequence of Assessed
        The implementation's executions, and the baseline's; they may be the same.
    """
    saved: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    for target, baseline in zip(ours, theirs, strict=False):
        at = target.done.step, target.done.repetition
        go_on = _step(found, at, target, baseline, saved)
        for side, assessed in zip(saved, (target, baseline), strict=True):
            if assessed.done.saved is not None:
                side[assessed.asked.step.save] = assessed.done.saved  # type: ignore[union-attr]
        if not go_on:
            found.bitwise_equal = False
            return


def _step(
    found: Comparison,
    at: tuple[int, int],
    target: Assessed,
    baseline: Assessed,
    saved: tuple[dict[str, Any], dict[str, Any]],
) -> bool:
    """Compare one execution; return whether the next is worth comparing."""
    wanted, done, raised = target.asked.step.expected_error, target.done, baseline.done.raised
    skipped: frozenset[str] = frozenset()
    if any(each is not None for each in (wanted, raised, done.raised, done.unsupported)):
        differing = list(discrete.errors(at, wanted, done.raised, raised))
        if wanted is None and raised is not None:
            found.unforeseen = found.unforeseen or Unforeseen(at[0], raised)
        missing = _unsupported(target, differing)
        if missing is not None:
            found.reason = found.reason or missing
            found.bitwise_equal = False
            if not done.results:
                return False
            skipped = _GRADIENTS
        else:
            found.divergences += differing
            if any(each.aspect == "error" for each in differing):
                return False
    if target is not baseline:  # no array differs from itself
        found.divergences += discrete.results(at, target, baseline, skipped)
    _numbers(found, at, target, baseline)
    if target is not baseline:
        found.divergences += discrete.state(at, target, baseline, *saved)
        if done.saved is not None:
            found.divergences += discrete.saved_keys(at, target, baseline)
        found.bitwise_equal = found.bitwise_equal and _bitwise(target, baseline)
    if done.input_changed or done.overwritten:
        found.divergences += discrete.untouched(at, target)
    if isinstance(target.asked.step, Call):
        found.divergences += discrete.shared(at, target)
    return True


_GRADIENTS = frozenset(RESULTS[1:])


def _unsupported(target: Assessed, differing: Sequence[Divergence]) -> str | None:
    """Return why a target cannot do a step: it says so, by an error that is not the baseline's."""
    if target.done.unsupported is not None:
        return target.done.unsupported
    raised = target.done.raised
    if raised is None or raised.type != "NotImplementedError":
        return None
    if not any(each.culprit == "target" for each in differing):
        return None
    return raised.message or f"{raised.phase} is not implemented"


def _numbers(found: Comparison, at: tuple[int, int], target: Assessed, baseline: Assessed) -> None:
    asked, figures, arrays = target.asked, baseline.figures, baseline.computed
    mode, layout = asked.mode if asked.of is None else "backward", asked.layout
    worst = -1.0 if found.worst is None else found.worst.ratio
    for quantity, ours in target.figures.items():
        theirs, array = figures.get(quantity), target.computed[quantity]
        ratio, size = ours.ratio, array.size
        if ratio > worst and ours.unjudged < size:
            found.worst, worst = Worst(quantity, at[0], ratio, ours.ulp), ratio
        holding = holding_of(quantity, mode, array.dtype, layout)
        if theirs is None:
            found.measured.append(Measured(holding, size, ours))
            continue
        same = equal_elements(array, arrays[quantity])
        nearer, farther = ratio < theirs.ratio, ratio > theirs.ratio
        found.measured.append(Measured(holding, size, ours, same, nearer, farther))
        if ratio > 1 or theirs.ratio > 1:
            found.divergences += blame(at, target.judged[quantity], baseline.judged[quantity])
    if target.declared is not None and target.figures:
        found.declared = tuple(sorted({*found.declared, target.declared.reason}))
    if target.semantics is not TORCH:
        note_numbers(found, target)
    if target.consistency is not None:
        output = target.computed["output"]
        holding = holding_of(CONSISTENCY, mode, output.dtype, layout)
        found.measured.append(Measured(holding, output.size, target.consistency))


@lru_cache(maxsize=1024)
def holding_of(quantity: str, mode: str, dtype: np.dtype[Any], layout: str) -> Holding:
    """Return what a measure of a quantity is of."""
    return Holding(quantity, mode, name_of(dtype), layout)


def _bitwise(target: Assessed, baseline: Assessed) -> bool:
    """Whether all that an execution returned and left behind is the same."""
    ours, theirs = target.done, baseline.done
    return same(RESULTS, ours.results, theirs.results) and same(STATE, ours.state, theirs.state)


def same(names: Sequence[str], ours: Arrays, theirs: Arrays) -> bool:
    """Whether the arrays of some names are the same bit for bit, or as absent."""
    for name in names:
        one, other = ours.get(name), theirs.get(name)
        if one is not other and (one is None or other is None or not same_bits(one, other)):
            return False
    return True
