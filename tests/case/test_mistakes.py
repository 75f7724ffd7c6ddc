"""What a user is told of a mistake: all at once, each with its place, in the format's words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import HEAD, mistakes, only_mistake

from harness.case.document import parse
from harness.case.model import Case
from harness.case.suite import entries_of

STEP = HEAD + "  steps:\n    - "
INPUT = STEP + "train: {input: "
ONES = "{shape: [2, 2, 1, 1], fill: ones}"
MATRIX = "- id: a\n  why: because.\n  matrix: "
LEAKS = ("Input should", "valid", "Model", "Literal", "pydantic", "tuple", "dict", "None", "True")


def test_a_value_that_is_not_there_has_the_place_of_its_key():
    """Nothing behind a key is a mistake of that line, not of the next that has something."""
    assert mistakes(STEP + "train:\n\n\n    - eval: {input: 3}\n")[0].startswith("5:7: expected")


def test_what_stands_behind_a_misspelt_fill_is_read_as_the_nearest():
    """The other mistakes of an array are told with that of its fill."""
    found = mistakes(INPUT + "{fill: nrmal, mean: x, shape: [2, 2, 1, 1]}}\n")

    assert [each.partition(": ")[2] for each in found] == [
        "unknown fill 'nrmal'; did you mean 'normal'?",
        "expected another kind of value, found 'x'",
    ]


def test_all_at_once():
    """Every mistake of every case is told, in the order of the file."""
    text = """\
- id: a b
  why: because.
  modul: {num_features: 2}
- id: b
  why: because.
  module: {num_features: two, momentum: [1]}
  tags: forward
