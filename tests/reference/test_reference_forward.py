"""The forward pass and the running statistics: worked by hand, exact, and beside torch."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from twins import BFLOAT16, LAYOUTS, Twins, assert_close, laid_out

from harness.reference import BatchNorm2d

SAMPLE = np.array([1, 2, 3, 6], np.float32).reshape(2, 1, 2, 1)
"""Mean 3, biased variance 14/4 = 3.5, unbiased variance 14/3."""


def normal(shape, seed=0, dtype=np.float32):
    """Return normal data with a mean that is not zero."""
    return np.random.default_rng(seed).normal(1.5, 2, shape).astype(dtype)


def largest_term(module, x):
    """Return the largest |x·weight|/√(var + eps), which cancels where torch folds the mean in."""
    wide = x.astype(np.float64)
    batch = module.training or module.running_var is None
    var = float((wide.var((0, 2, 3)) if batch else module.running_var).min())
    weight = 1.0 if module.weight is None else float(module.weight.max())
    return max(1.0, np.abs(wide).max() * weight / np.sqrt(var + module.eps))


def test_output_uses_the_biased_variance():
    """{1, 2, 3, 6} is normalised by √3.5, not by √4.6667."""
    y = BatchNorm2d(1, eps=0.5)(SAMPLE)

    assert np.array_equal(y.ravel(), np.float32([-1, -0.5, 0, 1.5]))


def test_running_var_is_unbiased():
    """With momentum 1 the running statistics of {1, 2, 3, 6} are 3 and 14/3."""
    module = BatchNorm2d(1, momentum=1)
    module(SAMPLE)

    assert module.running_mean == np.float32(3)
    assert module.running_var == np.float32(14) / np.float32(3)


def test_running_average():
    """With momentum 1/4 three quarters of the old statistics stay."""
    module = BatchNorm2d(1, momentum=0.25)
    module.running_mean[...] = 8
    module.running_var[...] = 4
    module(np.array([1, 5], np.float32).reshape(2, 1, 1, 1))

    assert (module.running_mean, module.running_var) == (6.75, 5)


def test_momentum_none_is_a_cumulative_average():
    """Batches of mean 1, 2, 6 average to 1, 1.5, 3, and reset starts the count again."""
    module = BatchNorm2d(1, momentum=None)
    means = []
    for mean in (1, 2, 6):
        module(np.full((2, 1, 1, 1), mean, np.float32))
        means.append(float(module.running_mean[0]))
    module.reset_running_stats()
    module(SAMPLE)

    assert means == [1, 1.5, 3]
    assert (module.num_batches_tracked, module.running_mean) == (1, 3)


def test_eval_uses_running_statistics():
    """Mean 1 and variance 3 with eps 1 map 5 to 2, times weight 3 plus bias −1."""
    module = BatchNorm2d(1, eps=1).eval()
    module.running_mean[...], module.running_var[...] = 1, 3
    module.weight[...], module.bias[...] = 3, -1

    assert module(np.full((1, 1, 1, 1), 5, np.float32)) == 5
    assert module.num_batches_tracked == 0


@pytest.mark.parametrize("flag", [True, False])
@pytest.mark.parametrize("buffers", [True, False])
def test_buffers_decide_in_eval_and_the_flag_in_train(flag, buffers):
    """Eval uses buffers that are there whatever the flag says; train moves them by the flag."""
    twins = Twins(3)
    array = np.full(3, 0.5, np.float32) if buffers else None
    twins.set(track_running_stats=flag, running_mean=array, running_var=array)
    x = normal((2, 3, 4, 5))
    for mode in (True, False):
        expected, actual = twins.train(mode).call(x)

        assert_close(actual, expected)
        twins.assert_same_state()


@pytest.mark.parametrize(
    "momentum", [True, False, 0, 1, 2.0, -0.5, float("nan"), float("inf"), 1e300]
)
def test_momentum_is_not_checked(momentum):
    """Any real momentum works, and 0 and 1 are no short cut past a nan."""
    twins = Twins(2, momentum=momentum).set(running_mean=np.array([np.nan, 3], np.float32))
    twins.call(normal((2, 2, 3, 3)))

    twins.assert_same_state()


@pytest.mark.parametrize("counter", [None, 0, -3, 2**40, 2**63 - 1])
@pytest.mark.parametrize("momentum", [None, 0.25])
def test_counter(counter, momentum):
    """The counter moves first and by one, wraps around, and without it None counts as 0."""
    twins = Twins(2, momentum=momentum)
    twins.set(num_batches_tracked=None if counter is None else np.array(counter))
    twins.call(normal((2, 2, 3, 3)))

    twins.assert_same_state()


def test_counter_moves_in_place():
    """num_batches_tracked stays the same array."""
    module = BatchNorm2d(1)
    counter = module.num_batches_tracked
    module(SAMPLE)

    assert counter == 1
    assert module.num_batches_tracked is counter


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "shape", [(0, 3, 2, 2), (2, 3, 0, 2), (2, 3, 2, 0), (2, 0, 2, 2), (0, 5, 1, 1)]
)
def test_input_without_elements(shape, training):
    """An empty input is counted and leaves no other trace, whatever its channel count."""
    twins = Twins(3).train(training)
    x = np.zeros(shape, np.float32)
    expected, actual = twins.call(x)

    assert_close(actual, expected)
    twins.assert_same_state()
    for found, wanted in zip(*twins.differentiate(x, x), strict=True):
        assert_close(wanted, found)


@pytest.mark.parametrize("parameter", [np.float16, np.float32, BFLOAT16])
@pytest.mark.parametrize("dtype", [np.int64, np.float64, BFLOAT16])
def test_type_of_the_output_of_an_empty_input(dtype, parameter):
    """Without elements a floating type stays, and another becomes the parameters'."""
    twins = Twins(3, dtype=parameter)
    expected, actual = twins.call(np.zeros((0, 3, 2, 2), dtype))

    assert actual.dtype == expected.dtype


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf, 1e20, 3e38])
@pytest.mark.parametrize("training", [True, False])
def test_special_values_stay_in_their_channel(special, training):
    """nan, infinities and overflow touch one channel, as in torch; the others are as without."""
    x = normal((3, 3, 4, 4))
    x[1, 1, 2, 2] = special
    twins = Twins(3).train(training)
    expected, actual = twins.call(x)

    assert_close(actual[:, ::2], expected[:, ::2])
    assert np.array_equal(np.isnan(actual), np.isnan(expected))
    twins.assert_same_state()


