"""The double backward pass: gradients of the gradients.

A loss depends on grad_input, grad_weight and grad_bias, by whose gradients h, k and l it begins:
L = Σ h·grad_input + k·grad_weight + l·grad_bias. With d = x − mean, r = 1/√(var + ε), the weight w,
g = grad_output, and the sums over a channel

    S = Σg    P = Σd·g    T = Σh    R = Σd·h    X = Σg·h    A = X − T·S/n

its derivatives are, where the statistics are the batch's own,

    by            of h                                         of k                         of l
    the input     (3·w·r⁵·R·P/n² − w·r³·A/n)·d                 k·r·(g − S/n) − k·r³·P/n·d
                  − w·r³·R/n·(g − S/n) − w·r³·P/n·(h − T/n)
    the weight    r·A − r³·R·P/n
    grad_output   w·r·(h − T/n) − w·r³·R/n·d                   k·r·d                        l

and where they are constants

    the input                                                  k·r·g
    the weight    r·X
    grad_output   w·r·h                                        k·r·d                        l

Source: the backward pass of Ioffe & Szegedy, *Batch Normalization* (2015), section 3,
differentiated; torch has it as `batchnorm_double_backward` in
`torch/csrc/autograd/FunctionsManual.cpp`.
"""

from __future__ import annotations

import numpy as np

from harness.reference import checks, layout
from harness.reference.arithmetic import Arithmetic
from harness.reference.kernel import Saved
from harness.reference.mathematics import Array

DoubleGradients = tuple[Array, Array | None, Array]


def double_backward(
    saved: Saved,
    grad_output: Array,
    gg_input: Array | None,
    gg_weight: Array | None,
    gg_bias: Array | None,
    *,
    arithmetic: Arithmetic,
) -> DoubleGradients:
    """Return what a loss by the gradients gives by input, weight and grad_output.

    Parameters
    ----------
    saved
        Of the forward pass.
    grad_output
        Of the backward pass, shape (N, C, H, W).
    gg_input, gg_weight, gg_bias
        h (N, C, H, W), k and l (C,). None: the loss does not depend on it, and nothing comes of it,
        be anything nan.
    arithmetic
        What computes the sums.

    Returns
    -------
    grad_input, grad_grad_output
        New, (N, C, H, W), of the input's type.
    grad_weight
        New, of the shape and type of the weight; None without one.

    Raises
    ------
    RuntimeError
        As torch does: `harness.reference.checks.second_gradients`.
    """
    x, weight = saved.input, saved.weight
    by_input = np.zeros_like(layout.channels(x, saved.mean.dtype))
    by_weight = np.zeros(x.shape[1] if weight is None else weight.size)
    by_grad_output = by_input.copy()
    if x.size:
        checks.second_gradients(weight, gg_input, gg_bias)
        first = _Pass(saved, grad_output, arithmetic)
        if gg_input is not None:
            of_input, by_weight, by_grad_output = first.by_grad_input(gg_input)
            by_input += of_input
        if gg_weight is not None:
            of_input, of_grad_output = first.by_grad_weight(gg_weight)
            by_input += of_input
            by_grad_output += of_grad_output
        if gg_bias is not None:
            by_grad_output += _columns(gg_bias, by_grad_output)
    return (
        by_input.astype(x.dtype, copy=False).reshape(x.shape),
        None if weight is None else by_weight.astype(weight.dtype).reshape(weight.shape),
        by_grad_output.astype(x.dtype, copy=False).reshape(x.shape),
    )


class _Pass:
    """A forward pass and its backward pass, to be differentiated by what these depend on."""

    def __init__(self, saved: Saved, grad_output: Array, arithmetic: Arithmetic) -> None:
        self.arithmetic, self.of_batch, self.mean = arithmetic, saved.of_batch, saved.mean
        self.n = saved.input.size // saved.input.shape[1]
        self.elements = layout.channels(saved.input, saved.mean.dtype)
        self.g = layout.channels(grad_output, saved.mean.dtype)
        self.d = self.elements - saved.mean[:, None]
        self.r = saved.invstd.astype(np.float64)
        self.scale = self.r if saved.weight is None else self.r * saved.weight.reshape(-1)
        if saved.of_batch:
            total, self.slope = arithmetic.sums_of_gradients(self.g, self.elements, self.mean)
            self.centred = self.g - _columns(total / self.n, self.g)
            self.total = total

    def by_grad_input(self, gg_input: Array) -> tuple[Array, Array, Array]:
        """Return what comes of h by input, weight and grad_output."""
        n, r, scale = self.n, self.r, self.scale
        h = layout.channels(gg_input, self.mean.dtype)
        _, products = self.arithmetic.sums_of_gradients(h, self.g, np.zeros_like(self.mean))
        if not self.of_batch:
            return np.zeros_like(self.d), r * products, _columns(scale, h) * h
        total, slope = self.arithmetic.sums_of_gradients(h, self.elements, self.mean)
        h = h - _columns(total / n, h)
        apart = products - total * self.total / n
        both = r**2 * slope * self.slope / n
        of_d = scale * r**2 * (3 * both - apart) / n
        of_g, of_h = -scale * r**2 * slope / n, -scale * r**2 * self.slope / n
        by_input = _columns(of_d, h) * self.d + _columns(of_g, h) * self.centred
        by_input += _columns(of_h, h) * h
        return by_input, r * (apart - both), _columns(scale, h) * h + _columns(of_g, h) * self.d

    def by_grad_weight(self, gg_weight: Array) -> tuple[Array, Array]:
        """Return what comes of k by input and grad_output."""
        factor = gg_weight.reshape(-1) * self.r
        by_grad_output = _columns(factor, self.d) * self.d
        if not self.of_batch:
            return _columns(factor, self.g) * self.g, by_grad_output
        of_d = -factor * self.r**2 * self.slope / self.n
        by_input = _columns(factor, self.g) * self.centred + _columns(of_d, self.d) * self.d
        return by_input, by_grad_output


def _columns(values: Array, like: Array) -> Array:
    """Return what belongs to channels, to be broadcast to elements (N, C, L) in their type."""
    return values.reshape(-1, 1).astype(like.dtype)
