"""Special values, one rule at a time, and distances."""

from __future__ import annotations

import numpy as np
import pytest
from oracle_steps import make_step, normalise

from harness.oracle import Expected, exact, ratios, ulps

NAN, INF = np.nan, np.inf


def train(x=None, g=None, **changes):
    """Return a training step of two channels; `x` and `g` are put into channel 0."""
    step = make_step(9, 8, **changes)
    for array, value in ((step.input, x), (step.grad_output, g)):
        if value is not None:
            array[0, : np.size(value)] = value
    return step


def evaluate(x=None, g=None, **changes):
    """Return the same as an evaluation step."""
    return train(x, g, **{"batch_statistics": False, "factor": None, **changes})


def ratio(step, quantity, values, accuracy="tree"):
    """Judge `values` in channel 0 of a quantity, the rest being computed correctly."""
    actual = normalise(step)[quantity]
    actual[0] = values
    return ratios(actual, exact(step).expected(quantity, accuracy))


@pytest.mark.parametrize("special", [NAN, INF, -INF])
@pytest.mark.parametrize("quantity", ["output", "grad_input", "grad_weight", "running_var"])
def test_special_input_in_training_makes_the_channel_nan(special, quantity):
    """A nan or infinity in a training batch is nan all over its channel, and nowhere else."""
    step = train(x=special)

    assert ratio(step, quantity, NAN).max() <= 1
    for wrong in (0.0, INF):
        assert (ratio(step, quantity, wrong)[0] == INF).all()
    leaked = np.full_like(normalise(step)[quantity], NAN)
    assert (ratios(leaked, exact(step).expected(quantity))[1] == INF).all()


@pytest.mark.parametrize(
    ("special", "right", "wrong"),
    [
        ([NAN], [NAN], [0.0, INF]),
        ([INF], [INF, NAN], [-INF, 0.0]),
        ([-INF], [-INF, NAN], [INF, 0.0]),
        ([INF, -INF], [NAN], [INF, -INF, 0.0]),
    ],
)
def test_special_input_reaches_running_mean(special, right, wrong):
    """running_mean has the class of the IEEE sum, or nan."""
    step = train(x=special)

    assert all(ratio(step, "running_mean", value)[0] == 0 for value in right)
    assert all(ratio(step, "running_mean", value)[0] == INF for value in wrong)


def test_special_input_leaves_the_gradient_of_the_bias():
    """grad_bias doesn't depend on the input, nan or not."""
    step = train(x=NAN)

    assert ratios(normalise(step)["grad_bias"], exact(step).expected("grad_bias")).max() <= 1


def test_nan_gradient_in_training_makes_grad_input_nan():
    """A nan in grad_output is nan in grad_input, grad_weight and grad_bias of its channel."""
    step = train(g=NAN)
    for quantity in ("grad_input", "grad_weight", "grad_bias"):
        assert ratio(step, quantity, NAN).max() <= 1
        assert (ratio(step, quantity, INF)[0] == INF).all()


def test_infinite_gradient_in_training_makes_gradients_non_finite():
    """An infinity in grad_output leaves no finite number in grad_input and grad_weight."""
    step = train(g=INF)
    for quantity in ("grad_input", "grad_weight"):
        for value in (NAN, INF, -INF):
            assert (ratio(step, quantity, value)[0] == 0).all()
        assert (ratio(step, quantity, 1.0)[0] == INF).all()


@pytest.mark.parametrize(
    ("special", "right", "wrong"),
    [([INF], INF, [NAN, -INF]), ([INF, -INF], NAN, [INF, 0.0])],
)
def test_infinite_gradient_sums_to_the_ieee_class(special, right, wrong):
    """grad_bias is the IEEE sum of grad_output."""
    step = train(g=special)

    assert ratio(step, "grad_bias", right)[0] == 0
    assert all(ratio(step, "grad_bias", value)[0] == INF for value in wrong)


def test_special_gradient_leaves_the_forward_pass():
    """Output and statistics don't depend on grad_output."""
    step = train(g=NAN)
    actual = normalise(step)
    for quantity in ("output", "running_mean", "running_var"):
        assert ratios(actual[quantity], exact(step).expected(quantity)).max() <= 1


