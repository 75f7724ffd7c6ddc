"""Who keeps an array of the state sees it change: what a case says is written in place must be."""

from __future__ import annotations

import copy
from typing import ClassVar

import numpy as np
import pytest
import torch
from planted import GRADIENTS, INPUT, TRAIN, case, found, result

import harness
from harness.compare import Account, Hearing, judge
from harness.reference import BatchNorm2d
from harness.targets import resolve

STATISTICS = ("running_mean", "running_var")
WRITTEN = ({"after": 1, "in_place": list(STATISTICS)},)
TWICE = {"train": {"input": INPUT, "repeat": 2}}


class Assigns(BatchNorm2d):
    """Assigns a new running_mean in its first train step."""

    steps = 0

    def __call__(self, given):
        """Normalise."""
        output = super().__call__(given)
        if self.training and not self.steps:
            self.running_mean = self.running_mean.copy()
        self.steps += 1
        return output


class AssignsTensor(torch.nn.BatchNorm2d):
    """Assigns a new running_mean in each train step."""

    def forward(self, given):
        """Normalise."""
        output = super().forward(given)
        if self.training:
            self.running_mean = self.running_mean.clone()
        return output


class Documented(Assigns):
    """Says that it does so."""

    bn_harness: ClassVar = {"state": {"is": "own", "reason": "arrays here are immutable"}}


class Views(BatchNorm2d):
    """Shows its running statistics by new views of the same memory."""

    def __getattribute__(self, name):
        """Return a view of an array."""
        value = super().__getattribute__(name)
        return value[:] if name in STATISTICS else value


@pytest.mark.parametrize("cls", [Assigns, AssignsTensor])
def test_an_array_that_is_replaced_is_found(cls):
    """A class that assigns a new buffer diverges in a case that asks, and in no other."""
    (divergence,) = result(cls, case(TRAIN, expect=WRITTEN)).divergences

    assert (divergence.quantity, divergence.aspect) == ("running_mean", "memory")
    assert (divergence.expected, divergence.actual) == (
        "written in place",
        "replaced by another array",
    )
    assert result(cls, case(TRAIN)).verdict == "agree"


@pytest.mark.parametrize("cls", [BatchNorm2d, torch.nn.BatchNorm2d, Views])
def test_what_is_written_in_place_agrees(cls):
    """Torch, the reference and a class that shows views of its memory write in place."""
    steps = (GRADIENTS, {"call": "reset_parameters"}, {"save": "it"}, {"load": {"from": "it"}})
    everything = ["weight", "bias", *STATISTICS, "num_batches_tracked"]
    expect = [{"after": after, "in_place": everything} for after in (1, 2, 4)]

    assert result(cls, case(*steps, expect=expect)).verdict == "agree"


def test_a_counter_that_is_a_number_is_replaced():
    """A counter of NumPy's scalars cannot be written into."""

    class Scalar(BatchNorm2d):
        def __call__(self, given):
            self.num_batches_tracked = np.array(self.num_batches_tracked)
            output = super().__call__(given)
            vars(self)["num_batches_tracked"] = self.num_batches_tracked[()]
            return output

    expect = ({"after": 1, "in_place": ["num_batches_tracked"]},)

    assert found(Scalar, case(TRAIN, expect=expect)) == [
        (0, "num_batches_tracked", "memory", "target")
    ]


def test_all_repetitions_are_held_to_it_unless_one_is_named():
    """An array replaced in the first repetition is found by the step, not by its second time."""
    second = ({"after": 1, "repetition": 2, "in_place": ["running_mean"]},)

    assert found(Assigns, case(TWICE, expect=WRITTEN)) == [(0, "running_mean", "memory", "target")]
    assert result(Assigns, case(TWICE, expect=second)).verdict == "agree"


def test_an_array_that_is_not_there_was_not_written_into():
    """A case that asks for an array that torch does not have is a mistake, and shows as torch's."""
    expect = ({"after": 1, "in_place": ["weight"]},)
    made = case(TRAIN, state={}, affine=False, expect=expect)
    (divergence,) = result(BatchNorm2d, made).divergences

    assert divergence.culprit == "both"
    assert divergence.actual == "missing"


