"""Double backward: exact gradients of the gradients, and how far from them one may be.

The backward pass maps (x, w, g) to grad_input, grad_weight and grad_bias, g being grad_output.
Let h, k and l (gg_input, gg_weight, gg_bias) be the gradients with respect to these three. Double
backward differentiates

    L = Σ h·grad_input + k·grad_weight + l·grad_bias

by x, w and g. With d, s, r, S and P as in the backward pass, T = Σh, R = Σd·h and X = Σg·h, in
training

    L = w·r·(X − T·S/n) − w·r³·R·P/n + k·r·P + l·S

Everything that depends on x is in r, P and R. As Σd = 0, their derivatives by xⱼ are −r³·dⱼ/n,
gⱼ − S/n and hⱼ − T/n. With given statistics L = w·r·X + k·r·P + l·S, and only P depends on x.
The products that come out are listed in `TRAINING` and `EVALUATION`, one `Term` each. Values and
bounds are made of the same lists; docs/tolerances.md, "Double backward", derives the bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.dtypes import name_of
from harness.oracle.accuracy import Accuracy, standard_accuracy
from harness.oracle.arithmetic import (
    Arithmetic,
    Array,
    Float64,
    Wide,
    narrow,
    rearrange,
    total,
    widen,
)
from harness.oracle.bounds import Bounds
from harness.oracle.exact import Forward, forward
from harness.oracle.judge import Expected
from harness.oracle.results import exact
from harness.oracle.step import Step, column, rows, unrows

DoubleQuantity = Literal["double_grad_input", "double_grad_weight", "double_grad_grad_output"]


@dataclass(frozen=True)
class Term:
    """coefficient · product of the named factors / n^over_n."""

    coefficient: int
    factors: str
    over_n: int = 0

    def roundings(self, terms: int) -> int:
        """Return how many roundings a product meets on its way into a sum of `terms` terms.

        One for each factor, two for each 1/n and for n/n, one for the subtraction in d, P and R,
        and the additions.
        """
        subtractions = sum(self.factors.count(name) for name in "dPR")
        return len(self.factors) + 2 * (self.over_n + 1) + subtractions + terms


TRAINING: dict[DoubleQuantity, tuple[Term, ...]] = {
    "double_grad_input": (
        Term(1, "krg"),
        Term(-1, "krS", 1),
        Term(-1, "krrrPd", 1),
        Term(-1, "wrrrXd", 1),
        Term(1, "wrrrTSd", 2),
        Term(3, "wrrrrrRPd", 2),
        Term(-1, "wrrrRg", 1),
        Term(1, "wrrrRS", 2),
        Term(-1, "wrrrPh", 1),
        Term(1, "wrrrPT", 2),
    ),
    "double_grad_weight": (Term(1, "rX"), Term(-1, "rTS", 1), Term(-1, "rrrRP", 1)),
    "double_grad_grad_output": (
        Term(1, "wrh"),
        Term(-1, "wrT", 1),
        Term(-1, "wrrrRd", 1),
        Term(1, "krd"),
        Term(1, "l"),
    ),
}
"""Where batch statistics normalise. Factors are one letter each, as in the module's docstring."""

EVALUATION: dict[DoubleQuantity, tuple[Term, ...]] = {
    "double_grad_input": (Term(1, "krg"),),
    "double_grad_weight": (Term(1, "rX"),),
    "double_grad_grad_output": (Term(1, "wrh"), Term(1, "krd"), Term(1, "l")),
}
"""Where running statistics normalise."""


@dataclass(frozen=True, eq=False)
class Factor:
    """A factor of terms: rows (C, n) or a column (C, 1).

    Attributes
    ----------
    value : wide array
    error : float64 array
        How far a sound implementation's may be from it, single products' roundings left out.
    largest : float64 array
        The computed Σ|·| of a sum, the computed |·| of others, at most.
    reach : float64 array
        The same with every number in it raised to 1 at least: what a loss below the normal range
        may still be multiplied by.
    """

    value: Wide
    error: Float64
    largest: Float64
    reach: Float64


def double_backward(
    step: Step,
    gg_input: Array | None = None,
    gg_weight: Array | None = None,
    gg_bias: Array | None = None,
    *,
    accuracy: str | Accuracy | None = None,
    arithmetic: Arithmetic | None = None,
) -> dict[DoubleQuantity, Expected]:
    """Return exact values and bounds of the double backward pass.

    Parameters
    ----------
    step : Step
        float32 or float64, with grad_output.
    gg_input : array like input, optional
        Gradient with respect to grad_input; None stands for zero, here and below.
    gg_weight, gg_bias : (C,) arrays, optional
        Gradients with respect to grad_weight and grad_bias.
    accuracy : str or Accuracy, optional
        "wide", "tree" or "any-order"; by default the one that verdicts ask for.
    arithmetic : "float64", "longdouble" or "double-double", optional
        As for `exact`.

    Returns
    -------
    dict of str to Expected
        double_grad_input, double_grad_grad_output (input's shape) and, with a weight,
        double_grad_weight (C,). What is not finite, or could have left the range on the way, is
        not judged.

    Raises
    ------
    ValueError
        If the input is of a 16-bit type, an array is missing that another one needs, or a shape
        is wrong.
    """
    seeds = {"h": gg_input, "k": gg_weight, "l": gg_bias}
    given = {name: array for name, array in seeds.items() if array is not None}
    _check(step, given)
    name = accuracy or standard_accuracy(name_of(step.input.dtype))
    table = TRAINING if step.batch_statistics else EVALUATION
    with np.errstate(all="ignore"):
        f, bounds = forward(step, arithmetic), exact(step).bounds(name, None)
        factors = _factors(step, f, bounds, given)
        return {
            quantity: _expected(step, quantity, table[quantity], factors, bounds)
            for quantity in quantities_of_double(step)
        }


