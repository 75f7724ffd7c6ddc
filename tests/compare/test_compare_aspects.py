"""One planted difference of each kind is found, where it is and as what it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from planted import EVAL, GRADIENTS, INPUT, STATE, TRAIN, case, changed, found, result

from harness.reference import BatchNorm2d


def test_without_a_mistake_nothing_is_found():
    """The reference agrees in every kind of step, and torch with itself bit for bit."""
    steps = (
        *(TRAIN, GRADIENTS, EVAL),
        *({"save": "it"}, TRAIN, {"load": {"from": "it"}}),
        *({"cast": "float64"}, TRAIN, {"call": "reset_running_stats"}, EVAL),
    )

    assert result(BatchNorm2d, case(*steps)).verdict == "agree"
    assert result(torch.nn.BatchNorm2d, case(*steps)).bitwise_equal


@pytest.mark.parametrize("step", [TRAIN, EVAL])
def test_a_wrong_number_is_found(step):
    """An output a thousandth off is outside its bound."""
    off = changed(lambda _, output: output * np.float32(1.001))

    assert found(off, case(step)) == [(0, "output", "value", "target")]


def test_a_number_is_shown_with_its_place_and_size():
    """A divergence has the element's index, the exact value, and the error in every unit."""

    def change(_, output):
        output[1, 0, 2, 1] += 1
        return output

    (divergence,) = result(changed(change), case(TRAIN)).divergences

    assert divergence.index == [1, 0, 2, 1]
    assert divergence.count == 1
    assert divergence.abs == pytest.approx(1, rel=1e-3)
    assert divergence.actual == pytest.approx(divergence.exact + 1, rel=1e-5)
    assert divergence.expected == pytest.approx(divergence.exact, rel=1e-5)
    assert divergence.ratio > 1000
    assert divergence.ulp > 1000


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_special_value_is_found(value):
    """A nan or an infinity in place of a number is a divergence, shown by its name."""

    def change(_, output):
        output[0, 0, 0, 0] = value
        return output

    (divergence,) = result(changed(change), case(TRAIN)).divergences

    assert divergence.actual == str(value)


def test_a_wrong_type_is_found():
    """An output in float64 for a float32 module differs in its dtype."""
    wide = changed(lambda _, output: output.astype(np.float64))

    assert (0, "output", "dtype", "target") in found(wide, case(TRAIN))


def test_a_wrong_shape_is_found():
    """An output with an axis too many differs in its shape, and is not judged by its numbers."""
    more = changed(lambda _, output: output[None])

    assert found(more, case(TRAIN)) == [(0, "output", "shape", "target")]


def test_an_absent_gradient_is_found():
    """A gradient that is None where torch has one differs in its presence."""

    class NoBias(BatchNorm2d):
        def backward(self, grad_output):
            return *super().backward(grad_output)[:2], None

    assert found(NoBias, case(GRADIENTS)) == [(0, "grad_bias", "presence", "target")]


def test_a_surplus_gradient_is_found():
    """A gradient where torch has none differs in its presence."""

    class Bias(BatchNorm2d):
        def backward(self, grad_output):
            return *super().backward(grad_output)[:2], np.zeros(2, np.float32)

    assert found(Bias, case(GRADIENTS, affine=False, state={})) == [
        (0, "grad_bias", "presence", "target")
    ]


def test_a_wrong_layout_is_found():
    """An output that is contiguous for a channels_last input differs in its layout."""
    step = {"eval": {"input": {**INPUT, "layout": "channels_last"}}}
    dense = changed(lambda _, output: np.ascontiguousarray(output))

    assert found(dense, case(step)) == [(0, "output", "layout", "target")]


def test_a_change_of_state_in_evaluation_is_found():
    """A target that updates its mean in an eval step has changed its state."""

    def change(module, output):
        if not module.training:
            module.running_mean += 1
        return output

    assert found(changed(change), case(TRAIN, EVAL)) == [(1, "running_mean", "state", "target")]


def test_a_lost_count_is_found():
    """A target that counts only every other batch is found where it forgets, and only there."""

    def change(module, output):
        if module.passes == 2:
            module.num_batches_tracked -= 1
        return output

    assert found(changed(change), case(TRAIN, TRAIN, TRAIN)) == [
        (1, "num_batches_tracked", "state", "target")
    ]


