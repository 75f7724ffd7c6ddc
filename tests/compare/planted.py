"""Cases of one step or a few, and how a class is judged by them."""

from __future__ import annotations

import torch

import harness
from harness.case.model import Case
from harness.reference import BatchNorm2d

torch.set_num_threads(1)

INPUT = {"shape": [4, 2, 3, 3], "fill": "normal", "mean": 3, "std": 2, "seed": 1}
TRAIN = {"train": {"input": INPUT}}
EVAL = {"eval": {"input": INPUT}}
GRADIENTS = {"train": {"input": INPUT, "grad_output": {"fill": "normal", "seed": 2}}}
STATE = {
    "weight": [1.25, 0.5],
    "bias": [0.5, -1],
    "running_mean": [1, 2],
    "running_var": [2, 0.5],
}


def case(*steps, state=None, expect=(), raises=None, **module):
    """Return a case of a module with two channels, of which no state is a default."""
    plain = {
        "id": "planted",
        "why": "a mistake is planted.",
        "module": {"num_features": 2, **module},
        "state": STATE if state is None else state,
        "steps": list(steps),
        "expect": list(expect),
    }
    if raises:
        plain["raises"] = raises
    return Case.model_validate(plain)


def result(cls, made, against="torch"):
    """Return what the report says of a class and a case."""
    report = harness.run(made, [cls], against=against)
    return report["planted"].results[report.targets[0]]


def found(cls, made, **more):
    """Return step, quantity, aspect and culprit of each divergence of a class in a case."""
    return [
        (each.step, each.quantity, each.aspect, each.culprit)
        for each in result(cls, made, **more).divergences
    ]


class Changed(BatchNorm2d):
    """The reference, with a change after each forward pass that the test gives."""

    passes = 0

    def __call__(self, given):
        """Normalise and change."""
        self.passes += 1
        return self.change(super().__call__(given))

    def change(self, output):
        """Return the output, changed."""
        return output


def changed(change):
    """Return the reference with a change after each forward pass: change(module, output)."""
    return type("Planted", (Changed,), {"change": change, "__module__": "planted"})
