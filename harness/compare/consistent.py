"""Output against the statistics that the implementation itself reports.

With momentum 1 a train step leaves the batch's statistics in the buffers. An output that does not
follow from them is wrong whatever its sums were like; one that does, with statistics outside their
bound, blames the sums. No model of how sums grow is needed.
"""

from __future__ import annotations

import numpy as np

from harness.compare.assess import Assessed
from harness.compare.exactly import CLASSES
from harness.compare.findings import Measure
from harness.oracle import ratios, self_consistent

NAME = "self_consistency"
"""What reports call it, among the quantities."""


def consistency(case: str, done: Assessed) -> Measure | None:
    """Return how well the output of a step agrees with its statistics, None where none can say.

    Its class is the strictest where it holds, and none where it does not: there is no sum in it.
    """
    output = done.judged.get("output")
    mean, variance = done.done.state.get("running_mean"), done.done.state.get("running_var")
    if output is None or mean is None or variance is None:
        return None
    if not done.judged.keys() >= {"running_mean", "running_var"}:
        return None
    step = output.exact.step
    if not step.updates or not np.all(np.asarray(step.factor) == 1):
        return None
    old = step.running_mean, step.running_var
    if not all(each is not None and np.isfinite(each).all() for each in old):
        return None  # 0·nan is nan: what is left behind is not the batch's alone
    expected = self_consistent(step, mean, variance, output.declared)
    worst = float(ratios(output.array, expected).max(initial=0.0))
    unjudged = expected.unjudged
    return Measure(
        elements=output.array.size,
        unjudged=0 if unjudged is None else int(np.count_nonzero(unjudged)),
        vacuous=int(np.count_nonzero(expected.vacuous)),
        ratio=worst,
        ratio_at=case,
        held=0 if worst <= 1 else len(CLASSES),
        held_at=case if worst > 1 else "",
    )
