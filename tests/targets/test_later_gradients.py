"""Gradients of an earlier forward pass, with other steps in between."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import harness
from harness.case.model import Case
from harness.reference import BatchNorm2d
from harness.targets import blinded, resolve
from harness.trace import same_bits

torch.set_num_threads(1)

ROOT = Path(__file__).parents[2]
WORKER = f"exec:{shlex.quote(sys.executable)} {ROOT}/harness/workers/torch_worker.py"
FIRST = {"shape": [4, 2, 3, 3], "fill": "normal", "seed": 1}
SECOND = {"shape": [2, 2, 1, 4], "fill": "normal", "mean": 5, "std": 3, "seed": 2}
GRADIENT = {"fill": "normal", "seed": 3}
NAMES = ("grad_input", "grad_weight", "grad_bias")


def case(*steps, state=None, **module):
    """Return a case of a module with two channels."""
    return Case.model_validate(
        {
            "id": "tried",
            "why": "to see whose gradients they are.",
            "module": {"num_features": 2, **module},
            "state": state or {"weight": [0.5, -2]},
            "steps": list(steps),
        }
    )


def later(of=1, **more):
    """Return a step that takes the gradients of another."""
    return {"backward": {"of": of, "grad_output": GRADIENT, **more}}


def result(target, *steps, **module):
    """Return what the report says of a target and a case of these steps."""
    report = harness.run(case(*steps, **module), [target])
    return report["tried"].results[report.targets[0]]


@pytest.fixture(scope="module", params=["torch", "reference", WORKER], ids=lambda name: name[:4])
def target(request):
    """Return a torch module, an array class, and a worker."""
    return resolve(request.param)


BETWEEN = st.lists(
    st.sampled_from(
        [
            {"train": {"input": SECOND}},
            {"train": {"input": FIRST, "grad_output": GRADIENT}},
            {"eval": {"input": SECOND}},
            {"set": {"eps": 1, "momentum": None}},
            {"set": {"weight": {"parameter": [7, 8]}}},
            {"set": {"training": False}},
            {"save": "it"},
            {"call": "deepcopy"},
        ]
    ),
    max_size=4,
)


@settings(max_examples=25, deadline=None)
@given(between=BETWEEN)
def test_what_comes_between_does_not_change_the_gradients_of_a_train_step(target, between):
    """They are those that the step would have taken at once, bit for bit."""
    step = {"input": FIRST, "repeat": 2}
    whole = case({"train": {**step, "grad_output": GRADIENT}})
    apart = case({"train": step}, *between, later())
    at_once, taken = target.execute(whole).steps[-1], target.execute(apart).steps[-1]

    assert list(taken.results) == list(NAMES)
    assert all(same_bits(taken.results[name], at_once.results[name]) for name in NAMES)


def test_each_of_two_passes_has_gradients_of_its_own(target):
    """In the order of the passes and against it, the gradients are the same."""
    passes = {"train": {"input": FIRST}}, {"train": {"input": SECOND}}
    *_, one, other = target.execute(case(*passes, later(1), later(2))).steps
    *_, second, first = target.execute(case(*passes, later(2), later(1))).steps

    for name in NAMES:
        assert same_bits(one.results[name], first.results[name])
        assert same_bits(other.results[name], second.results[name])


def test_a_later_backward_pass_leaves_the_state_as_it_is(target):
    """The state after it is that before it."""
    *_, before, after = target.execute(
        case({"train": {"input": FIRST}}, {"train": {"input": SECOND}}, later())
    ).steps

    assert all(same_bits(before.state[name], after.state[name]) for name in before.state)


def test_a_pass_without_an_output_has_no_gradients(target):
    """Where the forward pass raised an error its backward pass is not supported, and says so."""
    one = {"shape": [1, 2, 1, 1], "fill": "ones"}
    *_, step = target.execute(case({"train": {"input": one}}, later())).steps

    assert "gave no output" in step.unsupported


def test_the_gradients_of_torch_after_a_train_step_are_of_no_pass_of_eval():
    """Torch alone is blamed, and what reproduces it agrees."""
    steps = {"eval": {"input": FIRST}}, {"train": {"input": SECOND}}, later()
    report = harness.run(case(*steps), ["reference", "torch:via=functional"])
    found = report["tried"].results

    assert report.summary["torch"].baseline_inaccurate == 1
    assert found["reference"].verdict == "baseline_inaccurate"
    assert {each.culprit for each in found["reference"].divergences} == {"baseline"}
    assert found["torch:via=functional"].verdict == "agree"


class Forgets:
    """Has no word for what it keeps for its gradients."""

    def __init__(self, *arguments, **more):
        self.inner = BatchNorm2d(*arguments, **more)

    def __getattr__(self, name):
        if name == "saved_for_backward":
            raise AttributeError(name)
        return getattr(self.__dict__["inner"], name)

    def __call__(self, given):
        """Normalise."""
        return self.inner(given)


def test_a_class_that_does_not_tell_what_it_keeps_has_the_gradients_of_its_latest_call():
    """Those of an earlier call are unsupported; what else the case has is judged."""
    train = {"train": {"input": FIRST}}
    latest = result(Forgets, train, {"set": {"eps": 1}}, later())
    earlier = result(Forgets, train, {"train": {"input": SECOND}}, later())

    assert latest.verdict == "agree"
    assert earlier.verdict == "unsupported"
    assert "no saved_for_backward" in earlier.reason
    assert "running_var" in earlier.quantities


class OnTheModule(torch.nn.BatchNorm2d):
    """A function of its own whose statistics are attributes of the module."""

    def forward(self, given):
        """Normalise by the batch, and keep what it was normalised by."""
        module, output = self, super().forward(given)
        self.normalised = (output.detach() - self.bias[:, None, None]) / self.weight[:, None, None]

        class Scaled(torch.autograd.Function):
            @staticmethod
            def forward(ctx, weight):  # noqa: ARG004
                return output.detach().clone()

            @staticmethod
            def backward(ctx, grad):  # noqa: ARG004
                return (grad * module.normalised).sum((0, 2, 3))

        return Scaled.apply(self.weight)


def test_what_a_module_keeps_for_its_gradients_is_found_by_them_alone():
    """grad_weight by the latest pass's x̂ is right in the pass itself, and wrong in an earlier."""
    again = {**FIRST, "seed": 9}
    steps = {"train": {"input": FIRST}}, {"train": {"input": again}}
    wrong = [
        {each.quantity for each in result(OnTheModule, *steps, later(of)).divergences}
        for of in (2, 1)
    ]

    assert ["grad_weight" in quantities for quantities in wrong] == [False, True]


