"""A case as a value: what it accepts, that it is frozen, and that it can be written."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from reading import HEAD, item, items, mistakes, only_mistake

from harness.case.arrays import BUDGET, FILLED
from harness.case.model import Case, Forward, Load, ModuleConfig, State
from harness.case.suite import load
from harness.case.writer import to_yaml
from harness.targets.base import blinded

STEP = HEAD + "  steps:\n    - "
INPUT = STEP + "eval: {input: "
ONES = "{shape: [2, 2, 1, 1], fill: ones}"


@pytest.mark.parametrize(
    ("array", "message"),
    [
        ("{shape: [2, -1], fill: ones}", "expected at least 0, found -1"),
        ("{shape: [2, 1.5], fill: ones}", "expected an integer, found 1.5"),
        ("{shape: [2, .nan], fill: ones}", "expected an integer, found .nan"),
        ("{shape: [2, true], fill: ones}", "expected an integer, found true"),
        ("{shape: [1,1,1,1,1,1,1,1,1], fill: ones}", "expected a list of at most 8, found 9"),
        (
            "{shape: [65536, 65536], fill: ones}",
            f"a shape of 4294967296 elements is over the budget of {BUDGET}",
        ),
        (
            "{shape: [0, 134217728, 134217728], fill: ones}",
            f"a shape of 18014398509481984 elements is over the budget of {BUDGET}",
        ),
        ("{values: [[1, 2], [3]]}", "this has shape [1], the first of its list [2]"),
        ("{values: [1, [2]]}", "this has shape [1], the first of its list []"),
        ("{values: [[1, x]]}", "expected a number, found 'x'"),
        ("{values: [null]}", "expected a number, found null"),
        ("{values: [[[[[[[[[1]]]]]]]]]}", "lists nested deeper than 8 levels"),
        ("{values: [1, 2, 3], shape: [2, 2]}", "shape [2, 2] does not fit values of shape [3]"),
        (
            "{shape: [2, 3], fill: ones, layout: channels_last}",
            "the layout 'channels_last' is not for the 2 axes of shape [2, 3]",
        ),
        (
            "{shape: [], fill: ones, layout: sliced}",
            "the layout 'sliced' is not for the 0 axes of shape []",
        ),
        (
            "{shape: [2, 3, 1, 1], fill: special, index: 2}",
            "index 2 is outside a channel of 2 values in shape [2, 3, 1, 1]",
        ),
        (
            "{shape: [2, 3, 1, 1], fill: special, channel: 3}",
            "channel 3 is outside the 3 channels of shape [2, 3, 1, 1]",
        ),
        (
            "{shape: [2, 3, 1, 1], fill: proportional}",
            "the fill 'proportional' is for a grad_output in the shape of the input",
        ),
    ],
)
def test_arrays(array, message):
    """An array that could not be drawn is refused before anything is."""
    assert only_mistake(INPUT + array + "}\n") == message


@pytest.mark.parametrize("rank", range(9))
def test_ranks(rank):
    """An input may have up to eight axes."""
    case = item(INPUT + f"{{shape: {[1] * rank}, fill: ones}}}}\n")

    assert case.steps[0].forward.input.array().shape == (1,) * rank


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("  state: {weight: [1, 2, 3]}\n", "expected shape [2], one number for each channel"),
        ("  state: {weight: 3}\n", "expected shape [2], one number for each channel, found []"),
        ("  state: {weight: {fill: ones, layout: transposed}}\n", "is not for the 1 axes"),
        ("  state: {weight: {fill: special, index: 9}}\n", "index 9 is outside a channel"),
        ("  since: '2.1'\n  before: '2.1'\n", "no version of torch is from 2.1 on and before 2.1"),
        ("  steps:\n    - load: {from: a}\n    - save: a\n", "no earlier step saves 'a'"),
        ("  steps:\n    - set: {weight: {fill: special, index: 9}}\n", "index 9 is outside"),
        (
            "  steps:\n    - save: a\n    - load: {from: a, add: {b: {fill: proportional}}}\n",
            "is for",
        ),
        ("  expect: [{after: 1, weight: [1, 1]}]\n", "there are no steps; only after: 0 is left"),
        ("  expect: [{after: 0}]\n", "an expectation names at least one quantity"),
        (
            "  expect: [{after: 0, in_place: [weight]}]\n",
            "before the first step nothing is written",
        ),
        ("  expect: [{after: 0, in_place: []}]\n", "an expectation names at least one quantity"),
        ("  expect: [{after: 0, output: [1]}]\n", "no output but after a train or eval step"),
        ("  expect: [{after: 0, weight: [1, 1], repetition: 1}]\n", "step 0 is none"),
        ("  expect: [{after: 0, weight: [[1], 2]}]\n", "this has shape []"),
        (
            f"  steps:\n    - eval: {{input: {ONES}}}\n  expect: [{{after: 1, grad_input: 1}}]\n",
            "there is no grad_input unless the step has a grad_output",
        ),
        (
            "  expect: [{after: 0, weight: [1, 2, 3]}]\n",
            "expected shape [2], one number for each channel, found [3]",
        ),
        (
            f"  steps:\n    - eval: {{input: {ONES}}}\n  expect: [{{after: 1, output: [1]}}]\n",
            "as the input, found [1]",
        ),
        (
            "  steps: [{set: {eps: 1, weight: {values: [[1, 2, 3]]}}}, {set: {weight: [1]}}]\n"
            "  expect: [{after: 2, weight: [1, 2, 3]}]\n",
            "expected shape [1] or [1, 3] or [2], one number for each channel, found [3]",
        ),
        (
            "  steps: [{set: {bias: [1, 2, 3]}}, {save: it}, {load: {from: it}}]\n"
            "  expect: [{after: 3, running_mean: [1, 2, 3]}]\n",
            "expected shape [2], one number for each channel, found [3]",
        ),
        (
            f"  steps:\n    - eval: {{input: {ONES}}}\n  expect: [{{after: 2, output: [1]}}]\n",
            "there is no step 2; the steps are 1 to 1",
        ),
        (
            f"  steps:\n    - eval: {{input: {ONES}, repeat: 2}}\n"
            "  expect: [{after: 1, weight: [1, 1], repetition: 3}]\n",
            "step 1 is executed 2 times",
        ),
    ],
)
def test_parts_fit(lines, message):
    """What cannot go together in one case is told when it is read."""
    assert message in only_mistake(HEAD + lines)


def test_published_numbers_of_what_was_assigned():
    """What a `set` step assigns may have any shape, and so may what is published of it."""
    text = HEAD + "  steps:\n    - set: {bias: 3.0}\n    - set: {weight: [1.0]}\n"

    assert mistakes(text + "  expect: [{after: 2, weight: [1.0]}]\n") == []


def test_absent_state():
    """State for an array that the constructor does not make is refused."""
    text = HEAD.replace("2}", "2, affine: false}") + "  state: {weight: [1, 2]}\n"

    assert only_mistake(text).startswith("the module has no weight with these constructor")


def test_no_state():
    """Null where an array is to be is refused: the module has one all the same."""
    text = HEAD + "  state: {weight: null}\n"

    assert only_mistake(text) == "the module has its own weight; detach it by a set step"


def test_sum_of_steps():
    """The steps of a case, each repetition counted, share one budget."""
    step = "    - train: {input: {shape: [8192, 8192], fill: ones}, grad_output: {fill: ones}}\n"

    assert mistakes(HEAD + "  steps:\n" + step) == []
    assert "the budget is 134217728" in only_mistake(HEAD + "  steps:\n" + step * 2)


def test_misfits_together():
    """All that does not fit is told at once, each at its place."""
    text = HEAD + "  state: {bias: [1]}\n  steps:\n    - load: {from: a}\n  expect: [{after: 9}]\n"

    assert [found.split(" ")[0] for found in mistakes(text)] == ["4:17:", "6:20:", "7:12:", "7:20:"]


def test_lone_number_is_an_array():
    """`values` with a number alone is an array of rank 0, wherever it stands."""
    array = item(INPUT + "{values: 3}}\n").steps[0].forward.input

    assert array.array((2,)).shape == ()


def test_values_and_zeros_keep_their_sign():
    """Equal recipes that differ in the sign of a zero draw each its own."""
    cases = items(
        "".join(
            HEAD.replace("id: a", f"id: a{sign}") + f"  state: {{weight: {{fill: constant, value: "
            f"{sign}0.0}}}}\n"
            for sign in ("", "-")
        )
    )
    signs = [np.signbit(case.state.weight.array((2,))).any() for case in cases]

    assert signs == [False, True]


def test_array_is_fresh():
    """Writing into an array that a case gave away changes no later one."""
    array = item(HEAD + "  state: {weight: {fill: ones}}\n").state.weight
    array.array((2,))[...] = 7

    assert array.array((2,)).tolist() == [1, 1]


def test_executions():
    """Executions are the steps in order, a repeated one as often as it says."""
    case = item(STEP + f"train: {{input: {ONES}, repeat: 2}}\n    - save: a\n")

    assert [(i, r, s.kind) for i, r, s in case.executions()] == [
        (0, 0, "train"),
        (0, 1, "train"),
        (1, 0, "save"),
    ]


FULL = f"""\
- id: full
  why: "every kind of step: 'quoted', # and all"
  source: https://example.org
  tags: [a, b]
  since: '2.1'
  before: '3'
  module: {{num_features: 2, momentum: null, eps: 1e-30, dtype: float64, bias: true}}
  state: {{running_mean: [.nan, -0.0], weight: {{fill: uniform, seed: 3}}, num_batches_tracked: 3}}
  steps:
    - train: {{input: {ONES}, grad_output: {{fill: normal, exponent: -3}}, repeat: 3}}
    - eval: {{input: {{values: [[[[1, true]], [[.inf, -.inf]]]], dtype: float16, layout: sliced}}}}
    - set: {{track_running_stats: false, running_mean: null, momentum: 1, bias: [1, 2]}}
    - set: {{running_var: {{parameter: [0, 0]}}}}
      raises: {{type: TypeError}}
    - set: {{weight: {{parameter: {{fill: ones, shape: [3]}}}}, num_batches_tracked: 7}}
    - call: reset_parameters
    - cast: bfloat16
    - save: on
    - load: {{from: on, drop: [weight], add: {{weight: [1, 2], x: 3}}, strict: false}}
    - load: {{from: on, versioned: false, raises: {{type: E, match: 'a\\d'}}}}
    - backward: {{of: 2, grad_output: {{fill: one_hot}}, raises: {{type: RuntimeError}}}}
  expect:
    - {{after: 1, repetition: 2, running_mean: [1, 2.5], grad_weight: null, within: 5e-5}}
  raises: {{type: ValueError}}
