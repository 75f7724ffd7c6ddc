"""Gradients of the gradients: what a target is asked for, and how it is judged."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import harness
from harness.case.model import Case
from harness.reference import BatchNorm2d
from harness.targets import resolve
from harness.trace import DOUBLE, same_bits

torch.set_num_threads(1)

ROOT = Path(__file__).parents[2]
WORKER = f"exec:{shlex.quote(sys.executable)} {ROOT}/harness/workers/torch_worker.py"
INPUT = {"shape": [4, 2, 3, 3], "fill": "normal", "mean": 2, "seed": 1}
GRADIENT = {"fill": "normal", "seed": 2}
SEEDS = {"grad_input": {"fill": "normal", "seed": 3}, "grad_weight": [1, -2], "grad_bias": [3, 1]}


def case(*steps, **module):
    """Return a case of a module with two channels."""
    return Case.model_validate(
        {
            "id": "tried",
            "why": "to see what is differentiated twice.",
            "module": {"num_features": 2, **module},
            "state": {"weight": [0.5, -2]} if module.get("affine", True) else {},
            "steps": list(steps),
        }
    )


def step(kind="train", seeds=SEEDS, **more):
    """Return a step with a double backward pass."""
    whole = {"input": INPUT, "grad_output": GRADIENT, "double_backward": seeds, **more}
    return {kind: whole}


def result(target, *steps, **module):
    """Return what the report says of a target and a case of these steps."""
    report = harness.run(case(*steps, **module), [target])
    return report["tried"].results[report.targets[0]]


@st.composite
def cases(draw):
    """Return cases of one or two steps with any of the seeds, shapes, offsets and types."""
    shape = draw(st.tuples(st.integers(1, 5), st.just(2), st.integers(1, 4), st.integers(1, 4)))
    mean = draw(st.sampled_from([0, 1, 30, -1000]))
    names = draw(st.sets(st.sampled_from(sorted(SEEDS)), min_size=1))
    number = st.integers(1, 999)

    def one(kind):
        fill = {"fill": "normal", "shape": list(shape), "mean": mean, "seed": draw(number)}
        gradient = {"fill": "normal", "mean": draw(st.sampled_from([0, 1])), "seed": draw(number)}
        seeds = {name: {"fill": "normal", "seed": draw(number)} for name in sorted(names)}
        return step(kind, seeds, input=fill, grad_output=gradient)

    kinds = ["train", "eval"] if np.prod(shape) > shape[1] else ["eval"]
    dtype = draw(st.sampled_from(["float32", "float64"]))
    return case(*(one(kind) for kind in kinds), dtype=dtype)


@settings(max_examples=60, deadline=None)
@given(made=cases())
def test_torch_and_the_reference_are_within_the_bounds(made):
    """What both compute is where it must be, whatever a loss depends on."""
    report = harness.run(made, ["reference"])

    assert report["tried"].results["reference"].verdict == "agree"


def test_a_worker_gives_what_torch_does():
    """A torch behind the protocol has the same bits, where all is differentiated and where some."""
    for made in (
        case(step(), step("eval")),
        case(step(requires_grad=["input"], seeds={"grad_input": GRADIENT})),
        case(step(seeds={"grad_input": GRADIENT}), affine=False),
    ):
        ours, theirs = (resolve(name).execute(made) for name in (WORKER, "torch"))
        for done, expected in zip(ours.steps, theirs.steps, strict=True):
            assert done.results.keys() == expected.results.keys()
            for name, array in expected.results.items():
                assert array is None or same_bits(done.results[name], array)


@pytest.mark.parametrize("name", ["torch", "reference", WORKER], ids=lambda name: name[:4])
def test_the_first_gradients_are_those_without_a_second_pass(name):
    """That the gradients will be differentiated does not change them."""
    target, plain = resolve(name), step()
    del plain["train"]["double_backward"]
    (twice,), (once,) = (target.execute(case(each)).steps for each in (step(), plain))

    assert list(twice.results) == [*once.results, *DOUBLE]
    assert all(same_bits(twice.results[each], once.results[each]) for each in once.results)


@pytest.mark.parametrize(
    ("leaves", "seed", "found"),
    [
        (["input"], "grad_input", ["double_grad_input", "double_grad_grad_output"]),
        (["weight", "bias"], "grad_weight", ["double_grad_weight", "double_grad_grad_output"]),
    ],
)
@pytest.mark.parametrize("name", ["torch", "reference", WORKER], ids=lambda name: name[:4])
def test_what_needs_no_gradient_has_none_of_the_second_pass(name, leaves, seed, found):
    """There is what a double backward pass gives by the leaves of the first, and by grad_output."""
    made = case(step(requires_grad=leaves, seeds={seed: SEEDS[seed]}))
    (done,) = resolve(name).execute(made).steps

    assert [each for each in done.results if each in DOUBLE] == found


class Constants(torch.autograd.Function):
    """Differentiates by formulas in which the statistics are constants."""

    @staticmethod
    def forward(ctx, x, weight, *rest):
        """Normalise."""
        bias, mean, invstd = rest
        ctx.save_for_backward(x, weight, mean, invstd)
        return (x - mean) * invstd * weight.view(1, -1, 1, 1) + bias.view(1, -1, 1, 1)

    @staticmethod
    def backward(ctx, g):
        """Return the gradients of input, weight and bias."""
        x, weight, mean, invstd = ctx.saved_tensors
        axes, n = (0, 2, 3), x.numel() // x.shape[1]
        normal = (x - mean) * invstd
        slope, total = (g * normal).sum(axes, True), g.sum(axes, True)
        grad_input = weight.view(1, -1, 1, 1) * invstd * (g - total / n - normal * slope / n)
        return grad_input, slope.flatten(), total.flatten(), None, None


class Module(torch.nn.BatchNorm2d):
    """A train step through a function of one's own."""

    function = Constants

    def forward(self, given):
        """Move the statistics as torch does, and normalise by the function."""
        super().forward(given)
        mean = given.detach().mean((0, 2, 3), keepdim=True)
        var = given.detach().var((0, 2, 3), unbiased=False, keepdim=True)
        arguments = given, self.weight, self.bias, mean, (var + self.eps).rsqrt()
        return self.function.apply(*arguments)