def test_a_baseline_that_replaces_is_blamed_itself():
    """Against a baseline that assigns new arrays, a target that does not is no culprit."""
    made = case(TRAIN, expect=WRITTEN)

    assert found(BatchNorm2d, made, against=Assigns) == [(0, "running_mean", "memory", "baseline")]


def test_a_target_that_does_not_tell_is_unsupported():
    """Where nobody knows whether arrays were replaced, nothing has passed."""

    def judged(made):
        trace = resolve("reference").execute(made)
        steps = tuple(each._replace(replaced=None) for each in trace.steps)
        silent = Account("silent", trace._replace(steps=steps))
        baseline = Account("torch", resolve("torch").execute(made))
        ((_, comparison),) = judge([Hearing(made, "2.13.0", baseline, (silent,))])
        return comparison

    asked = judged(case(TRAIN, expect=WRITTEN))

    assert asked.verdict == "unsupported"
    assert asked.reason == "it does not tell whether arrays of the state are replaced"
    assert judged(case(TRAIN)).verdict == "agree"


def test_a_class_that_cannot_load_is_not_held_to_what_loading_does():
    """What leads to the arrays being unsupported, they are not judged."""

    class NoStateDict(BatchNorm2d):
        state_dict = None

    expect = ({"after": 2, "in_place": list(STATISTICS)},)
    made = case({"save": "it"}, {"load": {"from": "it"}}, expect=expect)

    assert result(NoStateDict, made).verdict == "unsupported"


def test_arrays_of_its_own_can_be_declared():
    """A class that documents that it replaces arrays agrees, and the report shows why."""
    judged = result(Documented, case(TRAIN, expect=WRITTEN))

    assert judged.verdict == "agree"
    assert judged.declared == ["arrays of the state: arrays here are immutable"]
    assert result(Documented, case(TRAIN)).declared == []


def test_a_replaced_array_is_told_in_words():
    """The failure says which array was replaced, in which step."""
    with pytest.raises(AssertionError) as told:
        harness.assert_conforms(Assigns, [case(TRAIN, expect=WRITTEN)])

    words = "running_mean is replaced by another array, it should be written in place"
    assert f"step 1 (train): {words}" in str(told.value)
    assert "by running_mean's memory (1 case)" in str(told.value)


class Shares(BatchNorm2d):
    """Is copied with the arrays that it has."""

    def __deepcopy__(self, memo):
        """Copy the object alone."""
        return copy.copy(self)


class SharesTensors(torch.nn.BatchNorm2d):
    """Is copied with the tensors that it has, in other objects."""

    def __deepcopy__(self, memo):
        """Copy what is not a tensor."""
        made = type(self)(self.num_features)
        for name, tensor in (*self.named_parameters(), *self.named_buffers()):
            getattr(made, name).data = tensor.data
        return made


@pytest.mark.parametrize("cls", [Shares, SharesTensors])
def test_a_deep_copy_that_shares_its_arrays_is_found(cls):
    """A copy in whose arrays the original sees every step diverges, array by array."""
    arrays = ("weight", "bias", *STATISTICS)

    assert found(cls, case({"call": "deepcopy"})) == [
        (0, name, "memory", "target") for name in arrays
    ]


def test_a_number_and_an_empty_array_are_shared_without_harm():
    """A counter that cannot be written into, and arrays of no channels, need no copy."""

    class Number(BatchNorm2d):
        def __init__(self, *arguments, **named):
            super().__init__(*arguments, **named)
            vars(self)["num_batches_tracked"] = np.int64(0)

    none = case({"call": "deepcopy"}, state={}, num_features=0)

    assert found(Number, case({"call": "deepcopy"})) == []
    assert found(BatchNorm2d, none) == []
    assert found(torch.nn.BatchNorm2d, none) == []