def quantities_of_double(step: Step) -> tuple[DoubleQuantity, ...]:
    """Return the quantities that the double backward pass of a step computes."""
    return tuple(
        quantity
        for quantity in TRAINING
        if quantity != "double_grad_weight" or step.weight is not None
    )


def _check(step: Step, given: Mapping[str, Array]) -> None:
    name = name_of(step.input.dtype)
    if name not in ("float32", "float64"):
        raise ValueError(f"input: double backward is derived for float32 and float64, got {name}")
    if step.grad_output is None:
        raise ValueError("grad_output: the step has none; give the one to differentiate by")
    channels = (step.channels,)
    wanted = {
        "h": ("input", True, step.input.shape),
        "k": ("weight", step.weight is not None, channels),
        "l": ("bias", step.bias is not None, channels),
    }
    for letter, array in given.items():
        of, present, shape = wanted[letter]
        if not present:
            raise ValueError(f"gg_{of}: the step has no {of}; leave gg_{of} out")
        if array.shape != shape:
            raise ValueError(f"gg_{of}: expected the shape {shape}, got {array.shape}")


def _factors(
    step: Step, f: Forward, bounds: Bounds, given: Mapping[str, Array]
) -> dict[str, Factor]:
    """Return the factors by their letters; a gradient that is not given has none."""
    size, at, growth = bounds.size, bounds.backward, bounds.G * bounds.u
    none = np.zeros((1, 1))

    def factor(value: Wide, error: Float64 = none) -> Factor:
        largest = np.abs(narrow(value)) + error
        return Factor(value, error, largest, np.maximum(largest, 1.0))

    def sum_of(a: Factor, b: Factor, lost: Float64 = none, more: Float64 = none) -> Factor:
        terms = a.value * b.value
        absolute = np.abs(narrow(terms)).sum(axis=1, keepdims=True) + more
        reach = (a.reach * b.reach).sum(axis=1, keepdims=True) + lost
        error = growth * absolute + lost
        return Factor(total(terms), error, absolute + error, reach)

    def with_sums(names: str, array: Array) -> dict[str, Factor]:
        each = factor(widen(rows(array), f.arithmetic))
        alone = sum_of(each, one)
        signed = np.abs(narrow(alone.value))
        # An error e of the mean shifts Σd·g by e·Σg, and its terms by e·g; g may be centred first.
        by_d = sum_of(each, d, at.m * signed, at.m * alone.largest + spread * signed)
        return dict(zip(names, (each, alone, by_d), strict=True))

    mean_d = size.d.sum(axis=1, keepdims=True) / max(size.n, 1)
    spread = mean_d if step.batch_statistics else none
    # d may be centred again: the mean of d, which is zero, errs as the first mean did.
    one, d = factor(widen(none + 1, f.arithmetic)), factor(f.d, 2 * at.m + growth * spread)
    found = {
        "r": factor(f.r, size.r * at.rho),
        "d": d,
        "w": one if f.w is None else factor(f.w),
        **with_sums("gSP", np.asarray(step.grad_output)),
    }
    if "h" in given:
        found |= with_sums("hTR", given["h"])
        found["X"] = sum_of(found["g"], found["h"])
    columns = {name: given[name] for name in "kl" if name in given}
    return found | {k: factor(widen(column(a), f.arithmetic)) for k, a in columns.items()}


def _expected(
    step: Step,
    quantity: DoubleQuantity,
    terms: tuple[Term, ...],
    factors: Mapping[str, Factor],
    bounds: Bounds,
) -> Expected:
    images = quantity != "double_grad_weight"
    shape = rows(step.input).shape if images else (step.channels, 1)
    to = bounds.types.output if images else bounds.types.parameter
    value: Wide = factors["r"].value * np.zeros(shape)
    bound, reach = np.zeros(shape), np.zeros(shape)
    for term in terms:
        if factors.keys() >= set(term.factors):
            product, error, largest = _product(term, factors, step.count, len(terms), bounds)
            value, bound, reach = value + product, bound + error, np.maximum(reach, largest)
    size = np.abs(narrow(value))
    bound = bound + bounds.types.last(to) * size + to.eta
    unjudged = ~np.isfinite(bound + size) | ~(reach <= to.max / 4)

    def shaped(array: Wide) -> Wide:
        if not images:
            return rearrange(array, lambda a: a[:, 0])
        return rearrange(array, lambda a: unrows(a, step.input.shape))

    return Expected(
        exact=shaped(value),
        bound=shaped(bound),
        unjudged=shaped(unjudged) if unjudged.any() else None,
        dtype=to.name,
    )


def _product(
    term: Term, factors: Mapping[str, Factor], count: int, terms: int, bounds: Bounds
) -> tuple[Wide, Float64, Float64]:
    """Return a term's exact value, its bound, and the largest number it may be computed from."""
    value: Wide = float(term.coefficient)
    size = largest = reach = np.ones((1, 1))
    error = np.zeros((1, 1))
    for factor in (factors[name] for name in term.factors):
        value = value * factor.value
        magnitude = np.abs(narrow(factor.value))
        # Not the difference of two products: it would cancel.
        error = error * (magnitude + factor.error) + size * factor.error
        size, largest, reach = size * magnitude, largest * factor.largest, reach * factor.reach
    k = term.roundings(terms)
    rounding = k * bounds.u / (1 - k * bounds.u) * largest
    divisor = float(max(count, 1) ** term.over_n)
    error = abs(term.coefficient) * ((error + rounding) / divisor + k * bounds.eta * reach)
    return value / divisor, error, reach * max(count, 1)
