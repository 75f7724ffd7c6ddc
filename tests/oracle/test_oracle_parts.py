"""Rows that are worked out part by part, and exact values in two halves."""

from __future__ import annotations

import numpy as np
import pytest
from oracle_steps import make_step, normalise

from harness.oracle import exact, ratios, self_consistent
from harness.oracle import parts as cutting
from harness.oracle.arithmetic import distance, halves, narrow
from harness.oracle.doubledouble import DoubleDouble
from harness.oracle.parts import parts, summed
from harness.oracle.worst import Sweep

SHAPES = [(1, 1), (3, 5), (2, 129), (1, 1000), (40, 7), (3, 4097)]
ROWS = ["output", "grad_input"]


@pytest.fixture
def small(monkeypatch):
    """Cut rows into parts of 128 elements, the fewest that NumPy adds up as one."""
    monkeypatch.setattr(cutting, "ELEMENTS", 128)


def heavy(shape, kind=np.float64):
    """Return numbers of many sizes and both signs."""
    rng = np.random.default_rng(3)
    return (rng.standard_normal(shape) * np.exp(9 * rng.standard_normal(shape))).astype(kind)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.usefixtures("small")
def test_parts_hold_each_element_once(shape):
    """The parts of rows are all of their elements, none of them twice."""
    met = np.zeros(shape, int)
    for part in parts(shape):
        met[part] += 1

    assert (met == 1).all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", [np.float64, np.longdouble])
@pytest.mark.usefixtures("small")
def test_a_sum_of_parts_has_the_bits_of_the_whole(shape, kind):
    """Rows that are added part by part have the sum that NumPy gives for the whole row."""
    array = heavy(shape, kind)

    np.testing.assert_array_equal(
        summed(lambda part: array[part], shape), array.sum(axis=1, keepdims=True)
    )


def test_two_halves_are_the_long_double():
    """A long double of 64 bits is the sum of its halves, and a special value is the high one."""
    if np.finfo(np.longdouble).nmant != 63:
        pytest.skip("no long double of 64 bits here")
    values = heavy((3, 50), np.longdouble) / 3
    values[0, :4] = np.nan, np.inf, -np.inf, np.longdouble("1e4000")
    split = halves(values)

    assert isinstance(split, DoubleDouble)
    both = split.high.astype(np.longdouble) + split.low
    np.testing.assert_array_equal(both[1:], values[1:])
    np.testing.assert_array_equal(both[0, :4], [np.nan, np.inf, -np.inf, np.inf])


def test_a_distance_from_halves_errs_by_two_roundings():
    """The distance in float64 is within 2⁻⁵² of that in long double, near and far."""
    values = heavy((3, 200), np.longdouble) / 3
    for far in (0.0, 2.0**-52, 2.0**-30, 0.7, 3.0, -1.0, -2.0, 1e30):
        actual = (values * (1 + np.longdouble(far))).astype(np.float64)
        true = np.abs(actual - values)

        assert (np.abs(distance(actual, values) - true) <= 2.0**-52 * true).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("quantity", [*ROWS, "grad_weight", "running_var"])
@pytest.mark.usefixtures("small")
def test_a_part_is_expected_as_the_whole(dtype, quantity):
    """Bound and exact value of a part are those of the whole there, bit for bit."""
    results = exact(make_step(5, 300, dtype=dtype))
    whole = results.expected(quantity, "tree")
    rows = quantity in ROWS
    for part in parts((whole.exact.shape[0], 300 if rows else 1)):
        found = results.part(quantity, "tree", None, part)
        there = part if rows else (part[0], np.newaxis)

        np.testing.assert_array_equal(found.bound, whole.bound[there])
        np.testing.assert_array_equal(narrow(found.exact), whole.values[there])


@pytest.mark.usefixtures("small")
def test_the_first_of_the_worst_is_found_in_any_part():
    """The worst of a row is the largest ratio of all its parts, and of equal ones the first."""
    step = make_step(6, 300)
    results, output = exact(step), normalise(step)["output"]
    output[0, [140, 290]] += 1.0
    output[0, [139, 289]] = output[0, [140, 290]]
    expected = results.expected("output", "tree")
    true = ratios(output, expected)

    def part(accuracy):
        return lambda part: results.part("output", accuracy, None, part)

    worst, beyond = Sweep(output, slice(None), part("tree")).worst(None, part("wide"))

    np.testing.assert_array_equal(worst.ratio, true.max(axis=1))
    np.testing.assert_array_equal(worst.at, true.argmax(axis=1))
    assert (
        beyond.tolist()
        == (ratios(output, results.expected("output", "wide")) > 1).any(axis=1).tolist()
    )
    assert beyond[0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.usefixtures("small")
def test_consistency_of_a_part_is_that_of_the_whole(dtype):
    """The output that follows from reported statistics is the same in parts, bit for bit."""
    step = make_step(7, 300, dtype=dtype, factor=1.0)
    reported = normalise(step)["running_mean"], normalise(step)["running_var"]
    whole = self_consistent(step, *reported)
    for part in parts(whole.bound.shape):
        found = self_consistent(step, *reported, None, part)

        np.testing.assert_array_equal(found.bound, whole.bound[part])
        np.testing.assert_array_equal(found.values, whole.values[part])
