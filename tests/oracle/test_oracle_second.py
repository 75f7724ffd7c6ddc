"""Double backward against differences at 3,000 bits, and against sound and mistaken arithmetic."""

from __future__ import annotations

from dataclasses import replace

import ml_dtypes
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle_steps import FILLS, accumulate, fill, make_step, mp, pairwise, truth

from harness.oracle import Expected, Step, ratios
from harness.oracle.doubledouble import DoubleDouble
from harness.oracle.second import double_backward

_BITS = 3000
"""Differences of 2^-300 lose as many bits, subnormal gradients 1,100."""

SEEDS = ("gg_input", "gg_weight", "gg_bias")
ARITHMETICS = [("float32", "float64"), ("float64", "longdouble"), ("float64", "double-double")]


def make_seeds(seed: int, step: Step, kind: str = "normal") -> dict[str, np.ndarray]:
    """Return gg_input, gg_weight and gg_bias of a step (C, n)."""
    rng = np.random.default_rng([seed, 1])
    shapes = (step.input.shape, step.input.shape[:1], step.input.shape[:1])
    dtype = step.input.dtype
    kinds = (kind, "normal", "normal")
    return {
        name: fill(each, rng, shape, dtype)
        for name, each, shape in zip(SEEDS, kinds, shapes, strict=True)
    }


def loss(step: Step, seeds: dict[str, np.ndarray], **moved: mpmath.mpf) -> mpmath.mpf:
    """Return L of a step of one channel, from the definition of the first gradients.

    `moved` adds to a number: `x3`, `g0`, `w0`.
    """
    values = {
        "x": [mpmath.mpf(float(a)) for a in step.input[0]],
        "g": [mpmath.mpf(float(a)) for a in step.grad_output[0]],
        "w": [mpmath.mpf(float(step.weight[0]))],
    }
    for place, change in moved.items():
        values[place[0]][int(place[1:])] += change
    x, g, (w,) = values["x"], values["g"], values["w"]
    n = len(x)
    if step.batch_statistics:
        m = mpmath.fsum(x) / n
        v = mpmath.fsum((a - m) ** 2 for a in x) / n
    else:
        m, v = mpmath.mpf(float(step.running_mean[0])), mpmath.mpf(float(step.running_var[0]))
    r = 1 / mpmath.sqrt(v + mpmath.mpf(step.eps))
    hat = [(a - m) * r for a in x]
    bias, weight = mpmath.fsum(g), mpmath.fsum(a * b for a, b in zip(g, hat, strict=True))
    h, k, c = (seeds[name] for name in SEEDS)
    total = mpmath.mpf(float(k[0])) * weight + mpmath.mpf(float(c[0])) * bias
    for a, b, at in zip(g, hat, h[0], strict=True):
        t = a - bias / n - b * weight / n if step.batch_statistics else a
        total += mpmath.mpf(float(at)) * w * r * t
    return total


def differences(step: Step, seeds: dict[str, np.ndarray]) -> dict[str, list[mpmath.mpf]]:
    """Differentiate L by central differences of 2^-300."""
    n = step.input.shape[1]
    places = {
        "double_grad_input": [f"x{i}" for i in range(n)],
        "double_grad_weight": ["w0"],
        "double_grad_grad_output": [f"g{i}" for i in range(n)],
    }
    with mpmath.workprec(_BITS):
        e = mpmath.mpf(2) ** -300
        return {
            name: [
                (loss(step, seeds, **{at: e}) - loss(step, seeds, **{at: -e})) / (2 * e)
                for at in at_each
            ]
            for name, at_each in places.items()
        }


def precisely(value: np.floating) -> mpmath.mpf:
    """Convert a float without error, below the range of float64 too."""
    significand, exponent = np.frexp(value)
    return mpmath.ldexp(mp(significand), int(exponent))


def shares(found: dict[str, Expected], true: dict[str, list[mpmath.mpf]]) -> list[float]:
    """Return the largest error of each exact value as a share of its bound."""
    out = []
    with mpmath.workprec(_BITS):
        for name, values in true.items():
            exact, bound = found[name].exact, found[name].bound.reshape(-1)
            parts = (exact.high, exact.low) if isinstance(exact, DoubleDouble) else (exact,)
            flat = [part.reshape(-1) for part in parts]
            errors = [
                abs(mpmath.fsum(precisely(part[i]) for part in flat) - value) / float(bound[i])
                for i, value in enumerate(values)
            ]
            out.append(float(max(errors)))
    return out


