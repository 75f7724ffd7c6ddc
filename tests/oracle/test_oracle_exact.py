"""The oracle against 200 bits, and the arithmetic that it is made of."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle_steps import FILLS, make_step, mp, truth

from harness.oracle import Step, exact
from harness.oracle.doubledouble import DoubleDouble

ARITHMETICS = [
    ("float16", "float32", None),
    ("bfloat16", "float32", None),
    ("float32", "float32", None),
    ("float64", "float64", "longdouble"),
    ("float64", "float64", "double-double"),
]


def share_of_bound(step: Step, arithmetic: str | None) -> dict[str, float]:
    """Return the oracle's own error as a share of its strictest bound, for each quantity."""
    results = exact(step, arithmetic=arithmetic)
    shares = {}
    for quantity, channels in truth(step).items():
        expected = results.expected(quantity, "wide")
        wide = expected.exact
        parts = (wide.high, wide.low) if isinstance(wide, DoubleDouble) else (wide,)
        shares[quantity] = 0.0
        with mpmath.workprec(200):
            for c, values in enumerate(channels):
                for i, value in enumerate(values):
                    place = (c, i) if wide_is_rows(expected.bound) else (c,)
                    error = abs(mpmath.fsum(mp(part[place]) for part in parts) - value)
                    share = float(error / mpmath.mpf(float(expected.bound[place])))
                    shares[quantity] = max(shares[quantity], share)
    return shares


def wide_is_rows(array: np.ndarray) -> bool:
    """Tell rows (C, n) from channels (C,)."""
    return array.ndim == 2


@pytest.mark.parametrize(("dtype", "parameters", "arithmetic"), ARITHMETICS)
@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("batch", [True, False])
def test_own_error_is_a_small_share_of_the_bound(dtype, parameters, arithmetic, fill, batch):
    """The oracle errs by less than 1 % of its strictest bound, whatever the data.

    Products of subnormal numbers are the exception in double-double, whose range is float64's.
    """
    if arithmetic == "longdouble" and np.finfo(np.longdouble).nmant < 63:
        pytest.skip("no 80-bit long double here")
    changes = {} if batch else {"batch_statistics": False, "factor": None}
    step = make_step(7, 9, fill, "outlier", dtype, parameters=parameters, **changes)

    shares = share_of_bound(step, arithmetic)

    limit = 0.05 if (arithmetic, fill) == ("double-double", "subnormal") else 0.01

    assert max(shares.values()) < limit, shares


def test_double_double_is_far_more_exact_than_needed():
    """Double-double errs by less than 1e-12 of a float64 bound."""
    shares = share_of_bound(make_step(3, 12, "few ulps", "normal", "float64"), "double-double")

    assert max(shares.values()) < 1e-12, shares


FINITE = st.floats(-1e100, 1e100, allow_subnormal=False).filter(lambda a: a == 0 or abs(a) > 1e-100)


def fraction(a: DoubleDouble) -> Fraction:
    """Return the value of a double-double."""
    return Fraction(float(a.high)) + Fraction(float(a.low))


@given(FINITE, FINITE, FINITE, FINITE)
@settings(max_examples=60, deadline=None)
def test_double_double_operations_keep_a_hundred_bits(a, b, c, d):
    """Sum, product and quotient err by less than 2^-100 of their operands' scale."""
    x, y = DoubleDouble(a, b * 2.0**-60), DoubleDouble(c, d * 2.0**-60)
    p, q = fraction(x), fraction(y)
    tiny = Fraction(2) ** -100

    assert abs(fraction(x + y) - (p + q)) <= tiny * (abs(p) + abs(q))
    assert abs(fraction(x - y) - (p - q)) <= tiny * (abs(p) + abs(q))
    assert abs(fraction(x * y) - p * q) <= tiny * abs(p * q) + Fraction(5e-324) * 4
    if q and abs(q) > Fraction(1e-100):
        assert abs(fraction(x / y) - p / q) <= tiny * abs(p / q) + Fraction(5e-324) * 4
    if p > 0:
        assert abs(fraction(x.sqrt()) ** 2 - p) <= 4 * tiny * p


