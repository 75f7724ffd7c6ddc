"""What a module has returned is the caller's: nothing that the module does later changes it."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch
from planted import GRADIENTS, INPUT, TRAIN, case, found, result

from harness.reference import BatchNorm2d

TWICE = (TRAIN, {"eval": {"input": {**INPUT, "seed": 9}}})


class Workspace(BatchNorm2d):
    """Gives every output in the same memory."""

    memory = None

    def __call__(self, given):
        """Normalise into it."""
        output = super().__call__(given)
        if self.memory is None or self.memory.shape != output.shape:
            self.memory = np.empty_like(output)
        self.memory[...] = output
        return self.memory


class TensorWorkspace(torch.nn.BatchNorm2d):
    """Gives every output in the same memory, as a tensor."""

    memory = None

    def forward(self, given):
        """Normalise into it."""
        output = super().forward(given)
        if self.memory is None or self.memory.shape != output.shape:
            self.memory = torch.empty_like(output)
        return self.memory.copy_(output.detach())


class Documented(Workspace):
    """Says that it does so."""

    bn_harness: ClassVar = {
        **BatchNorm2d.bn_harness,
        "results": {"is": "reused", "reason": "the engine plans its memory ahead"},
    }


class GradientOverOutput(BatchNorm2d):
    """Writes the gradient of the input into the output."""

    def __call__(self, given):
        """Normalise."""
        self.output = super().__call__(given)
        return self.output

    def backward(self, grad_output):
        """Differentiate into the output."""
        grad_input, *others = super().backward(grad_output)
        self.output[...] = grad_input
        return (self.output, *others)


class ResetClears(Workspace):
    """Clears its workspace with its statistics."""

    def reset_running_stats(self):
        """Start again."""
        super().reset_running_stats()
        if self.memory is not None:
            self.memory[...] = 0


@pytest.mark.parametrize("cls", [Workspace, TensorWorkspace])
def test_an_output_that_the_next_step_writes_over_is_found(cls):
    """A class with one workspace for its outputs diverges at the step that spoils an output."""
    (divergence,) = result(cls, case(*TWICE)).divergences

    assert (divergence.step, divergence.quantity, divergence.aspect) == (1, "output", "memory")
    assert (divergence.expected, divergence.actual) == ("left as it was returned", "written over")


def test_an_output_that_its_own_backward_pass_writes_over_is_found():
    """A gradient in the memory of the output diverges in that very step."""
    assert found(GradientOverOutput, case(GRADIENTS)) == [(0, "output", "memory", "target")]


def test_any_kind_of_step_can_write_over_a_result():
    """What a reset does to an output is found at the reset."""
    made = case(TRAIN, {"call": "reset_running_stats"})

    assert found(ResetClears, made) == [(1, "output", "memory", "target")]


def test_one_step_alone_has_nothing_to_write_over():
    """A workspace that only one step has used is as good as new memory."""
    assert result(Workspace, case(TRAIN)).verdict == "agree"


def test_memory_that_is_documented_to_be_reused_is_declared():
    """A class that says so agrees, and the report says what it says."""
    comparison = result(Documented, case(*TWICE))

    assert comparison.verdict == "agree"
    assert comparison.declared == ["memory of results: the engine plans its memory ahead"]