@pytest.mark.parametrize("kind", ARITHMETICS)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 6),
    kinds=st.tuples(*[st.sampled_from(FILLS)] * 3),
    batch=st.booleans(),
)
@settings(max_examples=12, deadline=None)
def test_exact_values_are_the_derivatives_of_the_first_gradients(kind, seed, n, kinds, batch):
    """Differences of the first gradients agree within 1 % of the strictest bound, on any data.

    Products of subnormal numbers are the exception in double-double, whose range is float64's:
    it is within the bound itself.
    """
    dtype, arithmetic = kind
    if arithmetic == "longdouble" and np.finfo(np.longdouble).nmant < 63:
        pytest.skip("no 80-bit long double here")
    changes = {} if batch else {"batch_statistics": False, "factor": None}
    step = make_step(seed, n, kinds[0], kinds[1], dtype, channels=1, **changes)
    seeds = make_seeds(seed, step, kinds[2])
    found = double_backward(step, **seeds, accuracy="wide", arithmetic=arithmetic)

    limit = 1 if arithmetic == "double-double" and "subnormal" in kinds else 0.01

    assert max(shares(found, differences(step, seeds))) < limit


def test_the_differences_are_of_the_first_gradients():
    """The loss that is differenced is made of the gradients that other tests of the oracle hold."""
    step = make_step(5, 6, "offset", channels=1)
    seeds = make_seeds(5, step)
    with mpmath.workprec(200):
        first = truth(step)
        parts = [
            mpmath.mpf(float(a)) * b
            for seed, of in zip(SEEDS, ("grad_input", "grad_weight", "grad_bias"), strict=True)
            for a, b in zip(seeds[seed].reshape(-1), first[of][0], strict=True)
        ]

        assert abs(loss(step, seeds) - mpmath.fsum(parts)) < mpmath.mpf(2) ** -180


def twice(
    step: Step, seeds: dict[str, np.ndarray], total=pairwise, without: str = ""
) -> dict[str, np.ndarray]:
    """Compute double backward in training in the input's own arithmetic; `without` a part."""
    kind = step.input.dtype.type
    n = kind(step.count)
    h, k, c = (seeds[name] for name in SEEDS)
    k, c, w = k[:, None], c[:, None], step.weight[:, None]
    m = total(step.input) / n
    d = step.input - m
    r = kind(1) / np.sqrt(total(d * d) / n + kind(step.eps))
    hat = d * r
    g = step.grad_output
    p, q = total(h * hat) / n, total(g * hat) / n
    on_h = (
        h
        - (0 if without == "mean of h" else total(h) / n)
        - (0 if without == "p in h" else hat * p)
    )
    on_g = (
        g
        - (0 if without == "mean of g" else total(g) / n)
        - (0 if without == "q in g" else hat * q)
    )
    both = total(h * on_g) / n
    parts = {
        "weight's": r * k * on_g,
        "p's": -w * r * r * p * on_g,
        "q's": -w * r * r * q * on_h,
        "variance's": -w * r * r * hat * both,
    }
    direct = {"k": k * hat, "l": np.broadcast_to(c, h.shape), "h": w * r * on_h}
    zero = np.zeros_like(h)
    return {
        "double_grad_input": sum((a for name, a in parts.items() if name != without), zero),
        "double_grad_weight": (n * r * both)[:, 0],
        "double_grad_grad_output": sum((a for name, a in direct.items() if name != without), zero),
    }


@pytest.mark.parametrize(
    "kernel",
    [
        ("float32", pairwise, "tree"),
        ("float32", accumulate, "any-order"),
        ("float64", accumulate, "any-order"),
    ],
)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.sampled_from([2, 3, 8, 45, 200]),
    kinds=st.tuples(*[st.sampled_from(FILLS)] * 3),
)
@settings(max_examples=40, deadline=None)
def test_sound_arithmetic_is_within_its_bound(kernel, seed, n, kinds):
    """Sums in a tree keep the bound of trees, sums from left to right that of any order."""
    dtype, total, accuracy = kernel
    step = make_step(seed, n, kinds[0], kinds[1], dtype)
    seeds = make_seeds(seed, step, kinds[2])
    found = double_backward(step, **seeds, accuracy=accuracy)
    worst = {k: float(ratios(a, found[k]).max()) for k, a in twice(step, seeds, total).items()}

    assert max(worst.values()) <= 1, worst


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("part", [
    "mean of h", "p in h", "mean of g", "q in g", "weight's", "p's", "q's", "variance's",
    "k", "l", "h",
])  # fmt: skip
def test_each_part_that_is_left_out_is_found(dtype, part):
    """A float32 or float64 implementation that forgets one part is far outside its bound."""
    step = make_step(3, 45, dtype=dtype)
    seeds = make_seeds(3, step)
    found = double_backward(step, **seeds, accuracy="any-order")
    worst = max(
        float(ratios(a, found[name]).max()) for name, a in twice(step, seeds, without=part).items()
    )

    assert worst > 100