"""

    assert mistakes(text) == [
        "1:3: 'module' is missing",
        "1:7: an id is a word of 1 to 300 characters without spaces and : * ? [ ], found 'a b'",
        "3:3: unknown key 'modul'; did you mean 'module'?",
        "6:26: expected an integer, found 'two'",
        "6:41: expected a number, true or false, or null, found a list",
        "7:9: expected a list, found 'forward'",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 3", "expected a mapping, found 3"),
        ("- ", "expected a mapping, found null"),
        ("- id: a", "'why' and 'module' are missing"),
        (HEAD + "  sorce: x\n", "unknown key 'sorce'; did you mean 'source'?"),
        (HEAD + "  since: 2.1\n", "a version is numbers and dots in quotes, as '2.12', found 2.1"),
        (HEAD + "  state: {wieght: 1}\n", "unknown key 'wieght'; did you mean 'weight'?"),
        (
            STEP + "7\n",
            "a step is one of train, eval, backward, set, call, cast, save, load, found 7",
        ),
        (
            STEP + "trian: {}\n",
            "a step is one of train, eval, backward, set, call, cast, save, load; "
            "did you mean 'train'?",
        ),
        (
            STEP + f"train: {{input: {ONES}}}\n      eval: {{}}\n",
            "'eval' in a step of another kind; begin a step of its own with '-'",
        ),
        (
            STEP + f"train: {{input: {ONES}, eval: 3}}\n",
            "unknown key 'eval'; it belongs inside 'steps'",
        ),
        (
            STEP + f"train: {{input: {ONES}}}\n      raises: {{type: ValueError}}\n",
            "unknown key 'raises'; it belongs inside 'train'",
        ),
        (INPUT + "{fill: ones, repeat: 2}}\n", "unknown key 'repeat'; it belongs beside 'input'"),
        (
            "- id: a\n  why: b.\n  module: {num_features: 2, running_mean: [0, 0]}\n",
            "unknown key 'running_mean'; it belongs inside 'expect', 'set' or 'state'",
        ),
        (
            HEAD + "  expect: [{after: 0, weight: [1, 1], within: .inf}]\n",
            "expected a finite number, found .inf",
        ),
        (HEAD + "  <<: {tags: [a]}\n", "mappings are not merged here; write out the keys"),
        (
            "- id: a\n  why: b.\n  module: {num_features: 2, eps: nan}\n",
            "expected a number, or true or false, found 'nan'; write .nan",
        ),
        (
            "- id: a\n  why: b.\n  module: {num_features: 2, momentum: None}\n",
            "expected a number, true or false, or null, found 'None'; write null",
        ),
        (
            "- id: a\n  why: b.\n  module: {num_features: 2, momentum: '0.1'}\n",
            "expected a number, true or false, or null, found '0.1'; leave out the quotes",
        ),
        (
            "- id: a\n  why: b.\n  matrix: {shape: [[1, 1, 1, 1]], fill: ones}\n  strength: '2'\n",
            "'2' stands in quotes; leave them out",
        ),
        (
            INPUT + "{shape: [1, 1], fill: {fill: ones}}}\n",
            "expected the name of a fill, with its parameters beside it, found a mapping",
        ),
        (
            STEP + f"train: {{input: {ONES}, raises: {{type: builtins.ValueError}}}}\n",
            "an error is named without its module: 'ValueError'",
        ),
        (INPUT + "{values: [1], fill: ones}}\n", "'fill' does not go with 'values'"),
        (
            HEAD + "  matrix: {shape: [[1, 1, 1, 1]], fill: [ones]}\n",
            "'module' does not go with 'matrix'",
        ),
        (STEP + f"train: {{input: {ONES}, repeat: 0}}\n", "expected at least 1, found 0"),
        (INPUT + "3}\n", "expected an array ('values', or 'shape' and 'fill'), found 3"),
        (INPUT + "{shape: [1]}}\n", "an array needs 'values' or a 'fill'"),
        (
            INPUT + "{shape: [1], fil: ones}}\n",
            "an array needs 'values' or a 'fill'; is 'fil' to be 'fill'?",
        ),
        (INPUT + "{fill: ones}}\n", "an input needs a shape"),
        (INPUT + "{fill: nromal}}\n", "unknown fill 'nromal'; did you mean 'normal'?"),
        (INPUT + "{fill: normal, sdt: 3}}\n", "unknown key 'sdt'; did you mean 'std'?"),
        (
            INPUT + "{shape: [2], fill: uniform, low: 3}}\n",
            "low 3.0 is above high 1.0: exchange them",
        ),
        (
            STEP + "call: reset_parameter\n",
            "'reset_parameter' is not one of reset_running_stats, reset_parameters, deepcopy; "
            "did you mean 'reset_parameters'?",
        ),
        (
            STEP + "load: {from: it, drop: [runing_mean]}\n",
            "'runing_mean' is not one of weight, bias, running_mean, running_var, "
            "num_batches_tracked; did you mean 'running_mean'?",
        ),
        (STEP + "set: {eps: abc}\n", "expected a number, true or false, or null, found 'abc'"),
        (
            STEP + "call: deepcopy\n      raises: {type: E, match: '('}\n",
            "'(' is not a regular expression: missing ), unterminated subpattern at position 0",
        ),
        (
            STEP + "call: deepcopy\n      raises: TypeError\n",
            "expected a mapping, as {type: TypeError}, found 'TypeError'",
        ),
        (
            STEP + "call: deepcopy\n      raises: {type: ValueErorr}\n",
            "no error of Python is named 'ValueErorr'; did you mean 'ValueError'?",
        ),
        (
            MATRIX + "{shape: [[2, 3]], fill: ones, moment: 1}\n",
            "unknown key 'moment'; did you mean 'momentum'?",
        ),
        (
            MATRIX + "{shape: [[2, 3]], fill: ones, sequence: TX}\n",
            "a sequence is 1 to 40 letters, T for a train step and E for an eval step, found 'TX'",
        ),
        (
            MATRIX + "{shape: [[2, 3]], fill: ones, momentum: []}\n",
            "expected a list of at least 1, found 0",
        ),
        (MATRIX + "{shape: [[2]], fill: ones}\n  strength: 4\n", "4 is not one of full, 2, 3"),
    ],
)
def test_messages(text, message):
    """A mistake is told in the words of the format, with the nearest right word."""
    assert only_mistake(text) == message


@pytest.mark.parametrize(
    "name", ["OSError", "OutOfMemoryError", "ParseException", "MyValueError", "E"]
)
def test_errors_that_python_lacks_may_be_expected(name):
    """A class of torch, or of a user's own, is no misspelt one of Python."""
    case = Case.model_validate(
        {"id": "a", "why": "b", "module": {"num_features": 1}, "raises": {"type": name}}
    )

    assert case.raises.type == name


