"""Torch differentiates its own gradients: every route against the oracle's second derivatives."""

from __future__ import annotations

from math import prod
from unittest import mock

import numpy as np
import pytest
import torch
from torch._decomp import decompositions

from harness.oracle import Step, ratios, rows
from harness.oracle.second import EVALUATION, TRAINING, double_backward
from harness.targets.routes import route

torch.set_num_threads(1)

EPS = 1e-3
QUANTITIES = ("double_grad_input", "double_grad_weight", "double_grad_grad_output")


def elementary(module, given):
    """Run the forward decomposition, and let autograd differentiate it twice."""

    def kernel(*arguments):
        *common, _ = arguments  # the last is cudnn's switch
        if module.training:  # the running statistics have no part in the graph
            common[3:5] = None, None
        return decompositions.native_batch_norm(*common)[0]

    with mock.patch.object(torch, "batch_norm", kernel):
        return module(given)


ROUTES = {name: route(name, "none")() for name in ("module", "functional", "native")}
ROUTES["elementary"] = elementary


def make(seed, shape, dtype, training, offset=0.0):
    """Return a step, and the gradients of its gradients, of normal numbers about `offset`."""
    rng = np.random.default_rng(seed)
    x, g, h = (rng.standard_normal(shape).astype(dtype) for _ in range(3))
    w, b, k, c, mean = (rng.standard_normal(shape[1]).astype(dtype) for _ in range(5))
    var = rng.uniform(0.1, 3, shape[1]).astype(dtype)
    step = Step(x + x.dtype.type(offset), EPS, training, w, b, mean, var, None, g)
    return step, {"gg_input": h, "gg_weight": k, "gg_bias": c}


def differentiate(run, step, seeds, layout=torch.contiguous_format):
    """Return torch's second gradients of a step, by the oracle's names."""
    module = torch.nn.BatchNorm2d(
        step.channels, eps=step.eps, dtype=torch.from_numpy(step.input).dtype
    )
    with torch.no_grad():
        for name in ("weight", "bias", "running_mean", "running_var"):
            getattr(module, name).copy_(torch.from_numpy(getattr(step, name)))
    module.train(step.batch_statistics)
    x, g, h = (
        torch.from_numpy(a).contiguous(memory_format=layout)
        for a in (step.input, step.grad_output, seeds["gg_input"])
    )
    x.requires_grad_()
    g.requires_grad_()
    leaves = [x, module.weight, module.bias]
    first = torch.autograd.grad(run(module, x), leaves, g, create_graph=True)
    given = [h, *(torch.from_numpy(seeds[name]) for name in ("gg_weight", "gg_bias"))]
    second = torch.autograd.grad(
        first, [x, module.weight, g], given, allow_unused=True, materialize_grads=True
    )
    return {name: a.detach().numpy() for name, a in zip(QUANTITIES, second, strict=True)}


def worst(run, step, seeds, layout=torch.contiguous_format):
    """Return the largest error/bound of each quantity."""
    found = differentiate(run, step, seeds, layout)
    expected = double_backward(step, **seeds)
    return {name: float(ratios(found[name], expected[name]).max()) for name in QUANTITIES}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ROUTES)
@pytest.mark.parametrize(
    ("shape", "offset"),
    [((2, 3, 1, 1), 0), ((3, 2, 2, 3), 30), ((4, 3, 5, 5), 0), ((8, 2, 16, 16), 1000)],
)
def test_each_route_differentiates_its_gradients(*, name, dtype, layout, training, shape, offset):
    """The second gradients are within their bounds, for few values and many, and an offset."""
    found = worst(ROUTES[name], *make(1, shape, dtype, training, offset), layout)

    assert max(found.values()) <= 1, found


def test_a_backward_pass_that_keeps_statistics_as_constants_is_found():
    """The decomposed route saves mean and deviation outside of the graph: grad_input is wrong.

    In evaluation the statistics are constants, and the route is right.
    """
    run = route("decomposed", "none")()
    training, evaluation = (
        worst(run, *make(1, (4, 3, 5, 5), "float32", mode)) for mode in (True, False)
    )

    assert training.pop("double_grad_input") > 1000
    assert max(*training.values(), *evaluation.values()) <= 1


def value(term, step, seeds):
    """Return what a term contributes, in float64 and the input's shape, or (C,)."""
    x, g, h = (rows(a).astype(float) for a in (step.input, step.grad_output, seeds["gg_input"]))
    w, k, c = (
        a.astype(float)[:, None] for a in (step.weight, seeds["gg_weight"], seeds["gg_bias"])
    )
    m, v = (a.astype(float)[:, None] for a in (step.running_mean, step.running_var))
    if step.batch_statistics:
        m, v = x.mean(axis=1, keepdims=True), x.var(axis=1, keepdims=True)
    d, r = x - m, 1 / np.sqrt(v + step.eps)
    sums = {"S": g, "T": h, "P": d * g, "R": d * h, "X": g * h}
    factors = {"d": d, "r": r, "w": w, "g": g, "h": h, "k": k, "l": c}
    factors |= {name: a.sum(axis=1, keepdims=True) for name, a in sums.items()}
    out = term.coefficient * prod(factors[name] for name in term.factors)
    return out / step.count**term.over_n


TERMS = [
    (training, quantity, i)
    for training, table in ((True, TRAINING), (False, EVALUATION))
    for quantity, terms in table.items()
    for i in range(len(terms))
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("training", "quantity", "i"), TERMS)
def test_a_missing_term_is_found(dtype, training, quantity, i):
    """Torch's result without any one of the terms is far outside its bound."""
    step, seeds = make(7, (4, 3, 5, 5), dtype, training)
    term = (TRAINING if training else EVALUATION)[quantity][i]
    found = differentiate(ROUTES["module"], step, seeds)[quantity]
    lacking = value(term, step, seeds)
    if quantity == "double_grad_weight":
        wrong = found - lacking[:, 0]
    else:
        full = np.broadcast_to(lacking, rows(step.input).shape)
        wrong = found - full.reshape(3, 4, 5, 5).transpose(1, 0, 2, 3)
    expected = double_backward(step, **seeds)[quantity]

    assert ratios(wrong.astype(dtype), expected).max() > 100