def test_a_worker_without_a_backward_pass_is_not_asked_for_a_later_one(tmp_path):
    """The case is unsupported, with the reason, and its outputs are judged."""
    (tmp_path / "forward.py").write_text(FORWARD.format(folder=f"{ROOT}/harness/workers"))
    found = result(
        f"exec:{shlex.quote(sys.executable)} {tmp_path}/forward.py",
        {"train": {"input": FIRST}},
        {"train": {"input": SECOND}},
        later(),
    )

    assert (found.verdict, found.reason) == ("unsupported", "the worker has no backward")
    assert sorted(found.quantities) == ["output", "running_mean", "running_var"]


FORWARD = """
import sys
sys.path.insert(0, {folder!r})
import torch_worker
whole = torch_worker.hello
torch_worker.hello = lambda: dict(whole(), backward=False)
torch_worker.main()
"""


class Spoils(BatchNorm2d):
    """Writes into the input of the call whose gradients it gives."""

    def backward(self, grad_output):
        """Return the right gradients, and spoil the input."""
        given = self.saved_for_backward.input
        gradients = super().backward(grad_output)
        given[...] = 0
        return gradients


def test_what_a_later_backward_pass_does_to_the_input_is_seen():
    """The input of the earlier step must be left as it was."""
    found = result(Spoils, {"train": {"input": FIRST}}, {"eval": {"input": SECOND}}, later())

    assert [(each.step, each.quantity) for each in found.divergences] == [(2, "input")]


def test_the_expected_error_of_a_later_backward_pass_is_not_shown_to_a_target():
    """A target sees neither type nor message; the verdict goes by them."""
    train = {"train": {"input": FIRST}}
    other = {"fill": "ones", "shape": [1, 2, 1, 1]}
    step = later(grad_output=other, raises={"type": "RuntimeError", "match": "nothing like it"})
    made = case(train, step)

    assert "nothing like it" not in repr(blinded(made))
    assert result("reference", train, step).verdict != "agree"


def test_torch_refuses_what_the_reference_refuses():
    """A grad_output of another shape is an error of the backward pass, in both."""
    refused = {"type": "RuntimeError", "match": "shape"}
    step = later(grad_output={"fill": "ones", "shape": [1, 2, 1, 1]}, raises=refused)
    *_, done = resolve("reference").execute(case({"train": {"input": FIRST}}, step)).steps

    assert done.raised.phase == "backward"
    assert result("reference", {"train": {"input": FIRST}}, step).verdict == "agree"


def test_gradients_of_a_later_step_can_be_published():
    """An expectation after the backward step has its gradients, and no output."""
    step = {"eval": {"input": {"values": [[[[3]], [[5]]]]}}}
    wanted = {"after": 2, "grad_bias": [1, 2], "grad_input": [[[[1]], [[2]]]], "within": 1e-4}
    gradient = {"values": [[[[1]], [[2]]]]}
    made = case(step, later(grad_output=gradient), state={"weight": [1, 1]})
    published = Case.model_validate({**made.model_dump(exclude_unset=True), "expect": [wanted]})
    report = harness.run(published, ["reference"])

    assert report["tried"].results["reference"].verdict == "agree"