def test_one_shape_for_a_list_of_shapes():
    """A shape where shapes are wanted is one mistake, told with the list that was meant."""
    text = MATRIX + "{shape: [2, 3], fill: ones}\n"

    assert mistakes(text) == ["3:19: shapes stand in a list, also a single one: [[2, 3]]"]


@pytest.mark.parametrize(
    ("word", "right"), [("float31", "float32"), ("bloat16", "bfloat16"), ("Float64", "float64")]
)
def test_nearest_dtype(word, right):
    """A misspelled type is told with the nearest one."""
    found = only_mistake(STEP + f"cast: {word}\n")

    assert found.endswith(f"did you mean '{right}'?")


def test_nearest_layout():
    """A misspelled layout is told with the nearest one."""
    found = only_mistake(INPUT + "{shape: [1, 1, 1, 1], fill: ones, layout: chanels_last}}\n")

    assert found.endswith("did you mean 'channels_last'?")


def test_key_named_as_a_kind():
    """A key that is called as the reader's own kinds of item does not draw mistakes to it."""
    found = mistakes(HEAD.replace("why: because.", "why: 3") + "  case: 1\n")

    assert [line.split(":")[0] for line in found] == ["2", "4"]


KEYS = ["id", "why", "tags", "since", "module", "state", "steps", "expect", "raises", "matrix"]
KEYS += ["strength", "shape", "fill", "values", "dtype", "layout", "train", "eval", "set", "call"]
KEYS += ["cast", "save", "load", "from", "add", "drop", "parameter", "weight", "momentum", "case"]
KEYS += [
    "num_features",
    "input",
    "grad_output",
    "after",
    "within",
    "output",
    "type",
    "match",
    "low",
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 5)
    | st.floats()
    | st.sampled_from([*KEYS, "normal", "float32", "TE", "2.1", "", "é", "a b", "{x}", "("])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=25,
)


LATER = STEP + f"train: {{input: {ONES}}}\n    - save: it\n    - backward: "


@pytest.mark.parametrize(
    ("rest", "told"),
    [
        ("{of: 3, grad_output: {fill: ones}}", "step 3 is not before this one, which is step 3"),
        ("{of: 9, grad_output: {fill: ones}}", "step 9 is not before this one, which is step 3"),
        ("{of: 2, grad_output: {fill: ones}}", "step 2 is no train or eval step but 'save'"),
        ("{of: 0, grad_output: {fill: ones}}", "7:22: expected at least 1, found 0"),
        ("{grad_output: {fill: ones}}", "7:17: 'of' is missing"),
        ("{of: 1}", "7:17: 'grad_output' is missing"),
        (
            "{of: 1, grad_output: {fill: ones}}\n"
            "    - backward: {of: 1, grad_output: {fill: ones}}",
            "8:22: step 3 takes the gradients of step 1 already",
        ),
        ("{of: 1, grad_output: {fill: one_hot, channel: 5}}", "7:38: "),
    ],
)
def test_whose_gradients_a_step_takes_is_checked(rest, told):
    """A backward step names an earlier train or eval step, once, and a gradient that fits it."""
    assert any(told in each for each in mistakes(LATER + rest + "\n"))


def test_a_step_that_must_raise_has_no_gradients():
    """What raises an error has no output to differentiate."""
    train = STEP + f"train: {{input: {ONES}, raises: {{type: ValueError}}}}\n"
    found = only_mistake(train + "    - backward: {of: 1, grad_output: {fill: ones}}\n")

    assert found == "step 1 must raise an error, and has no gradients"


def test_gradients_are_taken_once():
    """A step with a grad_output of its own is no step for a later backward pass."""
    train = STEP + f"train: {{input: {ONES}, grad_output: {{fill: ones}}}}\n"
    found = only_mistake(train + "    - backward: {of: 1, grad_output: {fill: ones}}\n")

    assert found == "step 1 has a grad_output, and its gradients are taken there"


