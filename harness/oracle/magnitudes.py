"""The sizes that error bounds are made of, in float64, computed once for every accuracy class."""

from __future__ import annotations

import copy
from functools import cached_property

import numpy as np

from harness.oracle.arithmetic import Float64, Mask, magnitude, narrow, total_of_products
from harness.oracle.exact import Forward, Gradients
from harness.oracle.step import Channels


def _total(a: Float64) -> Float64:
    total: Float64 = np.add.reduce(a, axis=1, keepdims=True)
    return total


def _largest(a: Float64) -> Float64:
    largest: Float64 = np.maximum.reduce(a, axis=1, keepdims=True, initial=0.0)
    return largest


class Magnitudes:
    """Absolute values of a forward pass: rows (C, n) and columns (C, 1)."""

    def __init__(self, f: Forward, eps: Float64) -> None:
        self.n = f.n
        self.eps = eps
        self.x = magnitude(f.x)
        self.d = magnitude(f.d)
        self.m = magnitude(f.m)
        self.v = magnitude(f.v)
        self.s = narrow(f.s)
        self.r = narrow(f.r)
        self.w = np.ones((1, 1)) if f.w is None else magnitude(f.w)
        self.b = np.zeros((1, 1)) if f.b is None else magnitude(f.b)
        self.alpha = self.w * self.r
        self._y = f.y

    def columns(self, channels: Channels) -> Magnitudes:
        """Return the columns of some channels, as far as running statistics need them."""
        taken = copy.copy(self)
        for name in ("m", "v", "s", "r", "mean_x", "largest_d", "spread", "finite_x"):
            taken.__dict__[name] = getattr(self, name)[channels]
        if self.eps.ndim:
            taken.eps = self.eps[channels]
        return taken

    @cached_property
    def y(self) -> Float64:
        """|y|."""
        return magnitude(self._y)

    @cached_property
    def mean_x(self) -> Float64:
        """A = Σ|x| / n."""
        return _total(self.x) / max(self.n, 1)

    @cached_property
    def largest_x(self) -> Float64:
        """max|x|."""
        return _largest(self.x)

    @cached_property
    def largest_d(self) -> Float64:
        """max|x − m|."""
        return _largest(self.d)

    @cached_property
    def spread(self) -> Float64:
        """σ·R with σ = √v and R = √(m² + v), the root mean square of x."""
        return np.sqrt(self.v) * np.hypot(self.m, np.sqrt(self.v))

    @cached_property
    def finite_x(self) -> Mask:
        """Channels whose input is finite."""
        return np.isfinite(self.largest_x)


class GradientMagnitudes:
    """Absolute values of a backward pass: rows (C, n) and columns (C, 1)."""

    def __init__(self, f: Magnitudes, g: Gradients) -> None:
        self.g = magnitude(g.g)
        self.input = magnitude(g.input)
        self.S = magnitude(g.S)
        self.q = magnitude(g.q)
        self.weight = magnitude(g.weight)
        self.D = _total(self.g)
        self.Q: Float64 = total_of_products(f.d, self.g)
        self.finite_g: Mask = np.isfinite(self.D)