def test_statistics_that_are_taken_for_constants_are_found_in_the_second_pass_alone():
    """All but the second gradient of the input is right, and that is silently wrong."""
    found = result(Module, step())

    assert {each.quantity for each in found.divergences} == {"double_grad_input"}
    assert {each.culprit for each in found.divergences} == {"target"}


class Once(Constants):
    """Says that it cannot be differentiated twice."""

    backward = staticmethod(torch.autograd.function.once_differentiable(Constants.backward))


class Outside(Constants):
    """Leaves autograd for its gradients."""

    @staticmethod
    def backward(ctx, g):
        """Return the gradients as numbers."""
        with torch.no_grad():
            return Constants.backward(ctx, g)


@pytest.mark.parametrize("function", [Once, Outside])
def test_a_backward_pass_that_autograd_does_not_see_is_unsupported(function):
    """It lacks a second one, which is no pass and no failure; the first is judged."""
    found = result(type("Own", (Module,), {"function": function}), step())

    assert found.verdict == "unsupported"
    assert found.reason == "the backward pass is not made of what autograd differentiates"
    assert found.quantities["grad_input"].ratio < 1


def test_an_error_of_the_second_pass_is_held_against_who_raises_it():
    """Where torch has gradients, any other error is one too many."""

    class Fails(BatchNorm2d):
        def double_backward(self, **_):
            raise ValueError("not today")

    found = result(Fails, step())

    assert found.verdict == "diverge"
    assert "ValueError in the backward pass: not today" in {e.actual for e in found.divergences}


def test_a_class_without_a_second_pass_is_judged_by_the_rest():
    """It is unsupported, and says what it has not."""

    class First(BatchNorm2d):
        double_backward = None

    found = result(First, step())

    assert (found.verdict, found.reason) == ("unsupported", "the class has no double_backward")
    assert {"output", "grad_input", "grad_weight", "grad_bias"} <= set(found.quantities)


def test_only_what_the_loss_depends_on_is_given():
    """A class gets the seeds that the case names by its keywords, and no others."""
    given = []

    class Notes(BatchNorm2d):
        def double_backward(self, **seeds):
            given.append(sorted(seeds))
            return super().double_backward(**seeds)

    found = result(Notes, step(seeds={"grad_bias": [1, 2]}), step())

    assert found.verdict == "agree"
    assert given == [["gg_bias"], ["gg_bias", "gg_input", "gg_weight"]]


