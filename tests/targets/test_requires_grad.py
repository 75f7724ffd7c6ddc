"""Steps in which not everything needs a gradient."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest
import torch

import harness
from harness.case.model import Case
from harness.targets import resolve
from harness.trace import same_bits

torch.set_num_threads(1)

ROOT = Path(__file__).parents[2]
WORKER = f"exec:{shlex.quote(sys.executable)} {ROOT}/harness/workers/torch_worker.py"
INPUT = {"shape": [4, 2, 3, 3], "fill": "normal", "seed": 1}
GRADIENT = {"fill": "normal", "seed": 2}
SUBSETS = [
    *(["input"], ["weight"], ["bias"]),
    *(["input", "weight"], ["input", "bias"], ["weight", "bias"]),
]


def case(*steps, **module):
    """Return a case of a module with two channels."""
    return Case.model_validate(
        {
            "id": "tried",
            "why": "to see what is differentiated.",
            "module": {"num_features": 2, **module},
            "steps": list(steps),
        }
    )


def step(kind="train", **more):
    """Return a step with gradients."""
    return {kind: {"input": INPUT, "grad_output": GRADIENT, **more}}


@pytest.mark.parametrize("kind", ["train", "eval"])
@pytest.mark.parametrize("leaves", SUBSETS, ids=" ".join)
@pytest.mark.parametrize("name", ["torch", "reference", WORKER], ids=lambda name: name[:4])
def test_what_needs_a_gradient_has_the_one_that_it_has_among_all(name, leaves, kind):
    """The gradients that are asked for are those of the whole pass, and there are no others."""
    made = case(step(kind, requires_grad=leaves), step(kind))
    if kind == "train":  # the second pass would start from other statistics
        made = case(step(requires_grad=leaves), step(), track_running_stats=False)
    some, whole = resolve(name).execute(made).steps

    assert sorted(some.results) == sorted(["output", *(f"grad_{leaf}" for leaf in leaves)])
    assert all(same_bits(some.results[each], whole.results[each]) for each in some.results)


class Watched(torch.nn.BatchNorm2d):
    """Says what needs a gradient, by an error."""

    def forward(self, given):
        """Raise an error that tells the flags."""
        flags = given.requires_grad, self.weight.requires_grad, self.bias.requires_grad
        raise RuntimeError(f"{flags}, {torch.is_grad_enabled()}")


@pytest.mark.parametrize("leaves", SUBSETS, ids=" ".join)
def test_a_module_meets_the_flags_in_its_forward_pass_and_not_after(leaves):
    """What is left out is a constant; the next step, even after an error, has its own flags."""
    made = case(step(requires_grad=leaves), step())
    some, whole = (done.raised.message for done in resolve(Watched).execute(made).steps)
    flags = tuple(leaf in leaves for leaf in ("input", "weight", "bias"))

    assert some == f"{flags}, True"
    assert whole == "(True, True, True), True"


def test_a_parameter_that_is_not_there_has_no_gradient():
    """Without a bias, grad_bias is None, for torch as for the reference."""
    made = case(step(requires_grad=["input", "bias"]), bias=False)
    report = harness.run(made, ["reference", WORKER])
    (done,) = resolve("torch").execute(made).steps

    assert done.results["grad_bias"] is None
    assert {each.verdict for each in report["tried"].results.values()} == {"agree"}


class Early(torch.autograd.Function):
    """Takes the input's flag for that of everything."""

    @staticmethod
    def forward(ctx, x, scale, shift):
        """Scale and shift."""
        ctx.save_for_backward(x, scale)
        return x * scale[:, None, None] + shift[:, None, None]

    @staticmethod
    def backward(ctx, grad):
        """Return no gradient where the input needs none."""
        x, scale = ctx.saved_tensors
        if not ctx.needs_input_grad[0]:
            return None, None, None
        return grad * scale[:, None, None], (grad * x).sum((0, 2, 3)), grad.sum((0, 2, 3))


class Frozen(torch.nn.BatchNorm2d):
    """A function of its own for the affine part."""

    def forward(self, given):
        """Normalise, then scale and shift."""
        statistics = self.running_mean, self.running_var
        plain = torch.nn.functional.batch_norm(given, *statistics, eps=self.eps)
        return Early.apply(plain, self.weight, self.bias)


def test_what_a_function_skips_too_much_is_found():
    """A parameter without a gradient where the input needs none shows there, and only there."""
    whole, some = step("eval"), step("eval", requires_grad=["weight", "bias"])
    plain, frozen = (harness.run(case(each), [Frozen])["tried"] for each in (whole, some))
    (one,), (other,) = plain.results.values(), frozen.results.values()

    assert one.verdict == "agree"
    assert {(each.quantity, each.aspect) for each in other.divergences} == {
        ("grad_weight", "presence"),
        ("grad_bias", "presence"),
    }
