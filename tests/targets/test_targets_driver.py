"""What executing a case records, by a torch module and by an array class."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
import torch

from harness.case.layouts import LAYOUTS, describe
from harness.case.model import Case
from harness.reference import BatchNorm2d
from harness.targets import blinded, resolve

torch.set_num_threads(1)

INPUT = {"shape": [4, 2, 3, 3], "fill": "normal", "seed": 1}
TRAIN = {"train": {"input": INPUT}}
EVAL = {"eval": {"input": INPUT}}
ARRAYS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def case(*steps, state=None, **module):
    """Return a case of a module with two channels."""
    return Case.model_validate(
        {
            "id": "tried",
            "why": "to see what is recorded.",
            "module": {"num_features": 2, **module},
            "state": state or {},
            "steps": list(steps),
        }
    )


@pytest.fixture(params=["torch", "reference"])
def target(request):
    """Return a torch module, and an array class."""
    return resolve(request.param)


def states(target, *steps, **more):
    """Return the state after each execution of a step."""
    return [step.state for step in target.execute(case(*steps, **more)).steps]


def test_initial_state_is_what_the_case_gives(target):
    """The trace starts with the case's own arrays, the rest as the constructor leaves it."""
    given = {"weight": [2, 3], "running_var": [4, 5], "num_batches_tracked": 7}
    initial = target.execute(case(state=given)).initial

    assert {name: initial[name].tolist() for name in ARRAYS} == {
        "weight": [2, 3],
        "bias": [0, 0],
        "running_mean": [0, 0],
        "running_var": [4, 5],
        "num_batches_tracked": 7,
    }


def test_arrays_that_a_module_lacks_are_none(target):
    """Without affine and tracking every array of the state is None."""
    initial = target.execute(case(affine=False, track_running_stats=False)).initial

    assert initial == dict.fromkeys(ARRAYS)


def test_train_steps_move_the_state_and_eval_steps_do_not(target):
    """Each train step counts itself and changes the mean; an eval step leaves both."""
    first, second, third = states(target, TRAIN, TRAIN, EVAL)

    counts = [int(state["num_batches_tracked"]) for state in (first, second, third)]
    assert counts == [1, 2, 2]
    assert not np.array_equal(first["running_mean"], second["running_mean"])
    assert np.array_equal(second["running_mean"], third["running_mean"])


def test_states_of_steps_are_copies(target):
    """A later step does not change what an earlier one has recorded."""
    alone, together = states(target, TRAIN), states(target, TRAIN, TRAIN)

    assert np.array_equal(alone[0]["running_var"], together[0]["running_var"])


def test_repetitions_are_recorded_one_by_one(target):
    """A step repeated three times gives three records, with the same data each."""
    trace = target.execute(case({"train": {"input": INPUT, "repeat": 3}}))

    places = [(step.step, step.repetition) for step in trace.steps]
    outputs = [step.results["output"] for step in trace.steps]
    assert places == [(0, 0), (0, 1), (0, 2)]
    assert np.array_equal(outputs[0], outputs[2])


def test_gradients_are_recorded_where_they_are_asked_for(target):
    """A step with grad_output records all gradients; one without records the output alone."""
    trace = target.execute(
        case({"train": {"input": INPUT, "grad_output": {"fill": "ones"}}}, TRAIN)
    )

    shapes = {name: array.shape for name, array in trace.steps[0].results.items()}
    assert shapes == {
        "output": (4, 2, 3, 3),
        "grad_input": (4, 2, 3, 3),
        "grad_weight": (2,),
        "grad_bias": (2,),
    }
    assert list(trace.steps[1].results) == ["output"]