def test_overflow_of_the_variance():
    """Where squares overflow, the output is the bias and the variance infinite, not nan."""
    module = BatchNorm2d(1)
    module.bias[...] = 7
    y = module(np.array([1e30, -1e30], np.float32).reshape(2, 1, 1, 1))

    assert np.array_equal(y.ravel(), [7, 7])
    assert module.running_mean == 0
    assert np.isposinf(module.running_var)


def test_sum_beyond_float32():
    """A mean is exact where the sum of its elements is beyond the type."""
    module = BatchNorm2d(1, momentum=1)
    y = module(np.full((4, 1, 2, 2), 3e38, np.float32))

    assert module.running_mean == np.float32(3e38)
    assert not y.any()


@settings(max_examples=60, deadline=None)
@given(
    x=hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=4, max_dims=4, max_side=5).filter(
            lambda s: s[0] * s[2] * s[3] > 1
        ),
        elements=st.integers(-8, 8),
    ),
    layout=st.sampled_from(LAYOUTS),
    momentum=st.sampled_from([0.25, 1, None, -0.5, 2]),
)
def test_statistics_of_dyadic_data_are_exact(x, layout, momentum):
    """Small integers have statistics equal to those of float64, rounded once, in any layout."""
    x = laid_out(x, layout)
    module = BatchNorm2d(x.shape[1], momentum=momentum)
    module(x)
    wide = x.astype(np.float64)
    share = 1.0 if momentum is None else momentum
    mean = share * wide.mean((0, 2, 3)).astype(np.float32)
    var = share * wide.var((0, 2, 3), ddof=1) + (1 - share)

    assert np.array_equal(module.running_mean, mean.astype(np.float32))
    assert np.allclose(module.running_var, var, rtol=2e-6, atol=2e-6)


