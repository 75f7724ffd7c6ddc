"""What a report says of where it was made."""

from __future__ import annotations

import json

import torch

from harness.environment import environment


def test_the_environment_is_the_same_each_time():
    """What differs from run to run stays out: two calls give the same JSON."""
    assert json.dumps(environment()) == json.dumps(environment())


def test_the_environment_names_what_numbers_depend_on():
    """Versions, the processor's capability and CUDA, or its absence, are there."""
    found = environment()

    assert found["torch"] == torch.__version__
    assert {"python", "numpy", "harness", "cpu_capability", "threads"} <= set(found)
    assert found["cuda"] == "absent" or torch.cuda.is_available()
