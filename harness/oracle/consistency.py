"""Output against the implementation's own statistics: no sum, so no class of accuracy.

With an averaging factor of 1 the running statistics after a step are the batch's. An output that
doesn't agree with them is wrong however hard the sums were; one that does, while the statistics
are off, blames the sums.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.oracle.accuracy import Declared
from harness.oracle.arithmetic import Array, Float64
from harness.oracle.judge import Expected
from harness.oracle.results import Results
from harness.oracle.step import Step, column


def self_consistent(
    step: Step, running_mean: Array, running_var: Array, declared: Declared | None = None
) -> Expected:
    """Return the output that follows from the statistics an implementation reports.

    Parameters
    ----------
    step : Step
        A training step with factor 1.
    running_mean, running_var : (C,) arrays
        What the implementation left behind after it.
    declared : Declared, optional

    Raises
    ------
    ValueError
        If the step doesn't replace the running statistics by the batch's.
    """
    if not step.updates or not np.all(np.asarray(step.factor) == 1):
        raise ValueError(
            "factor: the batch's statistics are known only where the factor is 1 and there are "
            "running statistics to update"
        )
    biased = (step.count - 1) / step.count if step.unbiased else 1.0
    given = replace(
        step,
        batch_statistics=False,
        running_mean=running_mean,
        running_var=running_var.astype(np.float64) * biased,
        factor=None,
        grad_output=None,
    )
    results = Results(given)
    with np.errstate(all="ignore"):
        bounds = results.bounds("wide", declared)
        at = bounds.reported(_magnitude(step.running_mean), _magnitude(step.running_var))
        # A variance beyond the range of its type says nothing of the one that normalised.
        lost = ~np.isfinite(column(running_var))
        return results.within("output", np.where(lost, np.inf, bounds.output(at)), declared)


def _magnitude(value: Array | None) -> Float64:
    return np.abs(np.asarray(column(value), np.float64))