@pytest.mark.parametrize(
    ("module", "step", "told"),
    [
        ("", "requires_grad: [input]", "no gradients are taken of the step; give it a grad_output"),
        (", affine: false", "grad_output: {fill: ones}, requires_grad: [weight]", "without affine"),
        ("", "grad_output: {fill: ones}, requires_grad: []", "name what needs a gradient"),
        ("", "grad_output: {fill: ones}, requires_grad: [bias, bias]", "something is named twice"),
        ("", "grad_output: {fill: ones}, requires_grad: [wieght]", "did you mean 'weight'?"),
    ],
)
def test_what_requires_a_gradient_is_checked(module, step, told):
    """It is named of input, weight and bias, in a step that has a backward pass."""
    text = STEP.replace("num_features: 2", f"num_features: 2{module}")

    assert told in only_mistake(f"{text}train: {{input: {ONES}, {step}}}\n")


GRADIENT = "grad_output: {fill: ones}"


@pytest.mark.parametrize(
    ("module", "step", "told"),
    [
        ("", "double_backward: {grad_bias: [1, 2]}", "there are no gradients to differentiate"),
        ("", GRADIENT + ", double_backward: {}", "name a gradient that the loss"),
        (
            "",
            GRADIENT + ", requires_grad: [input], double_backward: {grad_bias: [1, 2]}",
            "there is no grad_bias: the pass does not require the gradient of bias",
        ),
        (
            ", affine: false",
            GRADIENT + ", double_backward: {grad_weight: [1, 2]}",
            "the module has no weight with these constructor arguments",
        ),
        (
            "",
            GRADIENT + ", double_backward: {grad_weight: [1]}",
            "expected shape [2], one number for each channel, found [1]",
        ),
        (
            "",
            GRADIENT + ", double_backward: {grad_input: {fill: ones, shape: [1]}}",
            "expected shape [2, 2, 1, 1], as the input, found [1]",
        ),
        (
            "",
            GRADIENT + ", double_backward: {grad_input: {fill: ones, dtype: float64}}",
            "it has the type of grad_input; leave out dtype",
        ),
        (
            ", dtype: bfloat16",
            GRADIENT + ", double_backward: {grad_bias: [1, 2]}",
            "it is judged for float32 and float64 alone, and the input is bfloat16",
        ),
        (
            "",
            "grad_output: {fill: ones, dtype: float64}, double_backward: {grad_bias: [1, 2]}",
            "it is judged where grad_output has the input's type, float32",
        ),
        (
            "",
            GRADIENT + ", double_backward: {grad_inptu: {fill: ones}}",
            "did you mean 'grad_input'?",
        ),
    ],
)
def test_what_a_double_backward_pass_begins_with_is_checked(module, step, told):
    """There are gradients to differentiate, of a type that is judged, and each is named."""
    text = STEP.replace("num_features: 2", f"num_features: 2{module}")

    assert told in only_mistake(f"{text}train: {{input: {ONES}, {step}}}\n")


def test_the_type_of_a_double_backward_pass_is_that_after_a_cast():
    """A module that is cast to float16 before has float16 inputs."""
    cast = STEP + "cast: float16\n    - "
    found = only_mistake(
        f"{cast}train: {{input: {ONES}, grad_output: {{fill: ones}}, "
        "double_backward: {grad_bias: [1, 2]}}\n"
    )

    assert found.endswith("and the input is float16")


def test_second_gradients_are_published_where_they_are_computed():
    """An expectation of them stands after a step with a double backward pass, in their shapes."""
    step = f"train: {{input: {ONES}, grad_output: {{fill: ones}}"
    after = "  expect:\n    - {after: 1, double_grad_weight: [0, 0]}\n"
    seeds = ", double_backward: {grad_bias: [1, 2]}"
    wrong = after.replace("double_grad_weight", "double_grad_input")

    assert mistakes(f"{STEP}{step}{seeds}}}\n{after}") == []
    assert only_mistake(f"{STEP}{step}}}\n{after}") == (
        "there is no double_grad_weight unless the step has a double_backward"
    )
    assert "expected shape [2, 2, 1, 1]" in only_mistake(f"{STEP}{step}{seeds}}}\n{wrong}")