def test_what_is_no_tuple_of_three_is_an_error():
    """The message names what is to be returned."""

    class Short(BatchNorm2d):
        def double_backward(self, **seeds):
            return super().double_backward(**seeds)[:2]

    (done,) = resolve(Short).execute(case(step())).steps

    assert done.raised.type == "TypeError"
    assert "double_grad_input, double_grad_weight, double_grad_grad_output" in done.raised.message


def test_seeds_belong_to_the_caller():
    """A class that writes into them is told so."""

    class Spoils(BatchNorm2d):
        def double_backward(self, **seeds):
            found = super().double_backward(**seeds)
            seeds["gg_input"][...] = 0
            return found

    assert [each.quantity for each in result(Spoils, step()).divergences] == ["input"]


def test_a_worker_that_does_not_say_that_it_can_is_not_asked(tmp_path):
    """Its hello rules the second pass out, and the rest of the step is judged."""
    script = tmp_path / "plain.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(ROOT / 'harness/workers')!r})\n"
        "import torch_worker\n"
        "whole = torch_worker.hello\n"
        "torch_worker.hello = lambda: dict(whole(), double_backward=False)\n"
        "torch_worker.main()\n"
    )
    found = result(f"exec:{shlex.quote(sys.executable)} {script}", step())

    assert (found.verdict, found.reason) == ("unsupported", "the worker has no double_backward")
    assert "grad_input" in found.quantities


def test_a_parameter_that_was_taken_away_has_no_part_in_it():
    """What the loss would begin with by its gradient is left out; of nothing, nothing comes."""
    away = {"set": {"weight": None, "bias": None}}
    alone = step(seeds={"grad_weight": [1, 2]})

    for name in ("reference", WORKER):
        assert result(name, away, step()).verdict == "agree"
        *_, done = resolve(name).execute(case(away, alone)).steps
        assert not set(done.results) & set(DOUBLE)


@pytest.mark.filterwarnings("ignore:.* refuses ")
def test_seeds_that_do_not_fit_what_was_assigned_are_an_error_of_torch():
    """A weight of three channels in a module of two: torch refuses, and nothing else goes wrong."""

    class Takes(BatchNorm2d):
        def double_backward(self, **seeds):
            del seeds["gg_weight"]
            return super().double_backward(**seeds)

    three = {"set": {"weight": [1, 2, 3], "bias": [1, 2, 3]}}
    wide = step(input={**INPUT, "shape": [4, 3, 2, 2]}, seeds={"grad_weight": [1, 2]})
    found = result(Takes, three, wide, track_running_stats=False)

    assert [each.aspect for each in found.divergences] == ["error"]


def test_a_compiled_module_says_that_it_has_none():
    """Torch does not differentiate what it has compiled twice: unsupported, in its own words."""
    found = result("torch:compile=aot_eager", step())

    assert found.verdict == "unsupported"
    assert "does not currently support double backward" in found.reason


def test_the_reference_fails_where_torch_does():
    """A loss by grad_input and by grad_bias is a RuntimeError where there is no weight."""
    away, alone = {"set": {"weight": None}}, {**SEEDS}
    del alone["grad_weight"]
    refused = {"type": "RuntimeError", "match": "Expected a proper Tensor"}

    assert result("reference", away, step(seeds=alone, raises=refused)).verdict == "agree"


def test_layouts_of_second_gradients_are_an_implementation_s_own():
    """Their memory format is not compared: torch's follows from the order of its products."""

    class Last(BatchNorm2d):
        def double_backward(self, **seeds):
            by_input, *rest = super().double_backward(**seeds)
            return (np.copy(by_input.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2), *rest)

    assert result(Last, step()).verdict == "agree"


def test_a_double_backward_pass_follows_a_backward_pass():
    """The reference says what is missing."""
    module = BatchNorm2d(2)
    module(np.ones((2, 2, 1, 1), np.float32))

    with pytest.raises(RuntimeError, match="call backward first"):
        module.double_backward()


def test_a_batch_without_elements_has_second_gradients_without_any():
    """They are empty, and that of the weight is zero."""
    module = BatchNorm2d(2).eval()
    nothing = np.ones((0, 2, 3, 3), np.float32)
    module.backward(module(nothing))
    by_input, by_weight, by_grad_output = module.double_backward(nothing, np.ones(2), np.ones(2))

    assert by_input.shape == by_grad_output.shape == nothing.shape
    assert by_weight.tolist() == [0, 0]


def test_second_gradients_are_explained():
    """The numbers of each side stand beside the exact ones."""
    told = str(harness.explain(case(step())))

    assert all(f"{name}[" in told for name in DOUBLE)
