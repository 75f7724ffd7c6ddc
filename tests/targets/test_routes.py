"""The ways through torch: which agree with the module, and where they are known to part."""

from __future__ import annotations

import pytest
import torch

import harness
from harness.case.model import Case
from harness.errors import InvalidInput
from harness.targets import resolve, routes

torch.set_num_threads(1)

INPUT = {"shape": [4, 2, 3, 3], "fill": "normal", "seed": 1}
STEP = {"input": INPUT, "grad_output": {"fill": "normal", "seed": 2}}
ROUTES = [f"via={name}" for name in routes.VIA] + ["compile=aot_eager"]


def case(*steps, **module):
    """Return a case of a module with two channels."""
    module = {"num_features": 2, **module}
    return Case.model_validate({"id": "a", "why": "b.", "module": module, "steps": list(steps)})


@pytest.mark.parametrize("option", ROUTES)
def test_each_route_trains_and_evaluates_as_the_module_does(option):
    """Every route agrees on outputs, gradients and statistics of train and eval steps."""
    asked = case({"train": STEP}, {"eval": STEP}, {"call": "deepcopy"}, {"train": STEP})
    report = harness.run([asked], targets=[f"torch:{option}"])

    (summary,) = (each for name, each in report.summary.items() if name != "torch")
    assert summary.agree == 1


@pytest.mark.parametrize("option", ROUTES)
@pytest.mark.parametrize(
    ("shape", "type_", "message"),
    [
        ([1, 2, 1, 1], "ValueError", "Expected more than 1 value per channel when training"),
        ([4, 2, 3], "ValueError", "expected 4D input"),
    ],
)
def test_errors_come_without_their_wrapping(option, shape, type_, message):
    """What a compiler or interpreter wraps is told as the module's own error."""
    asked = case({"train": {"input": {**INPUT, "shape": shape}}})
    (done,) = resolve(f"torch:{option}").execute(asked).steps

    assert (done.raised.type, message in done.raised.message) == (type_, True), done.raised


def test_the_counter_of_compiled_code_moves_only_with_a_result():
    """Compiled, an error comes before the counter moves; the module's comes after it."""
    asked = case({"train": {"input": {**INPUT, "shape": [1, 2, 1, 1]}}})
    counts = [
        int(resolve(name).execute(asked).steps[0].state["num_batches_tracked"])
        for name in ("torch", "torch:compile=aot_eager")
    ]

    assert counts == [1, 0]


def test_what_does_not_compile_is_unsupported():
    """A cumulative average divides by data, which does not compile as a whole."""
    asked = case({"train": {"input": INPUT}}, momentum=None)
    (done,) = resolve("torch:compile=aot_eager").execute(asked).steps

    assert done.unsupported.startswith("it does not compile: ")


def test_compiled_code_that_did_not_run_is_unsupported(monkeypatch):
    """Where torch.compile runs the module as it is, nothing is claimed of compiled code."""
    monkeypatch.setattr(torch, "compile", lambda module, **_: module)
    (done,) = resolve("torch:compile=aot_eager").execute(case({"train": {"input": INPUT}})).steps

    assert done.unsupported == "the code that aot_eager compiled did not run"


def test_many_shapes_of_one_case_are_all_compiled():
    """More shapes than dynamo recompiles for are judged, or said to be unsupported."""
    steps = [{"eval": {"input": {**INPUT, "shape": [2, 2, 1, size]}}} for size in range(1, 12)]
    done = resolve("torch:compile=aot_eager").execute(case(*steps)).steps

    assert all("output" in step.results or step.unsupported for step in done)
    assert "output" in done[0].results


def test_a_refusal_of_torchscript_keeps_its_reason():
    """The second module that TorchScript refuses has the same reason as the first."""
    asked = case({"train": {"input": INPUT}}, momentum=1)
    target = resolve("torch:via=script")
    first, second = (target.execute(asked).steps[0].unsupported for _ in range(2))

    assert first == second
    assert "type 'float' for argument 'momentum'" in first


def test_inductor_is_absent_without_a_compiler(monkeypatch):
    """Where no C++ compiler is found the target says so and is not run."""
    monkeypatch.setattr("shutil.which", lambda _: None)

    assert resolve("torch:compile=inductor").info.absent == "no C++ compiler"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("via=onnx", "via must be one of module, functional, native"),
        ("compile=gcc", "compile must be one of none, aot_eager, inductor"),
        ("speed=9", "no option speed; there are device, via, compile, cudnn and threads"),
        ("via=script,compile=inductor", "leave out via="),
        ("cudnn=off", "cudnn= is for device=cuda"),
    ],
)
def test_options_that_do_not_fit_are_refused(spec, message):
    """An unknown option or value, or two that exclude each other, is one message."""
    with pytest.raises(InvalidInput, match=message):
        resolve(f"torch:{spec}")