def test_a_gradient_that_is_not_required_cannot_be_published():
    """An expectation of it is a mistake, which says why."""
    step = f"train: {{input: {ONES}, grad_output: {{fill: ones}}, requires_grad: [input]}}\n"
    found = only_mistake(STEP + step + "  expect:\n    - {after: 1, grad_bias: [2, 2]}\n")

    assert found == "there is no grad_bias: the pass does not require the gradient of bias"


def test_what_a_later_backward_step_computes_can_be_published():
    """Its gradients can stand in an expectation, of their own shapes, and no output."""
    steps = LATER + "{of: 1, grad_output: {fill: ones}}\n  expect:\n    - "
    wrong = mistakes(steps + "{after: 3, output: [1], grad_input: [1], grad_bias: [1]}\n")

    assert mistakes(steps + "{after: 3, grad_weight: [0, 0], grad_bias: [2, 2]}\n") == []
    assert [each.partition(": ")[2] for each in wrong] == [
        "there is no output but after a train or eval step",
        "expected shape [2, 2, 1, 1], as the input, found [1]",
        "expected shape [2], one number for each channel, found [1]",
    ]


@settings(max_examples=150, deadline=None)
@given(st.lists(JSON, max_size=3))
def test_any_structure(data):
    """Any structure gives cases or mistakes, in the words of the format and with a place."""
    text = json.dumps(data).replace("-Infinity", "-.inf").replace("Infinity", ".inf")
    _, found = entries_of(parse(text.replace("NaN", ".nan").encode(), "f"))
    leaks = [word for _, message in found for word in LEAKS if word in message]

    assert leaks == []


VALID = {
    "id": "a",
    "why": "b",
    "module": {"num_features": 2, "momentum": None},
    "state": {"weight": [1, 2], "bias": {"fill": "ones"}},
    "steps": [
        {"train": {"input": {"shape": [2, 2, 1, 1], "fill": "normal"}, "repeat": 2}},
        {"eval": {"input": {"values": [[[[1]], [[2]]]]}, "grad_output": {"fill": "ones"}}},
        {"backward": {"of": 1, "grad_output": {"fill": "ones"}}},
        {"set": {"eps": 1, "weight": {"parameter": [1, 2]}}},
        {"save": "x"},
        {"load": {"from": "x", "drop": ["bias"], "add": {"weight": [1, 2]}}},
    ],
    "expect": [{"after": 1, "running_mean": [1, 2], "within": 0.1}],
    "raises": {"type": "ValueError", "match": "x"},
}
AXES = {
    "id": "m",
    "why": "b",
    "matrix": {"shape": [[2, 2]], "fill": ["ones", {"fill": "normal"}], "momentum": [0, None]},
}


def places(value, path=()):
    """Return the path of every value."""
    below = value.items() if isinstance(value, dict) else ()
    below = enumerate(value) if isinstance(value, list) else below
    return [path, *(deep for key, item in below for deep in places(item, (*path, key)))]


@pytest.mark.parametrize("whole", [VALID, AXES], ids=["case", "matrix"])
@pytest.mark.parametrize("wrong", [None, True, -1, 1.5, "xyz", [], {}, [[]], {"xyz": 1}], ids=str)
def test_one_wrong_value(whole, wrong):
    """A wrong value anywhere is told at its own place or within, in the words of the format."""
    for path in places(whole)[1:]:
        changed = json.loads(json.dumps(whole))
        parent = changed
        for part in path[:-1]:
            parent = parent[part]
        parent[path[-1]] = wrong
        document = parse(json.dumps([changed]).encode(), "f")
        _, found = entries_of(document)

        assert not [word for _, message in found for word in LEAKS if word in message], found


def test_an_array_with_an_unknown_fill_is_read_on():
    """Behind a misspelt fill, shape, type and parameters of the array are checked too."""
    found = mistakes(INPUT + "{shape: [2, 2, 1, -1], fill: nromal, dtype: float23, meen: 1}}\n")

    assert [each.split(": ", 1)[1].split(",")[0].split(";")[0] for each in found] == [
        "unknown fill 'nromal'",
        "expected at least 0",
        "'float23' is not one of float16",
        "unknown key 'meen'",
    ]
