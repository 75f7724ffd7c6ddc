"""Correct implementations stay within the bounds; wrong ones do not."""

from __future__ import annotations

import numpy as np
import oracle_steps as ways
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle_steps import make_step, normalise, steps

from harness.oracle import (
    ACCURACIES,
    Declared,
    Step,
    exact,
    ratios,
    self_consistent,
    standard_accuracy,
)

ALL = ("float32", "float64", "float16", "bfloat16")
UP_TO_SINGLE = ("float32", "float16", "bfloat16")
CORRECT = [
    ("wide", ways.two_pass, ways.wide, ALL),
    # A long double holds too few bits more than float64 to make up for one pass.
    ("wide", ways.one_pass_wide, ways.wide, UP_TO_SINGLE),
    ("tree", ways.two_pass, ways.pairwise, ALL),
    ("any-order", ways.two_pass, ways.accumulate, ALL),
    ("any-order", ways.shifted, ways.accumulate, ALL),
    ("any-order", ways.welford, ways.accumulate, ALL),
]


def worst(step: Step, actual: dict, accuracy: str, declared: Declared | None = None) -> dict:
    """Return the largest error/bound of each quantity."""
    results = exact(step)
    return {
        quantity: float(ratios(array, results.expected(quantity, accuracy, declared)).max())
        for quantity, array in actual.items()
    }


@pytest.mark.parametrize("way", CORRECT)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_correct_algorithms_stay_within_their_class(way, data):
    """However mean, variance and output are computed, the error stays within the class."""
    accuracy, moments, total, dtypes = way
    step = data.draw(steps(dtypes))
    form = data.draw(st.sampled_from([ways.direct, ways.folded, ways.fused]))

    result = worst(step, normalise(step, moments, total, form), accuracy)

    assert max(result.values()) <= 1, result


def by_torch(step: Step) -> dict:
    """Compute a (C, n) step with torch."""

    def tensor(array):
        if array.dtype.name == "bfloat16":
            return torch.tensor(array.view(np.int16)).view(torch.bfloat16)
        return torch.tensor(array)

    def array(values):
        values = values.detach()
        if values.dtype == torch.bfloat16:
            return values.contiguous().view(torch.int16).numpy().view(step.input.dtype)
        return values.numpy()

    # (1, C, 1, n) is contiguous both ways; strided 16-bit gradients take torch's coarsest path.
    x = tensor(step.input)[None, :, None].requires_grad_()
    w, b = (tensor(a).requires_grad_() for a in (step.weight, step.bias))
    m, v = tensor(step.running_mean), tensor(step.running_var)
    factor = 0.0 if step.factor is None else step.factor
    y = torch.nn.functional.batch_norm(x, m, v, w, b, step.batch_statistics, factor, step.eps)
    y.backward(tensor(step.grad_output)[None, :, None])
    out = {"output": array(y[0, :, 0]), "grad_input": array(x.grad[0, :, 0])}
    out |= {"grad_weight": array(w.grad), "grad_bias": array(b.grad)}
    return out | ({"running_mean": array(m), "running_var": array(v)} if step.updates else {})


@given(step=steps(ALL))
@settings(max_examples=80, deadline=None)
def test_torch_stays_within_any_order(step):
    """Torch errs by no more than sums in any order may; 16-bit statistics are declared."""
    name = step.input.dtype.name
    declared = None
    if name.endswith("16"):
        declared = Declared("16-bit parameters", statistics=name, parameter_gradients=name)

    result = worst(step, by_torch(step), "any-order", declared)

    assert max(result.values()) <= 1, result


def composed(step: Step) -> dict:
    """Compute a (C, n) step from torch's elementary functions, gradients by autograd."""
    x, w, b = (torch.tensor(a, requires_grad=True) for a in (step.input, step.weight, step.bias))
    if step.batch_statistics:
        m = x.mean(dim=1, keepdim=True)
        v = ((x - m) ** 2).mean(dim=1, keepdim=True)
    else:
        m, v = (torch.tensor(a)[:, None] for a in (step.running_mean, step.running_var))
    y = (x - m) / torch.sqrt(v + step.eps) * w[:, None] + b[:, None]
    y.backward(torch.tensor(step.grad_output))
    values = {"output": y, "grad_input": x.grad, "grad_weight": w.grad, "grad_bias": b.grad}
    return {quantity: a.detach().numpy() for quantity, a in values.items()}