@settings(max_examples=80, deadline=None)
@given(
    shape=hnp.array_shapes(min_dims=4, max_dims=4, max_side=6),
    dtypes=st.sampled_from(
        [(d, d) for d in (np.float32, np.float64, np.float16, BFLOAT16)]
        + [(np.float16, np.float32), (BFLOAT16, np.float32)]
    ),
    layout=st.sampled_from(LAYOUTS),
    flags=st.fixed_dictionaries(
        {
            "affine": st.booleans(),
            "bias": st.booleans(),
            "track_running_stats": st.booleans(),
            "momentum": st.sampled_from([0.1, 0, 1, None, 0.37]),
            "eps": st.sampled_from([1e-5, 1e-3, 1.0, 0.0, -1.0]),
        }
    ),
    modes=st.lists(st.booleans(), min_size=1, max_size=4),
    seed=st.integers(0, 1000),
)
def test_every_configuration_is_torch(*, shape, dtypes, layout, flags, modes, seed):
    """Output, type, layout, errors and state are torch's for any flags, types and sequence."""
    dtype, parameters = dtypes
    twins = Twins(shape[1], dtype=parameters, **flags)
    for name in ("weight", "bias", "running_mean", "running_var"):
        if getattr(twins.reference, name) is not None:
            seed += 1
            twins.set(**{name: np.abs(normal(shape[1], seed)).astype(parameters)})
    for mode in modes:
        seed += 1
        x = laid_out(normal(shape, seed, dtype), layout)
        before = x.copy()
        expected, actual = twins.train(mode).call(x)

        assert isinstance(actual, tuple) == isinstance(expected, tuple)
        if isinstance(expected, tuple):
            assert actual == expected
        else:
            assert_close(actual, expected, terms=largest_term(twins.reference, x))
            assert actual.strides == expected.strides
            assert not np.shares_memory(actual, x)
        assert np.array_equal(x, before)
        twins.assert_same_state()


@pytest.mark.parametrize("dtype", [np.float16, BFLOAT16])
@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "transposed"])
def test_low_precision_is_rounded_as_in_torch(dtype, layout):
    """Momentum and statistics in 16 bits are torch's bit for bit, whichever kernel it takes."""
    for seed in range(20):
        twins = Twins(5, momentum=0.9, dtype=dtype)
        twins.set(running_mean=normal(5, seed, dtype))
        twins.call(laid_out(normal((3, 5, 9, 7), seed, dtype), layout))

        twins.assert_same_state(ulps=0)


def test_contiguous_float32_statistics_are_bit_for_bit():
    """On contiguous float32 data the running statistics equal torch's exactly."""
    twins = Twins(5, momentum=0.37)
    for seed in range(20):
        twins.call(normal((3, 5, 9, 7), seed))

    twins.assert_same_state(ulps=0)


@pytest.mark.parametrize("offset", [0, 100, 1e4])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (300, 2, 1, 1), (2, 3, 40, 50), (40, 200, 3, 2)])
def test_output_is_near_float64(shape, offset):
    """The output is within a few ulps of a float64 evaluation, for large offsets too."""
    x = normal(shape) + np.float32(offset)
    wide = x.astype(np.float64)
    axes = (0, 2, 3)
    mean, var = (s(axis=axes, keepdims=True) for s in (wide.mean, wide.var))
    exact = (wide - mean) / np.sqrt(var + 1e-5)
    error = np.abs(BatchNorm2d(shape[1])(x) - exact).max()

    assert error <= 4e-7 * np.abs(exact).max() + 6e-8 * offset


@pytest.mark.parametrize(
    "shape", [(2, 3, 1, 1), (2, 1, 4, 5), (1, 3, 4, 1), (2, 1, 1, 1), (1, 1, 1, 5), (1, 1, 1, 2)]
)
@pytest.mark.parametrize("layout", LAYOUTS[:4])
def test_layout_where_sizes_of_one_are_ambiguous(shape, layout):
    """Input and gradient have torch's layout where several readings of the strides hold."""
    x = laid_out(normal(shape), layout)
    twins = Twins(shape[1])
    expected, actual = twins.call(x)
    (expected_grad, *_), (actual_grad, *_) = twins.differentiate(x, x)

    assert actual.strides == expected.strides
    assert actual_grad.strides == expected_grad.strides


def test_sliced_channels_last_stays_channels_last():
    """Every other channel of a channels_last array is normalised into a dense channels_last."""
    x = laid_out(normal((2, 6, 4, 5)), "channels_last")[:, ::2]
    expected, actual = Twins(3).call(x[:, :, ::2])

    assert actual.strides == expected.strides


def test_floating_point_errors_are_silent_and_settings_stay():
    """Division by zero inside is no warning, and the caller's settings are as before."""
    module = BatchNorm2d(1, eps=0).eval()
    module.running_var[...] = 0
    with np.errstate(all="raise"):
        before = np.geterr()
        module(SAMPLE)
        module.backward(SAMPLE)

        assert np.geterr() == before


def test_copies_are_independent():
    """A deep copy has its own state, and no gradients to give."""
    module = BatchNorm2d(1)
    module(SAMPLE)
    twin = copy.deepcopy(module)
    twin(SAMPLE)
    other = copy.deepcopy(module)

    assert (module.num_batches_tracked, twin.num_batches_tracked) == (1, 2)
    with pytest.raises(RuntimeError, match="backward"):
        other.backward(SAMPLE)
