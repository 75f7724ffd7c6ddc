"""Output against the implementation's own statistics: no sum, so no class of accuracy.

With an averaging factor of 1 the running statistics after a step are the batch's. An output that
doesn't agree with them is wrong however hard the sums were; one that does, while the statistics
are off, blames the sums.
"""

from __future__ import annotations

import numpy as np

from harness.oracle.accuracy import Declared
from harness.oracle.arithmetic import Array, Float64
from harness.oracle.judge import Expected
from harness.oracle.parts import WHOLE, Part
from harness.oracle.results import Results
from harness.oracle.step import Step, column, rows


def self_consistent(
    step: Step,
    running_mean: Array,
    running_var: Array,
    declared: Declared | None = None,
    part: Part = WHOLE,
) -> Expected:
    """Return the output that follows from the statistics an implementation reports.

    Parameters
    ----------
    step : Step
        A training step with factor 1.
    running_mean, running_var : (C,) arrays
        What the implementation left behind after it.
    declared : Declared, optional
    part : Part, optional
        Which rows (C, n) of the output, and which elements of each; by default the whole output,
        in the input's shape.

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
    channels = part[0]

    def of(value: Array | None) -> Array | None:
        return None if value is None else value[channels]

    given = Step(
        input=step.input if part is WHOLE else rows(step.input)[part],
        eps=step.eps[channels] if isinstance(step.eps, np.ndarray) else step.eps,
        batch_statistics=False,
        weight=of(step.weight),
        bias=of(step.bias),
        running_mean=of(running_mean),
        running_var=of(running_var.astype(np.float64) * biased),
    )
    results = Results(given)
    with np.errstate(all="ignore"):
        bounds = results.bounds("wide", declared)
        old = _magnitude(of(step.running_mean)), _magnitude(of(step.running_var))
        # A variance beyond the range of its type says nothing of the one that normalised.
        lost = ~np.isfinite(column(running_var[channels]))
        bound = bounds.output(bounds.reported(*old))
        bound = bound._replace(constant=np.where(lost, np.inf, bound.constant))
        return results.within("output", bound, declared)


def _magnitude(value: Array | None) -> Float64:
    return np.abs(np.asarray(column(value), np.float64))
