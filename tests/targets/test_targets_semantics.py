"""What a class documents to mean otherwise is not held against it, and everything else is."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch

import harness
from harness.case.model import Case
from harness.errors import InvalidInput
from harness.targets import resolve

torch.set_num_threads(1)

LINK = "https://example.org/running_var"


class Biased:
    """Without a counter, with the biased variance in running_var, always contiguous."""

    wrong = 1.0

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.weight, self.running_var = np.ones((2, num_features), np.float32)
        self.bias, self.running_mean = np.zeros((2, num_features), np.float32)
        self.num_batches_tracked = None

    def train(self, mode=True):
        """Choose the mode."""
        self.training = mode

    def eval(self):
        """Choose evaluation mode."""
        self.train(False)

    def __call__(self, input):
        """Return the normalised input."""
        mean, var = self.running_mean, self.running_var
        if self.training:
            if input.size == input.shape[1]:
                raise TypeError("one value")
            mean, var = input.mean((0, 2, 3)), input.var((0, 2, 3))
            self.running_mean += np.float32(self.momentum) * (mean - self.running_mean)
            self.running_var += np.float32(self.momentum * self.wrong) * (var - self.running_var)
        scale = self.weight / np.sqrt(var + np.float32(self.eps))
        shifted = (input - mean[:, None, None]) * scale[:, None, None] + self.bias[:, None, None]
        return np.ascontiguousarray(shifted)


class Declared(Biased):
    """The same, and it says so."""

    bn_harness: ClassVar = {
        "running_var": {"is": "biased", "reason": "the documentation says so", "link": LINK},
        "num_batches_tracked": {"is": "absent", "reason": "nothing is counted"},
        "layout": {"is": "own", "reason": "always contiguous"},
        "errors": {"is": "own types", "reason": "of its own"},
        "versions": {"biased": "1.2"},
    }


def step(layout="contiguous", shape=(4, 2, 3, 3), **more):
    """Return a train step's input."""
    return {"input": {"shape": list(shape), "fill": "normal", "seed": 1, "layout": layout}, **more}


def case(*steps, **more):
    """Return a case of two channels."""
    plain = {"id": "one", "why": "One.", "module": {"num_features": 2}, "steps": steps}
    return Case.model_validate({**plain, **more})


def judged(cls, *steps, **more):
    """Return what a class comes to."""
    report = harness.run(case(*steps, **more), [cls])
    return report, report["one"].results[report.targets[0]]


PLAIN = ({"train": step()}, {"train": step()}, {"eval": step()})


def test_a_declared_biased_variance_agrees_and_is_shown():
    """A class that declares its biased running_var agrees, and the report lists why."""
    report, result = judged(Declared, *PLAIN)

    assert result.verdict == "agree"
    assert any(LINK in text and "biased" in text for text in result.declared)
    assert report.declared[report.targets[0]] == result.declared
    assert report.environment["frameworks"][report.targets[0]] == {"biased": "1.2"}


def test_an_undeclared_biased_variance_diverges():
    """The same class without its declarations is blamed for running_var and for its counter."""
    _, result = judged(Biased, *PLAIN)

    assert result.verdict == "diverge"
    assert {each.quantity for each in result.divergences} == {"running_var", "num_batches_tracked"}


def test_what_is_not_declared_is_still_judged():
    """A biased running variance that is also moved by the wrong factor diverges all the same."""
    wrong = type("Wrong", (Declared,), {"wrong": 1.001})
    _, result = judged(wrong, *PLAIN)

    assert result.verdict == "diverge"
    assert {each.quantity for each in result.divergences} == {"running_var"}


def test_a_declared_layout_is_shown_where_it_matters():
    """The memory format of results is compared unless declared, and noted where it differs."""
    _, own = judged(Declared, {"train": step("channels_last")})
    _, plain = judged(Declared, {"train": step()})
    _, undeclared = judged(Biased, {"train": step("channels_last")})

    assert own.verdict == "agree"
    assert any("always contiguous" in text for text in own.declared)
    assert not any("always contiguous" in text for text in plain.declared)
    assert any(each.aspect == "layout" for each in undeclared.divergences)


def test_declared_types_of_errors_still_need_an_error():
    """Another type of error is what was declared; no error at all, or one too many, is not."""
    one = {"train": {**step(shape=(1, 2, 1, 1)), "raises": {"type": "ValueError"}}}
    accepts = type("Accepts", (Declared,), {"__call__": lambda _, given: given})
    _, refused = judged(Declared, one)
    _, accepted = judged(accepts, one)

    assert refused.verdict == "agree"
    assert any("types of errors" in text for text in refused.declared)
    assert [each.actual for each in accepted.divergences if each.aspect == "error"] == ["no error"]


def test_published_running_statistics_are_torch_s():
    """A published running_var holds a class unless it declares another meaning of it."""
    values = {"values": [[[[1.0]], [[2.0]]], [[[3.0]], [[6.0]]]]}
    expect = [{"after": 1, "running_var": [1.1, 1.7], "within": 1e-6}]
    steps = [{"train": {"input": values}}]
    _, declared = judged(Declared, *steps, expect=expect)
    _, undeclared = judged(Biased, *steps, expect=expect)

    assert declared.verdict == "agree"
    assert any(each.aspect == "published" for each in undeclared.divergences)