def test_double_double_keeps_the_class_of_special_values():
    """Infinity and nan go through double-double as through IEEE arithmetic."""
    with np.errstate(all="ignore"):
        inf = DoubleDouble(np.array([np.inf, -np.inf, np.nan]))
        found = [inf + 1.0, inf - np.inf, inf * 2.0, 1.0 / inf, inf.sqrt()]
        ieee = [
            inf.high + 1.0,
            inf.high - np.inf,
            inf.high * 2.0,
            1.0 / inf.high,
            np.sqrt(inf.high),
        ]

    np.testing.assert_array_equal([a.high for a in found], ieee)


def test_images_and_rows_agree():
    """(N, C, H, W) in any strides gives what the same values give as rows (C, n)."""
    flat = make_step(5, 24, channels=3)
    images = flat.input.reshape(3, 2, 3, 4).transpose(1, 0, 2, 3)
    grads = flat.grad_output.reshape(3, 2, 3, 4).transpose(1, 0, 2, 3)
    a = exact(flat)
    b = exact(replace(flat, input=images, grad_output=np.ascontiguousarray(grads)))

    for quantity in a.quantities:
        one, other = a.expected(quantity), b.expected(quantity)
        if other.bound.ndim == 4:
            assert other.exact.shape == images.shape
            np.testing.assert_array_equal(
                other.exact.transpose(1, 0, 2, 3).reshape(3, -1), one.exact
            )
            np.testing.assert_array_equal(
                other.bound.transpose(1, 0, 2, 3).reshape(3, -1), one.bound
            )
        else:
            np.testing.assert_array_equal(other.exact, one.exact)


def test_channels_of_different_cases_can_be_stacked():
    """eps, factor and state may differ by channel; each row is judged as if it were alone."""
    one, two = make_step(1, 8, channels=1), make_step(2, 8, "offset", channels=1)

    def stack(name):
        parts = [np.asarray(getattr(step, name)) for step in (one, two)]
        return np.concatenate([part if part.ndim else part[None] for part in parts])

    names = ("input", "eps", "weight", "bias", "running_mean", "running_var", "factor")
    both = Step(
        **{name: stack(name) for name in names},
        batch_statistics=True,
        grad_output=stack("grad_output"),
    )
    results = exact(both)
    for quantity in results.quantities:
        stacked = results.expected(quantity)
        alone = [exact(step).expected(quantity) for step in (one, two)]

        np.testing.assert_array_equal(stacked.exact, np.concatenate([e.exact for e in alone]))
        np.testing.assert_array_equal(stacked.bound, np.concatenate([e.bound for e in alone]))


def test_an_empty_batch_changes_nothing():
    """Without values the output is empty, the statistics stay and parameter gradients are 0."""
    step = make_step(1, 0)
    results = exact(step)

    assert results.expected("output").exact.shape == (2, 0)
    np.testing.assert_array_equal(results.exact("running_mean"), step.running_mean)
    np.testing.assert_array_equal(results.exact("running_var"), step.running_var)
    np.testing.assert_array_equal(results.exact("grad_weight"), [0, 0])
    np.testing.assert_array_equal(results.exact("grad_bias"), [0, 0])


def test_biased_running_var_can_be_declared():
    """With unbiased=False running_var is updated by the biased variance."""
    ones = np.ones(1, np.float32)
    step = Step(
        np.array([[1, 2, 3, 6]], np.float32), 1e-5, True,
        running_mean=0 * ones, running_var=ones, factor=1.0, unbiased=False,
    )  # fmt: skip

    assert exact(step).exact("running_var") == [3.5]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input": np.zeros((2, 3, 4), np.float32)}, "input: expected"),
        ({"grad_output": np.zeros((2, 3), np.float32)}, "grad_output: expected"),
        ({"weight": np.zeros(3, np.float32)}, r"weight: expected \(2,\)"),
        ({"running_var": None}, "give both or neither"),
        ({"running_mean": None, "running_var": None, "batch_statistics": False}, "needs running"),
        ({"input": np.zeros((2, 1), np.float32), "grad_output": None}, "unbiased variance"),
    ],
)
def test_impossible_steps_are_refused(changes, message):
    """A step whose arrays don't fit together says which and why."""
    with pytest.raises(ValueError, match=message):
        make_step(1, 8, **changes)


def test_unknown_quantities_and_classes_are_refused():
    """What a step doesn't compute, and classes that don't exist, are named with the choices."""
    results = exact(make_step(1, 8, g=None))

    with pytest.raises(ValueError, match="this step computes output, running_mean"):
        results.expected("grad_input")
    with pytest.raises(ValueError, match="expected one of wide, tree, any-order"):
        results.expected("output", "exact")