@given(step=steps(("float32", "float64")))
@settings(max_examples=60, deadline=None)
def test_a_module_of_elementary_functions_stays_within_any_order(step):
    """Batch normalisation written out in torch, and differentiated by it, is correct."""
    result = worst(step, composed(step), "any-order")

    assert max(result.values()) <= 1, result


@given(step=steps(("float32", "float64", "float16"), largest=3000))
@settings(max_examples=60, deadline=None)
def test_bounds_grow_with_the_class(step):
    """Each class allows at least what the stricter ones allow."""
    results = exact(step)
    for quantity in results.quantities:
        wide, tree, loosest = (results.expected(quantity, name).bound for name in ACCURACIES)

        assert (wide <= tree).all()
        assert (tree <= loosest).all()


MISTAKES = [
    ("running_var", "float32", {"ddof": 0}, 4096, "normal"),
    ("running_var", "float64", {"ddof": 0}, 4096, "normal"),
    ("running_var", "float32", {"ddof": 0}, 65536, "normal"),
    ("output", "float32", {"outside": True}, 64, "small"),
    ("output", "float32", {"eps": 1.001e-5}, 64, "small"),
    ("output", "float64", {"eps": float(np.float32(1e-5))}, 64, "small"),
    ("running_mean", "float64", {"factor": 0.1 + 1e-6}, 64, "offset"),
    ("running_var", "float32", {"factor": 0.1 + 1e-4}, 8, "two-valued"),
    ("grad_input", "float32", {"terms": ("mean",)}, 64, "normal"),
    ("grad_input", "float32", {"terms": ("variance",)}, 64, "normal"),
    ("grad_input", "float16", {"terms": ("mean",)}, 64, "normal"),
    ("grad_input", "bfloat16", {"terms": ("variance",)}, 8, "normal"),
]


@pytest.mark.parametrize(("quantity", "dtype", "mistake", "n", "fill"), MISTAKES)
def test_mistakes_exceed_the_standard(quantity, dtype, mistake, n, fill):
    """A planted mistake is beyond the bound of the verdict's standard class."""
    step = make_step(11, n, fill, "log-normal", dtype, eps=1e-5, factor=0.1,
                     running_mean=np.zeros(2, ways.DTYPES[dtype]))  # fmt: skip
    standard = standard_accuracy(dtype)
    sound = worst(step, normalise(step), standard)
    wrong = worst(step, normalise(step, **mistake), standard)

    assert sound[quantity] <= 1 < wrong[quantity]


def test_evaluation_resolves_a_wrong_eps():
    """In evaluation eps + 0.1 % is seen where running_var is near eps."""
    step = make_step(2, 16, factor=None, batch_statistics=False, eps=1e-5,
                     running_var=np.full(2, 2e-5, np.float32))  # fmt: skip

    assert worst(step, normalise(step), "tree")["output"] <= 1
    assert worst(step, normalise(step, eps=1.001e-5), "tree")["output"] > 100


def test_single_precision_sums_are_seen_in_float64():
    """A float64 module that accumulates in float32 is far beyond its bound."""

    def single(a):
        return a.astype(np.float32).sum(axis=1, keepdims=True).astype(np.float64)

    step = make_step(4, 256, "normal", "normal", "float64")
    result = worst(step, normalise(step, total=single), "any-order")

    assert min(result[q] for q in ("running_mean", "running_var", "grad_input", "output")) > 1e4


def test_declared_statistics_widen_the_bound_and_are_never_assumed():
    """Statistics kept in float16 conform where that is declared, and only there."""
    step = make_step(6, 64, "normal", "normal", "float16")
    m, v = ways.two_pass(step.input.astype(np.float32), ways.pairwise)

    def rounded(x, total):
        del x, total
        return m.astype(np.float16), v.astype(np.float16)

    actual = normalise(step, moments=rounded)
    declared = Declared("statistics are kept in float16", "float16")

    assert worst(step, actual, "tree")["output"] > 1
    assert max(worst(step, actual, "tree", declared).values()) <= 1