def test_a_float32_complement_of_momentum_is_another_factor():
    """With a declared complement the factor is 1 - fl32(1 - momentum), which is not momentum."""

    class Complement(Declared):
        bn_harness: ClassVar = {
            **Declared.bn_harness,
            "momentum": {"is": "float32 complement", "reason": "an attribute of type float"},
        }

        def __init__(self, num_features, eps=1e-5, momentum=0.1):
            super().__init__(num_features, eps, 1 - np.float32(1 - momentum))

    undeclared = type("Undeclared", (Complement,), {"bn_harness": Declared.bn_harness})
    given = {"values": [[[[100.0]], [[200.0]]], [[[101.0]], [[202.0]]]]}
    steps = [{"train": {"input": given}}]
    module = {"num_features": 2, "momentum": 0.001}
    _, told = judged(Complement, *steps, module=module)
    _, untold = judged(undeclared, *steps, module=module)

    assert told.verdict == "agree"
    assert "running_mean" in {each.quantity for each in untold.divergences}


def test_lower_accuracy_is_declared_by_a_class_too():
    """A class whose statistics are float16 conforms by saying so, and not otherwise."""

    class Rounded(Declared):
        bn_harness: ClassVar = {
            **Declared.bn_harness,
            "accuracy": [
                {"parameters": "float32", "statistics": "float16", "reason": "half statistics"}
            ],
        }

        def __call__(self, input):
            """Return the normalised input."""
            mean = input.mean((0, 2, 3)).astype(np.float16).astype(np.float32)
            var = input.var((0, 2, 3)).astype(np.float16).astype(np.float32)
            inverse = 1 / np.sqrt(var + np.float32(self.eps))
            return (input - mean[:, None, None]) * inverse[:, None, None]

    silent = type("Silent", (Rounded,), {"bn_harness": Declared.bn_harness})
    steps = [{"set": {"track_running_stats": False}}, {"train": step()}]
    _, said = judged(Rounded, *steps)
    _, unsaid = judged(silent, *steps)

    assert "half statistics" in said.declared
    assert not any(each.quantity == "output" for each in said.divergences)
    assert any(each.quantity == "output" for each in unsaid.divergences)


def test_state_for_a_counter_that_is_not_there_is_unsupported():
    """A case that puts a count into a class without a counter cannot be run by it."""
    _, result = judged(Declared, {"train": step()}, state={"num_batches_tracked": 3})

    assert result.verdict == "unsupported"
    assert result.reason == "the class has no num_batches_tracked"


class Inference(torch.nn.BatchNorm2d):
    """No graph leads from its output to its input."""

    wrong = 1.0

    def forward(self, input):
        """Return the normalised input."""
        with torch.no_grad():
            return super().forward(input) * self.wrong


def test_a_declared_absence_of_gradients_is_unsupported_and_the_output_judged():
    """A class that says it has no backward pass lacks the gradients alone; silent, it diverges."""
    meant = {"backward": {"is": "absent", "reason": "for inference"}}
    said = type("Said", (Inference,), {"bn_harness": meant})
    wrong = type("Wrong", (said,), {"wrong": 1.01})
    steps = {"train": step(grad_output={"fill": "ones"})}, {"eval": step()}
    lacking, silent, blamed = (judged(each, *steps)[1] for each in (said, Inference, wrong))

    assert lacking.verdict == "unsupported"
    assert lacking.reason == "no backward pass: for inference"
    assert judged(said, {"train": step()})[1].verdict == "agree"
    assert [each.actual[:37] for each in silent.divergences] == [
        "RuntimeError in the backward pass: el"
    ]
    assert {each.quantity for each in blamed.divergences} == {"output"}


def _lower(**changed):
    return {"accuracy": [{"parameters": "float16", "reason": "half statistics", **changed}]}


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ({"running_var": {"is": "bessel", "reason": "no"}}, "bn_harness.running_var.is"),
        ({"running_var": {"is": "biased"}}, "bn_harness.running_var.reason"),
        ({"running_var": {"is": "biased", "reason": " "}}, "bn_harness.running_var.reason"),
        ({"runing_var": {"is": "biased", "reason": "no"}}, "bn_harness.runing_var"),
        (_lower(parameters="float23"), "bn_harness.accuracy.0.parameters"),
        (_lower(statistics="int64"), "bn_harness.accuracy.0.statistics"),
        (_lower(reason=" "), "bn_harness.accuracy.0.reason"),
    ],
)
def test_a_wrong_declaration_is_refused_with_its_place(said, place):
    """A declaration of no known form is a mistake of the user, told with where it is."""
    wrong = type("Wrong", (Declared,), {"bn_harness": said})

    with pytest.raises(InvalidInput, match=place):
        resolve(wrong)