def test_gradients_of_absent_parameters_are_none(target):
    """Without affine there are gradients by the input alone."""
    step = {"train": {"input": INPUT, "grad_output": {"fill": "ones"}}}
    results = target.execute(case(step, affine=False)).steps[0].results

    assert results["grad_weight"] is None
    assert results["grad_bias"] is None


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("running_mean", [5, 6], [5, 6]),
        ("running_mean", {"parameter": [5, 6]}, [5, 6]),
        ("weight", [5, 6], [5, 6]),
        ("weight", {"fill": "ones"}, [1, 1]),
        ("bias", None, None),
        ("running_var", None, None),
        ("num_batches_tracked", 9, 9),
    ],
)
def test_set_assigns_arrays_parameters_and_none(target, name, value, expected):
    """A set step assigns what the case spells to an attribute."""
    (state,) = states(target, {"set": {name: value}})

    found = state[name]
    assert (None if found is None else found.tolist()) == expected


def test_set_assigns_scalars(target):
    """Momentum 1 after a set step makes the mean that of the batch."""
    given = {"train": {"input": {"shape": [4, 2, 3, 3], "fill": "ones"}}}
    _, state = states(target, {"set": {"momentum": 1, "eps": 0.5}}, given)

    assert state["running_mean"].tolist() == [1, 1]


def test_call_resets(target):
    """reset_running_stats puts the statistics back, reset_parameters the weight too."""
    given = {"weight": [2, 3], "running_mean": [4, 5], "num_batches_tracked": 6}
    resets = [{"call": "reset_running_stats"}, {"call": "reset_parameters"}]
    first, second = states(target, *resets, state=given)

    assert (first["running_mean"].tolist(), int(first["num_batches_tracked"])) == ([0, 0], 0)
    assert (first["weight"].tolist(), second["weight"].tolist()) == ([2, 3], [1, 1])


def test_deepcopy_goes_on_with_the_copy(target):
    """A deep copy carries the state over, and trains on as the original would."""
    copied = states(target, TRAIN, {"call": "deepcopy"}, TRAIN)
    original = states(target, TRAIN, TRAIN)

    assert np.array_equal(copied[2]["running_var"], original[1]["running_var"])


def test_cast_changes_the_state_and_the_inputs_that_spell_no_type(target):
    """After a cast to float64 the state is float64, and so is the next input and its output."""
    trace = target.execute(case({"cast": "float64"}, TRAIN))

    assert trace.steps[0].state["running_mean"].dtype == np.float64
    assert trace.steps[0].state["num_batches_tracked"].dtype == np.int64
    assert trace.steps[1].results["output"].dtype == np.float64


def test_save_and_load_bring_a_state_back(target):
    """What is saved before a train step is there again after loading it."""
    steps = {"save": "before"}, TRAIN, {"load": {"from": "before"}}
    trace = target.execute(case(*steps, state={"running_mean": [4, 5]}))

    assert list(trace.steps[0].saved) == list(ARRAYS)
    assert trace.steps[2].raised is None
    assert trace.steps[2].state["running_mean"].tolist() == [4, 5]
    assert int(trace.steps[2].state["num_batches_tracked"]) == 0


def test_loading_without_a_key_raises_if_strict(target):
    """A dropped key is a RuntimeError with strict, and passes without."""
    loads = [
        {"load": {"from": "it", "drop": ["running_mean"], "strict": strict}}
        for strict in (True, False)
    ]
    trace = target.execute(case({"save": "it"}, *loads))

    assert trace.steps[1].raised.type == "RuntimeError"
    assert trace.steps[1].raised.phase == "load"
    assert trace.steps[2].raised is None


def test_loading_takes_added_keys(target):
    """An added key replaces what was saved."""
    load = {"load": {"from": "it", "add": {"running_mean": [8, 9]}}}
    _, state = states(target, {"save": "it"}, load)

    assert state["running_mean"].tolist() == [8, 9]


def test_an_unversioned_state_dict_may_lack_the_counter(target):
    """Without its version a state_dict is of the format before num_batches_tracked."""
    drop = ["num_batches_tracked"]
    loads = [
        {"load": {"from": "it", "drop": drop, "versioned": versioned}}
        for versioned in (True, False)
    ]
    trace = target.execute(case({"save": "it"}, *loads))

    assert trace.steps[1].raised.type == "RuntimeError"
    assert trace.steps[2].raised is None


