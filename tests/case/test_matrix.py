"""Matrices: which cases they expand to, in which order, with which ids and data."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import item, mistakes, only_mistake

from harness.case.covering import combinations
from harness.case.model import Case
from harness.case.suite import load

HEAD = "- id: m\n  why: because.\n"


def matrix(axes, strength="full"):
    """Return the matrix with these axes, in YAML's flow style."""
    return item(f"{HEAD}  strength: {strength}\n  matrix: {axes}\n")


AXES = """{shape: [[2, 3, 2, 2], [4, 1, 1, 3]], momentum: [0.1, null, 1], affine: [true, false],
    fill: [exact, {fill: normal, mean: 3}], bias: [true, false], grad: [true, false],
    layout: [contiguous, channels_last], sequence: [T, TE], state: [null, {running_var:
    {fill: ones}}], dtype: [float32, float64], input_dtype: [null, float16], seed: [0, 3]}"""


def test_full_product():
    """In full, each combination of values is one case, with an id of its own."""
    ids = [case.id for case in matrix(AXES).cases()]

    assert len(ids) == len(set(ids)) == 2**11 * 3


def test_ids():
    """An id spells the values of those axes that have several; the order is that of the axes."""
    axes = "{shape: [[2, 3]], momentum: [0.1, null], fill: [ones, {fill: normal, mean: 3}]}"

    assert [case.id for case in matrix(axes).cases()] == [
        "m/momentum=0.1,fill=ones",
        "m/momentum=0.1,fill=normal(mean=3.0)",
        "m/momentum=null,fill=ones",
        "m/momentum=null,fill=normal(mean=3.0)",
    ]
    assert list(matrix(axes).ids()) == [case.id for case in matrix(axes).cases()]


def test_one_case():
    """A matrix without a choice has one case."""
    assert list(matrix("{shape: [[2, 3]], fill: ones}").ids()) == ["m/only"]


def test_parts():
    """A case has the values of its combination, seeds counted up from 100·seed."""
    (case,) = matrix(
        "{shape: [[2, 3, 1, 1]], fill: normal, sequence: TE, grad: true, seed: 2, dtype: float64,"
        " input_dtype: float16, layout: channels_last, grad_layout: sliced, momentum: 1}"
    ).cases()
    train, evaluation = (step.forward for step in case.steps)

    assert [step.kind for step in case.steps] == ["train", "eval"]
    assert (train.input.seed, train.grad_output.seed) == (200, 250)
    assert (evaluation.input.seed, evaluation.grad_output.seed) == (201, 251)
    assert (train.input.dtype, train.input.layout) == ("float16", "channels_last")
    assert train.grad_output.layout == "sliced"
    assert (case.state.weight.seed, case.state.running_var.seed) == (290, 293)
    assert case.module.arguments() == {
        "affine": True,
        "dtype": "float64",
        "eps": 1e-5,
        "momentum": 1,
        "num_features": 3,
        "track_running_stats": True,
    }


def test_valid():
    """Each case of a matrix is one that could have been written by hand."""
    for case in itertools.islice(matrix(AXES).cases(), 0, None, 97):
        written = case.model_dump(exclude_unset=True, by_alias=True)

        assert repr(Case.model_validate(written)) == repr(case)


def test_kinds_of_equal_values():
    """Values that Python holds to be equal stay apart: 1, 1.0 and true; 0.0 and -0.0."""
    axes = "{shape: [[2, 3]], momentum: [1, 1.0, true], fill: [ones, {fill: constant, value: 0.0}"
    cases = list(matrix(axes + ", {fill: constant, value: -0.0}]}").cases())

    assert [type(case.module.momentum) for case in cases[::3]] == [int, float, bool]
    assert [str(case.steps[0].forward.input.value) for case in cases[1:3]] == ["0.0", "-0.0"]


def test_independent_data():
    """A value that is added to an axis changes no other case."""
    small = {case.id: case for case in matrix("{shape: [[2, 3]], fill: [exact, normal]}").cases()}
    large = matrix("{shape: [[2, 3]], fill: [ones, exact, normal, relu]}").cases()

    assert [small[case.id] == case for case in large if case.id in small] == [True, True]