def test_a_changed_input_is_found():
    """A target that writes into its input diverges, though all its numbers are right."""

    class Writes(BatchNorm2d):
        def __call__(self, given):
            output = super().__call__(given)
            given[0, 0, 0, 0] = 0
            return output

    assert found(Writes, case(TRAIN)) == [(0, "input", "input", "target")]


@pytest.mark.parametrize(
    ("name", "value"), [("running_var", 0), ("weight", 2), ("num_batches_tracked", 1)]
)
def test_a_wrong_initial_state_is_found(name, value):
    """What a constructor leaves behind is compared before the first step."""

    class Starts(BatchNorm2d):
        def __init__(self, *arguments, **named):
            super().__init__(*arguments, **named)
            getattr(self, name)[...] = value

    assert found(Starts, case(EVAL, state={}))[0] == (-1, name, "state", "target")


@pytest.mark.parametrize("name", ["bias", "running_mean"])
def test_an_absent_array_is_found(name):
    """A target without a bias, or a buffer, differs before the first step."""

    class Lacks(BatchNorm2d):
        def __init__(self, *arguments, **named):
            super().__init__(*arguments, **named)
            setattr(self, name, None)

    assert found(Lacks, case(TRAIN, state={}))[0] == (-1, name, "presence", "target")


@pytest.mark.parametrize("kind", [np.uint8, np.longdouble])
def test_an_output_of_another_type_is_found_and_still_compared(kind):
    """Two outputs of one byte, or more than eight, an element are compared like others."""

    class One(BatchNorm2d):
        def __call__(self, given):
            return super().__call__(given).astype(kind)

    class Other(One):
        pass

    made = case(TRAIN)

    assert found(One, made)[0] == (0, "output", "dtype", "target")
    assert result(Other, made, against=One).verdict == "agree"


SINGLE = {"train": {"input": {"shape": [1, 2, 1, 1], "fill": "ones"}}}
RAISING = {
    "train": {
        "input": {"shape": [1, 2, 1, 1], "fill": "ones"},
        "raises": {"type": "ValueError", "match": "more than 1 value"},
    }
}


def raising(error):
    """Return the reference with an error of its own for batches of a single value."""

    class Raises(BatchNorm2d):
        def __call__(self, given):
            if given.size == 2 and error is not None:
                raise error
            return given if given.size == 2 else super().__call__(given)

    return Raises


@pytest.mark.filterwarnings("ignore:.* refuses ")
@pytest.mark.parametrize(
    ("error", "step", "aspects"),
    [
        (ValueError("Expected more than 1 value"), RAISING, []),
        (ValueError("in my own words"), SINGLE, []),
        (ValueError("in my own words"), RAISING, ["published"]),
        (RuntimeError("more than 1 value"), SINGLE, ["error"]),
        (RuntimeError("more than 1 value"), RAISING, ["published", "error"]),
        (None, SINGLE, ["error"]),
        (None, RAISING, ["published", "error"]),
    ],
)
def test_errors_are_held_to_their_type_and_the_cases_pattern(error, step, aspects):
    """The type must be torch's, the message what the case asks, and an error may not be missing."""
    made = case(step, state={}, track_running_stats=False)

    assert [aspect for _, _, aspect, _ in found(raising(error), made)] == aspects


def test_an_error_of_the_case_that_neither_raises_is_both_sides():
    """Where target and baseline alike lack what a case raises, it is one divergence of both."""
    wrong = {"train": {**RAISING["train"], "raises": {"type": "TypeError"}}}
    made = case(wrong, state={}, track_running_stats=False)

    assert found(raising(ValueError("Expected more")), made) == [(0, "error", "published", "both")]


def test_an_error_that_torch_does_not_raise_is_found():
    """A target that refuses what torch accepts diverges, with its message."""

    class Refuses(BatchNorm2d):
        def __call__(self, _):
            raise ValueError("not with me")

    (divergence,) = result(Refuses, case(TRAIN)).divergences

    assert (divergence.expected, divergence.actual) == ("no error", "ValueError: not with me")