def test_seeds_of_zero_are_seeds_left_out():
    """None and zeros give the same exact values; the bound of zeros is no smaller."""
    step = make_step(4, 9)
    h = make_seeds(4, step)["gg_input"]
    none, zeros = np.zeros(2, np.float32), double_backward(step, h)
    given_zeros = double_backward(step, h, none, none)

    assert all((zeros[k].values == given_zeros[k].values).all() for k in zeros)
    assert all((zeros[k].bound <= given_zeros[k].bound).all() for k in zeros)


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 50), kind=st.sampled_from(FILLS))
@settings(max_examples=30, deadline=None)
def test_shifting_the_input_of_training_changes_nothing(seed, n, kind):
    """The second gradient of the input sums to zero in each channel, as the mean is taken away."""
    step = make_step(seed, n, kind)
    found = double_backward(step, **make_seeds(seed, step))["double_grad_input"]

    assert (np.abs(found.values.sum(axis=1)) <= 1e-3 * found.bound.sum(axis=1)).all()


def test_images_and_rows_agree():
    """(N, C, H, W) in any strides gives what the same values give as rows (C, n)."""
    step = make_step(6, 24)
    seeds = make_seeds(6, step)
    shape = (2, 2, 3, 4)

    def images(a):
        return np.asfortranarray(a.reshape(2, 2, 3, 4).transpose(1, 0, 2, 3))

    pictured = replace(step, input=images(step.input), grad_output=images(step.grad_output))
    of_images = double_backward(
        pictured, images(seeds["gg_input"]), seeds["gg_weight"], seeds["gg_bias"]
    )
    of_rows = double_backward(step, **seeds)

    assert of_images["double_grad_input"].bound.shape == shape
    for name in ("double_grad_input", "double_grad_grad_output"):
        np.testing.assert_array_equal(of_images[name].values, images(of_rows[name].values))


def test_without_parameters_only_the_input_is_differentiated():
    """A step without weight and bias is one whose weight is 1, and has no grad_weight."""
    step = make_step(7, 12, weight=None, bias=None)
    h = make_seeds(7, step)["gg_input"]
    bare = double_backward(step, h)
    ones = double_backward(replace(step, weight=np.ones(2, np.float32)), h)

    assert list(bare) == ["double_grad_input", "double_grad_grad_output"]
    assert all((bare[name].values == ones[name].values).all() for name in bare)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_what_is_not_finite_or_may_overflow_is_not_judged(value):
    """A channel with nan, infinity or numbers whose products overflow is unjudged, others not."""
    step = make_step(8, 12)
    seeds = make_seeds(8, step)
    seeds["gg_input"][0, 3] = value
    step.grad_output[0, 5] = 1e30
    found = double_backward(step, **seeds)["double_grad_input"]

    assert found.unjudged is not None
    assert found.unjudged.all(axis=1).tolist() == [True, False]
    assert not found.unjudged[1].any()


@pytest.mark.parametrize(
    ("changes", "given_", "message"),
    [
        ({"grad_output": None}, {}, "grad_output: the step has none"),
        ({}, {"gg_input": np.ones((2, 8))}, r"gg_input: expected the shape \(2, 9\), got \(2, 8\)"),
        ({}, {"gg_bias": np.ones(3)}, r"gg_bias: expected the shape \(2,\), got \(3,\)"),
        ({"weight": None}, {"gg_weight": np.ones(2)}, "gg_weight: the step has no weight"),
        ({"bias": None}, {"gg_bias": np.ones(2)}, "gg_bias: the step has no bias"),
        ({"input": np.ones((2, 9), ml_dtypes.bfloat16)}, {}, "float32 and float64, got bfloat16"),
    ],
)
def test_what_cannot_be_differentiated_is_refused(changes, given_, message):
    """A missing array, a wrong shape or a 16-bit type is one message that names the argument."""
    step = make_step(9, 9, **changes)

    with pytest.raises(ValueError, match=message):
        double_backward(step, **given_)