def test_declared_saved_statistics_leave_the_forward_pass_alone():
    """Statistics rounded between the passes widen gradients, not the output."""
    step = make_step(6, 64, "normal", "normal", "bfloat16", parameters="float32")
    results = exact(step)
    declared = Declared("saves statistics in the input's type", saved_statistics="bfloat16")

    def growth(quantity):
        bounds = (results.expected(quantity, "tree", d).bound for d in (declared, None))
        return next(bounds) / next(bounds)

    # Second-order terms widen everything by a few units of bfloat16.
    assert max(growth(q).max() for q in ("output", "running_var", "grad_bias")) < 1.05
    assert min(np.median(growth(q)) for q in ("grad_input", "grad_weight")) > 1.2


def test_declared_gradient_type_allows_its_rounding():
    """Parameter gradients rounded to bfloat16 on their way conform where declared."""
    step = make_step(6, 64, "normal", "normal", "bfloat16", parameters="float32")
    actual = normalise(step)
    for quantity in ("grad_weight", "grad_bias"):
        actual[quantity] = actual[quantity].astype(step.input.dtype).astype(np.float32)
    declared = Declared("reduces in the input's type", parameter_gradients="bfloat16")

    assert worst(step, actual, "tree")["grad_bias"] > 1
    assert max(worst(step, actual, "tree", declared).values()) <= 1


def test_flush_to_zero_is_declared():
    """Outputs below the smallest normal number may be zero only where that is declared."""
    step = make_step(1, 8, "normal", "normal", "float32", bias=np.zeros(2, np.float32), eps=1.0)
    step.input[...] *= np.float32(1e-39)
    zeros = {"output": np.zeros_like(step.input)}
    declared = Declared("compiled with -ffast-math", flush_to_zero=True)

    assert worst(step, zeros, "tree")["output"] > 1
    assert worst(step, zeros, "tree", declared)["output"] <= 1


def test_a_declaration_has_a_reason():
    """A declaration without a reason is refused."""
    with pytest.raises(ValueError, match="say why"):
        Declared(" ", "float16")


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 300),
    fill=st.sampled_from(ways.FILLS),
    dtype=st.sampled_from(["float32", "float64", "bfloat16"]),
)
@settings(max_examples=60, deadline=None)
def test_output_agrees_with_reported_statistics(seed, n, fill, dtype):
    """With factor 1 a correct output follows from the implementation's own statistics."""
    parameters = "float32" if dtype == "bfloat16" else dtype
    step = make_step(seed, n, fill, None, dtype, parameters=parameters, factor=1.0)
    actual = normalise(step, ways.two_pass, ways.accumulate, ways.folded)
    expected = self_consistent(step, actual["running_mean"], actual["running_var"])

    assert ratios(actual["output"], expected).max() <= 1


def test_self_consistency_blames_the_normalisation_alone():
    """Inaccurate sums pass, a wrong normalisation does not, however long the rows."""
    step = make_step(8, 20_000, "offset", None, factor=1.0)

    def crude(x, total):
        m, v = ways.two_pass(x, total)
        return m * np.float32(1.001), v * np.float32(1.01)

    def ratio(**mistake):
        actual = normalise(step, crude, **mistake)
        return ratios(
            actual["output"], self_consistent(step, actual["running_mean"], actual["running_var"])
        ).max()

    assert ratio() <= 1 < ratio(eps=step.eps + 1e-3)


def test_self_consistency_needs_factor_one():
    """Statistics that are mixed with older ones don't tell the batch's."""
    step = make_step(1, 8, factor=0.5)

    with pytest.raises(ValueError, match="factor is 1"):
        self_consistent(step, step.running_mean, step.running_var)


def test_a_variance_beyond_its_type_says_nothing_of_the_output():
    """Where running_var overflows, an output of wider arithmetic is as consistent as zeros."""
    given = np.float32([[1e30, -1e30, 2e30, -2e30]])
    step = Step(
        input=given,
        eps=1e-5,
        batch_statistics=True,
        running_mean=np.zeros(1, np.float32),
        running_var=np.ones(1, np.float32),
        factor=1.0,
    )
    expected = self_consistent(step, np.float32([0]), np.float32([np.inf]))
    wide = (given / np.sqrt(given.astype(np.float64).var())).astype(np.float32)

    assert ratios(wide, expected).max() == ratios(np.zeros_like(given), expected).max() == 0
