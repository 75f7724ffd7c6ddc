"""What is not judged: where a sound implementation's intermediate results could leave its range.

A sum of squares that overflows float32 is no mistake, and what follows from it is not
batch normalisation. The conditions name what the usual algorithms compute on their way.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from harness.dtypes import precision
from harness.oracle.accuracy import Types
from harness.oracle.arithmetic import Mask
from harness.oracle.magnitudes import GradientMagnitudes, Magnitudes


def either(a: Mask | None, b: Mask | None) -> Mask | None:
    """Return a or b, None standing for nowhere."""
    if a is None or b is None:
        return b if a is None else a
    return a | b


class Doubt:
    """What cannot be judged of each quantity: masks (C, 1) or (C, n), None for nothing.

    Non-finite input is not in doubt: its consequences are required. Quantities have the names
    of `Quantity`.
    """

    def __init__(
        self,
        size: Magnitudes,
        back: GradientMagnitudes | None,
        batch_statistics: bool,
        types: Types,
    ) -> None:
        self.size, self._back, self.batch = size, back, batch_statistics
        self.types = types
        self.limit = types.element.max / 4
        self.kept_limit = min(
            (t.max / 4 for t in (types.statistics, types.saved) if t), default=self.limit
        )

    @property
    def back(self) -> GradientMagnitudes:
        """The backward pass, which gradient quantities need."""
        if self._back is None:
            raise ValueError("grad_output: the step has none, so it has no gradients")
        return self._back

    @cached_property
    def running_mean(self) -> Mask | None:
        """The mean of the batch."""
        size = self.size
        if not self.batch:
            return None
        doubtful = (size.n * size.mean_x > self.limit) | (size.m > self.kept_limit)
        return doubtful & size.finite_x if doubtful.any() else None

    @cached_property
    def running_var(self) -> Mask | None:
        """The variance of the batch: sums of squares, and the squares of pairwise merging."""
        size = self.size
        if not self.batch:
            return None
        doubtful = (size.n * size.v > self.limit) | (size.n * size.largest_d > self.limit**0.5)
        doubtful |= (size.v > self.kept_limit) | (size.r > self.kept_limit)
        return either(self.running_mean, doubtful & size.finite_x if doubtful.any() else None)

    @cached_property
    def root(self) -> Mask | None:
        """Given statistics whose v + ε may be zero or of either sign."""
        size, element = self.size, self.types.element
        safe = size.s > size.eps / 2
        if self.batch or safe.all():
            return None
        reach = 2 * element.u * (size.v + size.eps) + element.eta
        return ~safe & (np.abs(size.s) <= reach) & np.isfinite(size.s)

    @cached_property
    def output(self) -> Mask | None:
        """The output, element by element: y = w·x̂ + b and the affine form α·x + (b − α·m)."""
        size, limit = self.size, self.limit
        known = either(self.running_var, self.root)
        largest = np.maximum(size.largest_x, size.m) * size.alpha
        if ((largest <= limit) & (size.r * size.largest_d <= limit) & (size.alpha <= limit)).all():
            return known
        finite = np.isfinite(size.x) & np.isfinite(size.m)
        products = np.maximum(size.x, size.m) * size.alpha
        doubtful = ((products > limit) | (size.r * size.d > limit)) & finite
        return either(known, doubtful | (size.alpha > limit))

    @cached_property
    def grad_bias(self) -> Mask | None:
        """Σg."""
        back = self.back
        doubtful = self.limit < back.D
        return doubtful & back.finite_g if doubtful.any() else None

    @cached_property
    def products(self) -> Mask | None:
        """Σ d·g and its product with r, in the arithmetic's own type."""
        size, back = self.size, self.back
        doubtful = back.Q * np.maximum(size.r, 1) ** 2 > self.limit
        mask = doubtful & back.finite_g & size.finite_x if doubtful.any() else None
        return either(either(mask, self.root), either(self.running_var, self.grad_bias))

    @cached_property
    def grad_weight(self) -> Mask | None:
        """The same, where Σ d·g may pass through a declared type."""
        size, back, through = self.size, self.back, self.types.gradient
        if not through:
            return self.products
        doubtful = through.max / 4 < back.Q
        return either(self.products, doubtful & back.finite_g & size.finite_x)

    @cached_property
    def grad_input(self) -> Mask | None:
        """The gradient of the input; r² and r³ appear on the way."""
        size, back, limit = self.size, self.back, self.limit
        if not self.batch:
            scale = size.w + size.alpha
            doubtful = ((scale * back.g > limit) & np.isfinite(back.g)) | (scale > limit)
            return either(self.root, doubtful if doubtful.any() else None)
        r, w = np.maximum(size.r, 1), np.maximum(size.w, 1)
        smallest = 4 * precision(self.types.element.name).tiny
        doubtful = (w * r * back.D > limit) | (w * back.Q * r**3 > limit) | (size.alpha > limit)
        doubtful |= size.alpha * back.q * size.r * size.largest_d > limit
        doubtful |= size.r * size.r < smallest
        mask = doubtful & back.finite_g & size.finite_x if doubtful.any() else None
        return either(self.products, mask)
