"""Where more than one special value conforms in a gradient."""

from __future__ import annotations

import numpy as np

from harness.oracle.arithmetic import Float64, Mask
from harness.oracle.judge import Special
from harness.oracle.magnitudes import GradientMagnitudes, Magnitudes
from harness.oracle.quantities import Quantity


def special_gradients(
    quantity: Quantity,
    exact: Float64,
    size: Magnitudes,
    back: GradientMagnitudes | None,
    batch_statistics: bool,
) -> tuple[Mask | None, Special]:
    """Return where, and by which rule, in exact values that are not all finite.

    An infinite gradient meets sums, products with zero and differences of infinities; which of
    them come first is the implementation's choice.
    """
    if back is None or quantity not in ("grad_input", "grad_weight"):
        return None, "same"
    if quantity == "grad_input" and not batch_statistics:
        return None, "same"
    nan = np.isnan(back.g).any(axis=1, keepdims=True)
    nan |= np.isnan(size.x).any(axis=1, keepdims=True) | np.isnan(size.r) | np.isnan(size.m)
    finite = size.finite_x if batch_statistics else True
    return ~nan & finite & ~np.isfinite(exact), "non-finite"
