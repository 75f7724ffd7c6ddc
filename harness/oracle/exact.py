"""Batch normalisation in real numbers, as near as a wider arithmetic comes.

x̂ = (x − m) / √(v + ε), y = w·x̂ + b, with m and v the mean and the biased variance of the batch
(Ioffe & Szegedy 2015, algorithm 1) or the running statistics.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from harness.oracle.arithmetic import (
    Arithmetic,
    Wide,
    narrow,
    rearrange,
    select,
    square_root,
    total,
    total_of_products,
    widen,
    wider_than,
)
from harness.oracle.step import Channels, Step, column, rows


@dataclass(frozen=True, eq=False)
class Gradients:
    """The backward pass: rows (C, n) in g and input, columns (C, 1) in the others.

    g is grad_output, S = Σg the gradient of the bias, P·r with P = Σd·g that of the weight, and
    q = P·r/n.
    """

    g: Wide
    S: Wide
    q: Wide
    input: Wide
    weight: Wide


@dataclass(frozen=True, eq=False)
class Forward:
    """The forward pass. Rows (C, n) in x, d, y; columns (C, 1) in the others.

    d = x − m, s = v + ε, r = 1/√s; the weight is w.
    """

    arithmetic: Arithmetic
    n: int
    x: Wide
    m: Wide
    d: Wide
    v: Wide
    s: Wide
    r: Wide
    w: Wide | None
    b: Wide | None
    y: Wide
    running_mean: Wide | None = None
    running_var: Wide | None = None


def moments(x: Wide) -> tuple[Wide, Wide, Wide]:
    """Return mean, deviations and biased variance of each row.

    Two passes, and the mean corrected by the mean of the deviations (Chan, Golub & LeVeque 1983,
    equation 1.7 corrects the variance to the same effect). Then d errs by a few units of the
    wide arithmetic relative to mean|d|, however large the mean. A row with an infinity has the
    mean of IEEE addition, and nan elsewhere.
    """
    n = narrow(x).shape[1]
    first = total(x) / n
    d = x - first
    correction = total(d) / n
    m = first + correction
    d -= correction
    lost = ~np.isfinite(narrow(correction))
    if lost.any():
        m = select(lost, first, m)
    return m, d, total_of_products(d, d) / n


def forward(step: Step, arithmetic: Arithmetic | None = None) -> Forward:
    """Compute output and running statistics in `arithmetic`, by default the input type's."""
    kind = arithmetic or wider_than(step.input.dtype)

    def columns(value: ArrayLike | None) -> Wide:
        return widen(column(value), kind)

    n = step.count
    x = widen(rows(step.input), kind)
    if not step.batch_statistics:
        m, v = columns(step.running_mean), columns(step.running_var)
        d = x - m
    elif n:
        m, d, v = moments(x)
    else:
        m, d, v = columns(np.zeros(step.channels)), x, columns(np.zeros(step.channels))
    s = v + columns(step.eps)
    r = 1.0 / square_root(s)
    w = None if step.weight is None else columns(step.weight)
    b = None if step.bias is None else columns(step.bias)
    y = d * r
    if w is not None:
        y *= w
    if b is not None:
        y += b
    f = Forward(kind, n, x, m, d, v, s, r, w, b, y)
    return updated(step, f) if step.updates else f


def updated(step: Step, f: Forward, channels: Channels = slice(None)) -> Forward:
    """Add the running statistics to a forward pass of the same input.

    new = (1 − factor)·old + factor·batch, where the batch's variance is n/(n−1) times the biased
    one (torch/nn/modules/batchnorm.py; Ioffe & Szegedy 2015, algorithm 2). `channels` are those
    of the pass that have the input of the step's.
    """

    def columns(value: ArrayLike | None) -> Wide:
        return widen(column(value), f.arithmetic)

    m, v = (rearrange(each, lambda a: a[channels]) for each in (f.m, f.v))
    factor = columns(step.factor)
    keep = 1.0 - factor
    batch_var = v * widen(f.n, f.arithmetic) / (f.n - 1) if step.unbiased else v
    return replace(
        f,
        running_mean=keep * columns(step.running_mean) + factor * m,
        running_var=keep * columns(step.running_var) + factor * batch_var,
    )


def gradients(step: Step, f: Forward) -> Gradients:
    """Compute the gradients of Σ grad_output·y.

    By the batch's statistics w·r·(g − S/n − x̂·q), as both depend on x (Ioffe & Szegedy 2015,
    section 3); by given ones w·r·g.
    """
    if step.grad_output is None:
        raise ValueError("grad_output: the step has none, so it has no gradients")
    g = widen(rows(step.grad_output), f.arithmetic)
    bias, weight = total(g), total_of_products(f.d, g) * f.r
    n = max(f.n, 1)
    q = weight / n
    scale = f.r if f.w is None else f.w * f.r
    if not step.batch_statistics:
        return Gradients(g, bias, q, scale * g, weight)
    t = g - bias / n
    t -= f.d * (f.r * q)
    t *= scale
    return Gradients(g, bias, q, t, weight)