SIZES = st.lists(st.integers(1, 4), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(SIZES, st.sampled_from([2, 3]))
def test_covering(sizes, strength):
    """Every pair or triple of values of different axes occurs, and no case occurs twice."""
    rows = list(combinations(sizes, strength))
    for axes in itertools.combinations(range(len(sizes)), min(strength, len(sizes))):
        found = {tuple(row[axis] for axis in axes) for row in rows}

        assert found == set(itertools.product(*(range(sizes[axis]) for axis in axes)))
    assert len(rows) == len(set(rows))


@pytest.mark.parametrize("strength", ["full", 2, 3])
def test_order(strength):
    """The same matrix gives the same cases in the same order."""
    first, second = (list(matrix(AXES, strength).ids()) for _ in range(2))

    assert first == second


def test_smaller():
    """Pairs need fewer cases than triples, and these fewer than the product."""
    counts = [len(list(matrix(AXES, strength).ids())) for strength in (2, 3, "full")]

    assert counts[0] < counts[1] < counts[2] / 10


def test_lazy():
    """The first of a million cases does not wait for the others."""
    seeds = f"{{shape: [[2, 3]], fill: ones, momentum: {list(range(1000))}, seed: "
    large = matrix(seeds + f"{list(range(1000))}}}")
    start = time.perf_counter()
    next(large.cases())

    assert time.perf_counter() - start < 0.5


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ("momentum: [1, 0.1, 1]", "the axis momentum has this value twice"),
        ("momentum: [.nan, .nan]", "the axis momentum has this value twice"),
        ("grad_output: [ones, {fill: ones}]", "the axis grad_output has this value twice"),
        ("grad_output: [normal, {fill: normal, mean: 0}]", "has this value twice"),
        ("state: [null, {bias: {fill: ones}}, {bias: {fill: ones}}]", "has this value twice"),
        ("grad_output: {fill: normal, seed: 3}", "'seed' of a fill comes from the axis seed"),
        ("grad_output: {fill: normal, dtype: float16}", "comes from the axis input_dtype"),
        ("grad_output: {values: [1]}", "a matrix takes fills; write values in a case"),
        ("layout: [contiguous, channels_last]", "'channels_last' is not for the 2 axes"),
        ("grad: true, grad_layout: channels_last", "'channels_last' is not for the 2 axes"),
        ("grad: true, grad_output: {fill: one_hot, index: 2}", "index 2 is outside a channel of 2"),
        ("state: {bias: [1, 2]}", "expected shape [3], one number for each channel, found [2]"),
        ("num_features: 1000000000", "expected at most 134217728, found 1000000000"),
        ("seed: 1099511627776", "expected less than 1099511627776, found 1099511627776"),
        (f"sequence: {'T' * 41}", "a sequence is 1 to 40 letters"),
    ],
)
def test_refused(axes, message):
    """An axis whose values make no case, or one case twice, is refused."""
    text = f"{HEAD}  matrix: {{shape: [[2, 3]], fill: ones, {axes}}}\n"

    assert message in only_mistake(text)


def test_versions():
    """A matrix for no version of torch is refused."""
    text = HEAD + "  since: '2'\n  before: '1'\n  matrix: {shape: [[2, 3]], fill: ones}\n"

    assert mistakes(text) == ["4:11: no version of torch is from 2 on and before 1"]


def test_budget():
    """The steps of a matrix's case share the budget of a case."""
    text = HEAD + "  matrix: {shape: [[8192, 8192]], fill: ones, sequence: [T, TTT]}\n"

    assert "over the budget of 134217728 elements" in only_mistake(text)


def test_kinds_of_steps_are_known_by_the_id():
    """What the id of a matrix case says of its steps is what they are, in the whole suite."""
    matrices = [entry.item for entry in load().entries if entry.matrix]
    some = [(each, case) for each in matrices for case in itertools.islice(each.cases(), 40)]

    assert len(some) > 500
    assert all(each.kinds(case.id) == [step.kind for step in case.steps] for each, case in some)


def test_too_many():
    """More than ten million cases, or a covering array without end, are refused at once."""
    many = f"{list(range(400))}"
    text = (
        f"{HEAD}  matrix: {{shape: [[2]], fill: ones, eps: {many}, seed: {many}, momentum: {many}"
    )

    assert "the matrix has 64000000 cases, the limit is 10000000" in only_mistake(text + "}\n")
    pairs = "pairs of values, too many to search a cover of; give its axes fewer"
    assert pairs in only_mistake(text + "}\n  strength: 2\n")


def test_long_ids():
    """Values that would make ids too long are refused where the id stands."""
    name = "m" * 295
    text = f"- id: {name}\n  why: b\n  matrix: {{shape: [[2]], fill: ones, grad: [true, false]}}\n"

    assert mistakes(text)[0].startswith("1:7: ids of more than 300 characters")