def test_after_an_error_the_rest_of_the_steps_run(target):
    """A train step on a single value raises, and the eval step after it still runs."""
    single = {"train": {"input": {"shape": [1, 2, 1, 1], "fill": "ones"}}}
    trace = target.execute(case(single, EVAL))

    assert (trace.steps[0].raised.phase, trace.steps[0].raised.type) == ("forward", "ValueError")
    assert "more than 1 value" in trace.steps[0].raised.message
    assert trace.steps[1].results["output"].shape == (4, 2, 3, 3)


def test_errors_of_the_constructor_end_the_trace(target):
    """A constructor that raises leaves an error and no steps."""
    wrong = Case.model_validate(
        {"id": "wrong", "why": "-1.", "module": {"num_features": -1}, "steps": [EVAL]}
    )
    trace = target.execute(wrong)

    assert trace.raised.phase == "construct"
    assert trace.steps == ()


@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "transposed", "sliced"])
def test_layouts_reach_the_module(target, layout):
    """The layout that is recorded of an output is one that the output has."""
    trace = target.execute(case({"eval": {"input": {**INPUT, "layout": layout}}}))

    step = trace.steps[0]
    assert step.layouts["output"] == describe(step.results["output"])
    assert ("channels_last" in step.layouts["output"]) == (layout == "channels_last")


def test_expanded_inputs_reach_torch_with_their_strides():
    """An input that repeats one sample in memory is normalised like its copy."""
    expanded = case({"train": {"input": {**INPUT, "layout": "expanded"}}})
    steps = [resolve(name).execute(expanded).steps[0] for name in ("torch", "reference")]

    assert np.allclose(steps[0].results["output"], steps[1].results["output"], atol=1e-5)
    assert np.array_equal(steps[0].results["output"][0], steps[0].results["output"][1])


def test_bfloat16_goes_in_and_out(target):
    """A bfloat16 case has bfloat16 state, outputs and gradients."""
    step = {"train": {"input": INPUT, "grad_output": {"fill": "ones"}}}
    trace = target.execute(case(step, dtype="bfloat16"))

    arrays = [*trace.steps[0].results.values(), trace.initial["weight"]]
    assert {array.dtype for array in arrays} == {np.dtype(ml_dtypes.bfloat16)}


def test_bfloat16_bits_survive_the_way_through_torch():
    """In bfloat16 a weight of 1.5 and a bias of 2 come back to the bit."""
    state = {"weight": [1.5, 1.5], "bias": [2, -2]}
    initial = resolve("torch").execute(case(state=state, dtype="bfloat16")).initial

    assert initial["weight"].astype(float).tolist() == [1.5, 1.5]
    assert initial["bias"].astype(float).tolist() == [2, -2]


class WritesIntoItsInput(BatchNorm2d):
    """Spoils what it is given."""

    def __call__(self, given):
        """Normalise, and write zeros into the input."""
        output = super().__call__(given)
        given[...] = 0
        return output


def test_a_target_that_writes_into_its_input_is_recorded():
    """Writing into the input is seen, and in no other target's trace."""
    wanted = case(TRAIN, TRAIN)
    before = resolve("torch").execute(wanted)
    spoilt = resolve(WritesIntoItsInput).execute(wanted)
    after = resolve("torch").execute(wanted)

    assert [step.input_changed for step in spoilt.steps] == [True, True]
    assert [step.input_changed for step in after.steps] == [False, False]
    assert np.array_equal(before.steps[1].results["output"], after.steps[1].results["output"])


class TwoGradients(BatchNorm2d):
    """Forgets the gradient of the bias."""

    def backward(self, grad_output):
        """Return two of three."""
        return super().backward(grad_output)[:2]


