"""Torch's own module is recorded by a shorter way than others: what is recorded is the same."""

from __future__ import annotations

import pickle

import pytest
import torch
from recorded import recorded

from harness.case.suite import load
from harness.targets import blinded, own_module, resolve

torch.set_num_threads(1)


Same = type("BatchNorm2d", (torch.nn.BatchNorm2d,), {})
"""A module that the harness knows nothing of, by the name that torch's errors say."""


@pytest.mark.parametrize("folder", ["cases/edge", "cases/seed", "cases/regressions"])
def test_it_is_recorded_as_a_subclass_is_that_changes_nothing(folder):
    """Results with their layouts, states, what was replaced, and errors are the same."""
    own, other = resolve("torch"), resolve(Same)
    cases = [blinded(case) for _, case in load([folder]).cases()]

    assert cases
    for case in cases:
        assert recorded(own.execute(case)) == recorded(other.execute(case)), case.id


def test_a_torch_without_that_engine_is_asked_for_gradients_as_any_other_is(monkeypatch):
    """What autograd calls inside may be renamed: then its public function gives the same."""
    target = resolve("torch")
    cases = [blinded(case) for _, case in load(["cases/edge/gradients.yaml"]).cases()]
    before = [recorded(target.execute(case)) for case in cases]
    monkeypatch.setattr(own_module, "_ENGINE", None)

    assert [recorded(target.execute(case)) for case in cases] == before


def test_a_case_for_another_process_has_no_arrays():
    """What was drawn while a case ran stays here: the next process draws its own."""
    (_, case), *_ = load(["cases/edge/momentum.yaml"]).cases()
    before = len(pickle.dumps(case))
    resolve("torch").execute(case)

    assert len(pickle.dumps(case)) == before