def test_special_input_in_evaluation_stays_in_its_element():
    """In evaluation y has the class of x·w, element by element."""
    step = evaluate(x=[NAN, INF, -INF], weight=np.array([-2, 1], np.float32))
    expected = exact(step).expected("output")
    actual = normalise(step)["output"]

    np.testing.assert_array_equal(actual[0, :3], [NAN, -INF, INF])
    assert ratios(actual, expected).max() <= 1
    actual[0, :3] = [0, NAN, -INF]
    assert (ratios(actual, expected)[0, :3] == INF).all()


def test_infinity_times_a_zero_weight_is_nan():
    """In evaluation an infinity under weight 0 is nan."""
    step = evaluate(x=INF, weight=np.zeros(2, np.float32))
    actual = normalise(step)["output"]

    assert np.isnan(actual[0, 0])
    assert ratios(actual, exact(step).expected("output")).max() <= 1


def test_special_gradient_in_evaluation_stays_in_its_element():
    """In evaluation grad_input has the class of g·w, element by element."""
    step = evaluate(g=[NAN, INF], weight=np.array([-2, 1], np.float32))
    expected = exact(step).expected("grad_input")
    actual = normalise(step)["grad_input"]

    assert ratios(actual, expected).max() <= 1
    actual[0, :2] = [0, INF]
    assert (ratios(actual, expected)[0, :2] == INF).all()


def test_nan_input_in_evaluation_leaves_grad_input():
    """In evaluation a nan in x reaches grad_weight, not grad_input or grad_bias."""
    step = evaluate(x=NAN)
    actual = normalise(step)

    assert np.isnan(actual["grad_weight"][0])
    assert np.isfinite(actual["grad_input"]).all()
    for quantity in ("grad_input", "grad_weight", "grad_bias"):
        assert ratios(actual[quantity], exact(step).expected(quantity)).max() <= 1


def test_infinite_running_var_gives_the_bias():
    """In evaluation an infinite running_var leaves the bias alone, and it is judged."""
    step = evaluate(running_var=np.full(2, INF, np.float32))
    expected = exact(step).expected("output")
    biased = np.broadcast_to(step.bias[:, None], step.input.shape)

    assert expected.unjudged is None
    assert ratios(biased, expected).max() <= 1
    assert ratios(biased + np.float32(1e-3), expected).min() > 1


def test_negative_running_var_gives_nan():
    """In evaluation a variance below −eps has no root."""
    step = evaluate(running_var=np.full(2, -1, np.float32))

    assert ratio(step, "output", NAN)[0].max() == 0
    assert ratio(step, "output", 0.0)[0].min() == INF


def test_running_var_near_minus_eps_is_not_judged():
    """Where v + eps may be zero or of either sign, nothing is expected."""
    step = evaluate(eps=0.5, running_var=np.array([-0.5, 1], np.float32))
    expected = exact(step).expected("output")

    np.testing.assert_array_equal(expected.unjudged.all(axis=1), [True, False])
    assert ratio(step, "output", 12345.0)[0].max() == 0


def test_overflowing_statistics_are_not_judged():
    """A channel whose sum of squares leaves the range is masked; its neighbour is judged."""
    step = train()
    step.input[0] *= np.float32(1e25)
    results = exact(step)
    for quantity in ("output", "running_var", "grad_input", "grad_weight"):
        unjudged = results.expected(quantity).unjudged

        assert unjudged[0].all()
        assert not unjudged[1].any()
    assert results.expected("running_mean").unjudged is None
    assert results.expected("grad_bias").unjudged is None


def test_infinite_weight_is_not_judged():
    """Output and grad_input under an infinite weight depend on the order of operations."""
    step = train(weight=np.array([INF, 1], np.float32))
    results = exact(step)
    for quantity in ("output", "grad_input"):
        np.testing.assert_array_equal(
            results.expected(quantity).unjudged.all(axis=1), [True, False]
        )
    assert results.expected("grad_weight").unjudged is None