class NoTensor(torch.nn.BatchNorm2d):
    """Gives more than the output."""

    def forward(self, given):
        """Return a pair."""
        return super().forward(given), self.running_mean


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (TwoGradients, "backward gives no tuple of grad_input, grad_weight, grad_bias"),
        (NoTensor, "the output is no tensor but tuple"),
    ],
)
def test_what_a_target_returns_is_told_where_it_is_of_another_kind(wrong, message):
    """An adapter's slip is a TypeError that says what is expected."""
    asks = {"train": {"input": INPUT, "grad_output": {"fill": "ones"}}}
    (step,) = resolve(wrong).execute(case(asks)).steps

    assert (step.raised.type, step.raised.message) == ("TypeError", message)


class WritesIntoItsGradient(BatchNorm2d):
    """Spoils the gradient of its output, and takes the step as an error."""

    def backward(self, grad_output):
        """Write into the gradient and refuse it."""
        grad_output[...] = 0
        raise RuntimeError("spoilt")


def test_a_target_that_writes_into_the_output_gradient_is_recorded():
    """Writing into grad_output is seen where backward raises, too, and in no later step."""
    asked = {"input": INPUT, "grad_output": {"fill": "normal", "seed": 2}}
    wanted = case({"train": asked}, {"eval": asked})
    spoilt = resolve(WritesIntoItsGradient).execute(wanted)
    after = resolve("reference").execute(wanted)

    assert [step.input_changed for step in spoilt.steps] == [True, True]
    assert [step.raised.phase for step in spoilt.steps] == ["backward", "backward"]
    assert [step.input_changed for step in after.steps] == [False, False]


@pytest.mark.parametrize("fill", ["normal", "proportional"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_step_gets_arrays_of_its_own_that_may_be_written_into(layout, fill):
    """What a module is given is writable, as the case spells it, and no two share memory."""
    given = []

    class Keeps(BatchNorm2d):
        def __call__(self, x):
            given.append(x)
            return super().__call__(x)

        def backward(self, grad_output):
            given.append(grad_output)
            return super().backward(grad_output)

    asked = {"input": {**INPUT, "layout": layout}, "grad_output": {"fill": fill}}
    wanted = case({"train": {**asked, "repeat": 2}})
    for _ in range(2):
        resolve(Keeps).execute(wanted)
    kept = [array.tobytes() for array in given[:2]]
    for array in given[:2]:
        array[...] = 0
    strides = wanted.steps[0].forward.input.array().strides

    assert all(array.flags.writeable for array in given)
    assert [array.strides for array in given[::2]] == [strides] * 4
    assert [array.tobytes() for array in given[2:]] == kept * 3


def test_a_module_of_torch_is_read_as_its_attributes_are():
    """A buffer that has become a parameter, and one that is gone, are what the state shows."""
    steps = {"set": {"running_mean": {"parameter": [3, 4]}, "running_var": None}}
    first = resolve("torch").execute(case(steps)).steps[0].state
    subclass = resolve(type("Same", (torch.nn.BatchNorm2d,), {})).execute(case(steps))

    assert first["running_mean"].tolist() == [3, 4]
    assert first["running_var"] is None
    assert repr(first) == repr(subclass.steps[0].state)


def test_torch_that_works_in_place_is_recorded():
    """A module that normalises in place has changed its input."""

    class InPlace(torch.nn.BatchNorm2d):
        def forward(self, given):
            return given.copy_(super().forward(given))

    trace = resolve(InPlace).execute(case(EVAL, state={"running_mean": [1, 2]}))

    assert trace.steps[0].input_changed


def test_targets_see_no_expectations():
    """What a target may see of a case has no published number and no expected error."""
    told = Case.model_validate(
        {
            "id": "told",
            "why": "all kinds of expectations.",
            "module": {"num_features": 2},
            "raises": {"type": "ValueError"},
            "steps": [
                {"train": {"input": INPUT, "raises": {"type": "ValueError"}}},
                {"set": {"eps": 1}, "raises": {"type": "TypeError"}},
                {"save": "it"},
                {"load": {"from": "it", "raises": {"type": "KeyError"}}},
            ],
            "expect": [{"after": 1, "running_mean": [1, 2]}],
        }
    )
    seen = blinded(told).model_dump_json(exclude_none=True)

    assert "raises" not in seen
    assert "Error" not in seen
    assert blinded(told).expect == ()
