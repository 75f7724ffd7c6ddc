"""Who is wrong: target and baseline, each against the exact result."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from planted import EVAL, GRADIENTS, INPUT, TRAIN, case, result

import harness
from harness.reference import BatchNorm2d


class Off(BatchNorm2d):
    """Its output is a thousandth too large."""

    factor = np.float32(1.001)

    def __call__(self, given):
        """Normalise, off."""
        return super().__call__(given) * self.factor


class FartherOff(Off):
    """Its output is a hundredth too large."""

    factor = np.float32(1.01)


@pytest.mark.parametrize(
    ("target", "baseline", "verdict", "culprits"),
    [
        (BatchNorm2d, "torch", "agree", []),
        (Off, "torch", "diverge", ["target"]),
        (BatchNorm2d, "Off", "baseline_inaccurate", ["baseline"]),
        (Off, "FartherOff", "agree", ["baseline"]),
        (FartherOff, "Off", "diverge", ["baseline", "both"]),
    ],
)
def test_the_culprit_is_who_is_outside_and_farther(target, baseline, verdict, culprits):
    """In or out of the bound, and nearer or farther: each pair has its verdict and culprit."""
    against = baseline if baseline == "torch" else f"{__name__}:{baseline}"
    shown = result(target, case(EVAL), against=against)

    assert (shown.verdict, [each.culprit for each in shown.divergences]) == (verdict, culprits)


def test_a_baseline_outside_its_bound_has_that_verdict_itself():
    """The baseline's own row counts its inaccurate cases."""
    report = harness.run(case(EVAL), ["reference"], against=f"{__name__}:Off")

    assert report.summary[report.baseline].baseline_inaccurate == 1


class Wrapper(torch.nn.BatchNorm2d):
    """Is torch, bit for bit."""


HARD = {"shape": [4, 2, 3, 3], "fill": "normal", "mean": 1e6, "std": 1e-3, "seed": 3}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("given", [INPUT, HARD, {**INPUT, "std": 1e-30, "mean": 0}])
def test_what_is_torch_bit_for_bit_agrees(dtype, given):
    """A wrapper around torch is never blamed, however hard the numbers are."""
    gradient = {"fill": "normal", "seed": 4}
    steps = ({"train": {"input": given, "grad_output": gradient}}, {"eval": {"input": given}})
    shown = result(Wrapper, case(*steps, dtype=dtype))

    assert shown.verdict in ("agree", "baseline_inaccurate", "unjudged")
    assert shown.bitwise_equal


def test_bitwise_equal_means_every_bit():
    """One bit in one output, and a case counts as equal no more."""

    class Nudged(torch.nn.BatchNorm2d):
        def forward(self, given):
            output = super().forward(given)
            output.data[0, 0, 0, 0] = torch.nextafter(output[0, 0, 0, 0], torch.tensor(9.0))
            return output

    shown = result(Nudged, case(EVAL))

    assert (shown.verdict, shown.bitwise_equal) == ("agree", False)


def test_errors_alike_are_bitwise_equal_and_others_are_not():
    """Two constructors that raise alike are equal; one that raises alone is not."""

    class Refuses(torch.nn.BatchNorm2d):
        def __init__(self, *_, **__):
            raise ValueError

    wrong = case(state={}, num_features=-1, raises={"type": "RuntimeError"})

    assert result(Wrapper, wrong).bitwise_equal
    assert not result(Refuses, case(EVAL)).bitwise_equal


def test_declared_accuracy_is_shown():
    """What torch declares of its 16-bit modules is named where a verdict rests on it."""
    report = harness.run(case(GRADIENTS, EVAL, dtype="bfloat16"), ["reference"])

    assert report["planted"].results["reference"].verdict == "agree"
    assert any("bfloat16" in reason for reason in report.declared["torch"])


def test_what_cannot_be_judged_is_no_pass():
    """A case in which no element has a finite bound is unjudged, and has no largest error."""
    step = {"eval": {"input": {"shape": [2, 2, 1, 1], "fill": "ones"}}}
    shown = result(BatchNorm2d, case(step, state={"running_var": [0, 0]}, eps=0))

    assert (shown.verdict, shown.unjudged) == ("unjudged", 4)
    assert (shown.worst, shown.quantities) == (None, {})


def test_cases_for_other_versions_are_left_out():
    """A case that holds from torch 99 on is not judged, and counts nowhere."""
    for versions in ({"since": "99"}, {"before": "1.0"}):
        other = case(TRAIN).model_copy(update=versions)
        report = harness.run([other, case(EVAL).model_copy(update={"id": "now"})], [BatchNorm2d])

        assert [each.id for each in report.cases] == ["now"]


class SomeUlpsOff(BatchNorm2d):
    """Its output is eight units roundoff too large."""

    def __call__(self, given):
        """Normalise, off by a little."""
        return super().__call__(given) * np.float32(1 + 2**-20)


@pytest.mark.parametrize(
    ("accuracy", "verdict"), [("wide", "diverge"), ("tree", "agree"), ("any-order", "agree")]
)
def test_the_accuracy_that_is_asked_for_decides(accuracy, verdict):
    """An error of a few ulps breaks the strictest class and holds the looser ones."""
    report = harness.run(case(TRAIN), [SomeUlpsOff], accuracy=accuracy)
    (name,) = report.targets

    assert report["planted"].results[name].verdict == verdict
    assert report.summary[name].accuracy["output"] == "tree"