"""


def test_unchangeable():
    """No part of a case can be changed."""
    case = item(FULL)
    with pytest.raises(ValidationError):
        case.id = "b"
    with pytest.raises(ValidationError):
        case.steps[0].forward.repeat = 2
    with pytest.raises(TypeError, match="a case cannot be changed"):
        case.steps[8].load.add["weight"] = 3

    assert isinstance(case.expect[0].running_mean, tuple)


def test_equal_by_value():
    """Cases that are read apart are equal, have one hash, and survive a copy."""
    one, other = item(FULL), item(FULL)

    assert one == other
    assert len({one, other, copy.deepcopy(one)}) == 1
    assert repr(pickle.loads(pickle.dumps(one))) == repr(one)  # noqa: S301 - made here


def test_a_changed_copy_is_worked_out_anew():
    """What was drawn of a recipe, or spelled of a module, is not that of a copy that differs."""
    one = item(FULL)
    spec = next(
        step.forward.input for step in one.steps if step.forward and step.forward.input.shape
    )
    spec.array()
    assert one.module.arguments()
    wider = spec.model_copy(update={"shape": (*spec.shape[:3], spec.shape[3] + 1)})
    module = one.module.model_copy(update={"eps": 0.25})

    assert wider.array().shape == wider.shape
    assert module.arguments()["eps"] == 0.25


def test_without_expectations():
    """What a target sees has no expectation, those of steps included, and is the same otherwise."""
    full = item(FULL)
    seen = blinded(full)
    pairs = list(zip(seen.steps, full.steps, strict=True))

    assert (seen.expect, seen.raises) == ((), None)
    assert not any(step.expected_error for step in seen.steps)
    assert [one.kind for one, _ in pairs] == [other.kind for _, other in pairs]
    assert all(one == other for one, other in pairs if other.expected_error is None)


def test_round_trip_of_everything():
    """A case with every kind of step is written so that reading gives an equal one."""
    case = item(FULL)
    again = item(to_yaml([case]))

    assert again == case
    assert repr(again) == repr(case)
    assert again.module.arguments() == case.module.arguments()


def test_round_trip_of_the_suite():
    """The first case of every fourth entry of the shipped suite survives being written."""
    cases = [next(entry.cases()) for entry in load().entries[::4]]

    assert items(to_yaml(cases)) == cases


def test_written_as_by_hand():
    """A case is written a line for each step, arrays of the state as plain lists."""
    text = """\