def test_sums_too_long_for_a_bound_are_not_judged():
    """Beyond G·u = 1/8 the derivation doesn't hold, so nothing is claimed."""
    step = make_step(1, 2_200_000, channels=1, g=None)
    results = exact(step)

    assert results.expected("output", "any-order").unjudged.all()
    assert results.expected("output", "tree").unjudged is None


def near_overflow(value):
    """Return a float16 expectation of `value` ± 16."""
    one = np.ones(1)
    return Expected(exact=value * one, bound=16 * one, unjudged=None, dtype="float16")


@pytest.mark.parametrize(
    ("value", "actual", "conforms"),
    [
        (65500.0, INF, True),
        (65500.0, -INF, False),
        (-65500.0, -INF, True),
        (65480.0, INF, False),
        (65530.0, INF, True),
        (65530.0, 65504.0, False),
        (65510.0, 65504.0, True),
        (65500.0, NAN, False),
    ],
)
def test_overflow_by_a_hair(value, actual, conforms):
    """Infinity is accepted where exact ± bound passes the range, required where all of it does."""
    judged = ratios(np.array([actual], np.float16), near_overflow(value))

    assert (judged <= 1) == conforms


def test_signs_of_zeros_are_not_compared():
    """−0 is 0."""
    zero = Expected(exact=np.zeros(1), bound=np.full(1, 1e-30), unjudged=None, dtype="float32")

    assert ratios(np.array([-0.0], np.float32), zero) == 0


def test_unchanged_statistics_must_be_identical():
    """After an empty batch the smallest change of running_mean is a mistake."""
    step = make_step(1, 0)
    expected = exact(step).expected("running_mean")
    moved = np.nextafter(step.running_mean, np.float32(9))

    assert (ratios(step.running_mean, expected) == 0).all()
    assert (ratios(moved, expected) > 1).all()


def test_old_infinite_statistics_stay_special():
    """An infinite running_mean stays infinite, or becomes nan by the other form of the update."""
    step = train(running_mean=np.array([INF, 0], np.float32))

    assert [ratio(step, "running_mean", v)[0] for v in (INF, NAN, 0.0)] == [0, 0, INF]


def test_wrong_shapes_are_refused():
    """An array of another shape is never broadcast."""
    step = train()

    with pytest.raises(ValueError, match=r"actual: expected the shape \(2, 8\)"):
        ratios(np.zeros((2, 1), np.float32), exact(step).expected("output"))


def test_vacuous_bounds_are_told():
    """A bound above a tenth of the value is vacuous: a constant channel's output, not its mean."""
    results = exact(make_step(1, 64, "constant", bias=np.zeros(2, np.float32)))

    assert results.expected("output").vacuous.all()
    assert not results.expected("running_mean").vacuous.any()


def test_ulps_count_representable_numbers():
    """The next float32 is one ulp away, at any scale and in the subnormal range."""
    exact_values = np.array([1.0, 3.0, 1e30, 1e-40], np.float32)
    expected = Expected(exact_values.astype(float), np.ones(4), None, "float32")
    moved = np.nextafter(exact_values, np.float32(INF))

    np.testing.assert_allclose(ulps(moved, expected), np.ones(4))


def test_ulps_are_of_the_exact_value_and_none_between_equal_specials():
    """An error near zero is many ulps; nan for nan is none, a number for infinity is infinite."""
    values = np.array([[1000.0, 1e-6], [NAN, INF]])
    expected = Expected(values, np.ones((2, 2)), None, "float32")
    moved = np.array([[1000.0, 2e-6], [NAN, 0.0]], np.float32)

    assert ulps(moved, expected)[0, 1] > 1e6
    np.testing.assert_array_equal(ulps(moved, expected)[1], [0, INF])


def test_rules_hold_in_double_double_too():
    """The special values of a float64 step don't depend on the wide arithmetic."""
    step = train(x=[INF], dtype="float64")
    actual = normalise(step)
    results = exact(step, arithmetic="double-double")
    for quantity in results.quantities:
        assert ratios(actual[quantity], results.expected(quantity)).max() <= 1