def test_a_constructor_that_accepts_what_torch_refuses_is_found():
    """num_features = -1 must be refused by the constructor."""

    class Accepts(BatchNorm2d):
        def __init__(self, *_, **__):
            super().__init__(2)

    wrong = case(state={}, num_features=-1, raises={"type": "RuntimeError"})

    assert [each[:3] for each in found(Accepts, wrong)] == [
        (-1, "error", "published"),
        (-1, "error", "error"),
    ]


@pytest.mark.filterwarnings("ignore:.* refuses ")
def test_state_that_an_error_leaves_behind_is_compared():
    """A batch that torch counts and its kernel then refuses must be counted by a target too."""
    wrong = {"train": {"input": {**INPUT, "shape": [4, 3, 3, 3]}}}

    class Uncounted(BatchNorm2d):
        def __call__(self, given):
            before = int(self.num_batches_tracked)
            try:
                return super().__call__(given)
            except Exception:
                self.num_batches_tracked[...] = before
                raise

    assert result(BatchNorm2d, case(wrong)).verdict == "agree"
    assert found(Uncounted, case(wrong)) == [(0, "num_batches_tracked", "state", "target")]


def test_state_dicts_are_compared_by_keys_and_types():
    """A state_dict with a key too many, or an array of another type, diverges."""

    class More(BatchNorm2d):
        def state_dict(self):
            return {**super().state_dict(), "epoch": np.zeros(())}

    class Wide(BatchNorm2d):
        def state_dict(self):
            saved = dict(super().state_dict())
            return {**saved, "weight": saved["weight"].astype(np.float64)}

    assert found(More, case({"save": "it"})) == [(0, "state_dict", "state", "target")]
    assert found(Wide, case({"save": "it"})) == [(0, "state_dict.weight", "dtype", "target")]


@pytest.mark.parametrize(
    ("expected", "verdict", "culprits"), [(4, "agree", []), (9, "diverge", ["both"])]
)
def test_published_numbers_hold_for_both(expected, verdict, culprits):
    """A published number is checked against target and baseline alike."""
    made = case(
        {"train": {"input": {"shape": [4, 2, 3, 3], "fill": "ones"}}},
        state={"num_batches_tracked": 3},
        expect=[{"after": 1, "num_batches_tracked": expected}],
    )
    shown = result(BatchNorm2d, made)

    assert shown.verdict == verdict
    assert [each.culprit for each in shown.divergences if each.aspect == "published"] == culprits


class Doubled(BatchNorm2d):
    """Its output is twice what it should be."""

    def __call__(self, given):
        """Normalise, twice as wide."""
        return super().__call__(given) * 2


ZEROS = {"eval": {"input": {"shape": [1, 2, 1, 1], "fill": "ones"}}}
PUBLISHED = {"after": 1, "output": [[[[1.0]], [[1.0]]]], "within": 1e-4}


@pytest.mark.parametrize(
    ("target", "against", "culprit", "verdict"),
    [
        (Doubled, "torch", "target", "diverge"),
        ("reference", f"{__name__}:Doubled", "baseline", "baseline_inaccurate"),
        ("torch", f"{__name__}:Doubled", "baseline", "baseline_inaccurate"),
    ],
)
def test_a_published_number_blames_who_does_not_hold_it(target, against, culprit, verdict):
    """Who misses a published number is wrong, be it the target or the baseline alone."""
    made = case(ZEROS, state={}, expect=[PUBLISHED])
    published = [each for each in found(target, made, against=against) if each[2] == "published"]

    assert published == [(0, "output", "published", culprit)]
    assert result(target, made, against=against).verdict == verdict


def test_expectations_hold_for_their_versions_only():
    """A published number that holds from torch 99 on, or before torch 1, is not checked."""
    wrong = {"after": 1, "num_batches_tracked": 77}
    for versions in ({"since": "99"}, {"before": "1"}):
        assert result(BatchNorm2d, case(TRAIN, expect=[{**wrong, **versions}])).verdict == "agree"

    assert result(BatchNorm2d, case(TRAIN, expect=[{**wrong, "since": "1"}])).verdict == "diverge"


def test_state_is_not_default_in_these_cases():
    """The planted cases start from a state that a constructor does not leave."""
    left = vars(BatchNorm2d(2))

    assert all((left[name] != values).all() for name, values in STATE.items())
