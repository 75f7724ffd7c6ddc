"""State that is moved about is compared by what was done to it, and by nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from planted import EVAL, TRAIN, case, changed, found, result

from harness.reference import BatchNorm2d


def nudge(module, output):
    """Move the running statistics by one unit in the last place: within any bound."""
    if module.training and module.running_mean is not None:
        module.running_mean[...] = np.nextafter(module.running_mean, np.float32(9))
        module.running_var[...] = np.nextafter(module.running_var, np.float32(9))
    return output


SAVE, LOAD = {"save": "it"}, {"load": {"from": "it"}}


@pytest.mark.filterwarnings("ignore:.* refuses ")
@pytest.mark.parametrize(
    "steps",
    [
        (TRAIN, EVAL),
        (TRAIN, {"cast": "float64"}, EVAL),
        (TRAIN, {"cast": "float16"}, EVAL),
        (TRAIN, SAVE, TRAIN, LOAD, EVAL),
        (TRAIN, {"set": {"running_mean": [1, 2]}}, TRAIN),
        (TRAIN, {"set": {"momentum": None}}, TRAIN, EVAL),
        (TRAIN, {"call": "deepcopy"}, EVAL),
        (TRAIN, {"call": "reset_running_stats"}, TRAIN),
        (TRAIN, {"train": {"input": {"shape": [1, 2, 1, 1], "fill": "ones"}}}, EVAL),
    ],
)
def test_statistics_within_their_bound_are_not_blamed_when_moved(steps):
    """Statistics an ulp off torch's may be cast, loaded, replaced and carried on."""
    shown = result(changed(nudge), case(*steps))

    assert (shown.verdict, shown.bitwise_equal) == ("agree", False)


class ForgetsToLoad(BatchNorm2d):
    """Leaves the running mean as it is."""

    def load_state_dict(self, state, strict=True):
        """Load all but the mean."""
        kept = self.running_mean.copy()
        super().load_state_dict(state, strict=strict)
        self.running_mean[...] = kept


class RoundsWrong(BatchNorm2d):
    """Casts by way of integers."""

    def to(self, dtype):
        """Cast and round."""
        super().to(dtype)
        self.running_var[...] = np.round(self.running_var)
        return self


class ForgetsToReset(BatchNorm2d):
    """Resets the statistics but not the count."""

    def reset_running_stats(self):
        """Reset, and go on counting."""
        count = int(self.num_batches_tracked)
        super().reset_running_stats()
        self.num_batches_tracked[...] = count


class Deaf(BatchNorm2d):
    """Does not take the mean that it is given."""

    def __setattr__(self, name, value):
        if name != "running_mean" or value is None or list(value) != [7, 8]:
            super().__setattr__(name, value)


@pytest.mark.parametrize(
    ("cls", "steps", "divergence"),
    [
        (ForgetsToLoad, (SAVE, TRAIN, LOAD), (2, "running_mean")),
        (RoundsWrong, (TRAIN, {"cast": "float64"}), (1, "running_var")),
        (ForgetsToReset, (TRAIN, {"call": "reset_running_stats"}), (1, "num_batches_tracked")),
        (Deaf, (TRAIN, {"set": {"running_mean": [7, 8]}}), (1, "running_mean")),
    ],
)
def test_a_wrong_move_is_found(cls, steps, divergence):
    """A load, cast, reset or assignment that does something else is found in its step."""
    assert found(cls, case(*steps)) == [(*divergence, "state", "target")]


def test_the_count_goes_on_from_the_targets_own():
    """A target that lost a count is not blamed again for counting on from there."""

    def change(module, output):
        if module.passes == 1:
            module.num_batches_tracked += 5
        return output

    steps = TRAIN, TRAIN, SAVE, TRAIN, LOAD, EVAL

    assert found(changed(change), case(*steps)) == [(0, "num_batches_tracked", "state", "target")]


def test_a_cumulative_average_is_held_to_the_targets_own_count():
    """With momentum None the factor is judged from the count that the target has."""

    def change(module, output):
        if module.passes == 1:
            module.num_batches_tracked += 5
        return output

    quantities = {each[1] for each in found(changed(change), case(TRAIN, TRAIN, momentum=None))}

    assert quantities == {"num_batches_tracked"}


class ForgetsAnUpdate(BatchNorm2d):
    """Does not update its statistics in the second train step."""

    passes = 0

    def __call__(self, given):
        """Normalise, and put the statistics back once."""
        self.passes += 1
        kept = self.running_mean.copy(), self.running_var.copy()
        output = super().__call__(given)
        if self.passes == 2:
            self.running_mean[...], self.running_var[...] = kept
        return output


def test_a_mistake_is_blamed_on_the_step_that_made_it_alone():
    """An update forgotten in step 2 of 5 diverges there, and in no step that follows from it."""
    steps = TRAIN, TRAIN, TRAIN, EVAL, TRAIN

    assert found(ForgetsAnUpdate, case(*steps)) == [
        (1, "running_mean", "value", "target"),
        (1, "running_var", "value", "target"),
    ]


def test_a_mistake_in_a_repetition_is_placed_there():
    """A repeated step tells which of its repetitions went wrong."""
    repeated = {"train": {**TRAIN["train"], "repeat": 4}}
    divergences = result(ForgetsAnUpdate, case(repeated)).divergences

    assert {(each.step, each.repetition) for each in divergences} == {(0, 1)}