- id: a
  why: because.
  module: {num_features: 2}
  state: {weight: [1, 2]}
  steps:
    - train: {input: {shape: [2, 2, 1, 1], fill: normal, seed: 1}}
    - set: {running_mean: [0, 0]}
    - save: x
  expect:
    - {after: 1, weight: [1, 2]}
"""

    assert to_yaml([item(text)]) == text


def test_written_nothing():
    """No cases are a file without cases."""
    assert items(to_yaml([])) == []


NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats() | st.booleans()


@settings(max_examples=150, deadline=None)
@given(
    why=st.text(st.characters(codec="utf-8"), min_size=1),
    tags=st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=9), max_size=3),
    weight=st.tuples(NUMBERS, NUMBERS),
    momentum=NUMBERS | st.none(),
)
@example(why="?", tags=["?0"], weight=(0, 0), momentum=None)
def test_round_trip(why, tags, weight, momentum):
    """Whatever text and numbers a case holds, it is read as it was written."""
    case = Case(
        id="a",
        why=why,
        tags=tuple(tags),
        module=ModuleConfig(num_features=2, momentum=momentum),
        state=State.model_validate({"weight": weight}),
        steps=({"train": Forward.model_validate({"input": {"values": [weight]}})},),
    )

    assert repr(item(to_yaml([case]))) == repr(case)


def test_load_is_hashable():
    """A load step with keys to add has a hash."""
    one, other = (Load.model_validate({"from": "a", "add": {"x": [1]}}) for _ in range(2))

    assert hash(one) == hash(other)


@pytest.mark.parametrize("shape", [(2, 2, 3, 3), (1, 1, 300, 300)])
def test_an_array_is_drawn_once_and_never_given_away(shape):
    """The next that asks for an array gets the same, read-only; one to write into is fresh."""
    spec = FILLED["normal"].model_validate({"fill": "normal", "seed": 3})
    kept = spec.dense(shape, "float32")

    assert spec.dense(shape, "float32") is kept
    assert not kept.flags.writeable
    fresh = spec.array(shape, "float32")
    fresh[...] = 0
    assert np.array_equal(spec.dense(shape, "float32"), kept)
    assert kept.any()
