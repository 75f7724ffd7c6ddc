"""The gradients: worked by hand, by finite differences, and beside torch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from twins import BFLOAT16, LAYOUTS, Twins, assert_close, laid_out

from harness.reference import BatchNorm2d


def normal(shape, seed=0, dtype=np.float32):
    """Return normal data with a mean that is not zero."""
    return np.random.default_rng(seed).normal(0.5, 2, shape).astype(dtype)


def test_gradients_of_a_small_batch():
    """X = ±1 with eps 3 and g = (2, 0): Σg = 2, Σxg = 2, so x̂ = ±1/2 takes a quarter off."""
    module = BatchNorm2d(1, eps=3)
    x = np.array([1, -1], np.float32).reshape(2, 1, 1, 1)
    module(x)
    grad_input, grad_weight, grad_bias = module.backward(x + 1)

    assert np.array_equal(grad_input.ravel(), [0.375, -0.375])
    assert (grad_weight, grad_bias) == (1, 2)


def test_gradients_in_eval():
    """With constant statistics grad_input is g·weight/√(var + eps) and no more."""
    module = BatchNorm2d(1, eps=1).eval()
    module.running_mean[...], module.running_var[...], module.weight[...] = 1, 3, 4
    module(np.full((1, 1, 1, 2), 5, np.float32))
    grad_input, grad_weight, grad_bias = module.backward(np.full((1, 1, 1, 2), 3, np.float32))

    assert np.array_equal(grad_input.ravel(), [6, 6])
    assert (grad_weight, grad_bias) == (12, 6)


def test_gradients_are_those_of_the_forward_pass():
    """What is changed after the call does not change its gradients."""
    x, g = normal((2, 3, 4, 4)), normal((2, 3, 4, 4), 1)
    changed, untouched = BatchNorm2d(3).eval(), BatchNorm2d(3).eval()
    for module in (changed, untouched):
        module(x)
    changed.train()
    changed.weight[...], changed.running_mean[...], changed.running_var[...] = 5, 6, 7
    for actual, expected in zip(changed.backward(g), untouched.backward(g), strict=True):
        assert np.array_equal(actual, expected)


@pytest.mark.parametrize("training", [True, False])
def test_gradient_is_the_derivative(training):
    """In float64 grad_input is the central difference of Σ g·y."""
    x, g = normal((2, 2, 2, 3), 0, np.float64), normal((2, 2, 2, 3), 1, np.float64)
    module = BatchNorm2d(2, dtype=np.float64, track_running_stats=False).train(training)
    module.weight[...] = (1.5, -0.5)
    module(x)
    grad_input, _, _ = module.backward(g)
    h = 1e-6
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[index] = h
        difference = ((module(x + step) - module(x - step)) * g).sum() / (2 * h)

        assert abs(difference - grad_input[index]) < 1e-7


@settings(max_examples=100, deadline=None)
@given(
    shape=hnp.array_shapes(min_dims=4, max_dims=4, max_side=6).filter(
        lambda s: s[0] * s[2] * s[3] > 1
    ),
    dtypes=st.sampled_from(
        [(d, d) for d in (np.float32, np.float64, np.float16, BFLOAT16)]
        + [(np.float16, np.float32), (BFLOAT16, np.float32)]
    ),
    layout=st.sampled_from(LAYOUTS),
    grad_layout=st.sampled_from(LAYOUTS),
    flags=st.fixed_dictionaries(
        {"affine": st.booleans(), "bias": st.booleans(), "track_running_stats": st.booleans()}
    ),
    training=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_gradients_are_torchs(*, shape, dtypes, layout, grad_layout, flags, training, seed):
    """Values, absences, types and layouts are torch's for any flags, types and strides."""
    dtype, parameters = dtypes
    # An expanded input repeats one sample: with a single position its variance is zero.
    twins = Twins(shape[1], dtype=parameters, eps=0.5, **flags).train(training)
    x = laid_out(normal(shape, seed, dtype), layout)
    g = laid_out(normal(shape, seed + 1, dtype), grad_layout)
    # Torch rounds a grad_bias of strided 16-bit data to the type of the input.
    ulps = 16 if dtype == parameters else 16 * 2**13 if dtype == np.float16 else 16 * 2**16
    for expected, actual in zip(*twins.differentiate(x, g), strict=True):
        assert (actual is None) == (expected is None)
        if expected is not None:
            assert_close(actual, expected, 64 if expected.dtype == dtype else ulps)
            assert actual.strides == expected.strides


@pytest.mark.parametrize("own", [np.float32, BFLOAT16])
@pytest.mark.parametrize("dtype", [np.float64, np.float16, BFLOAT16, np.int64, np.bool_])
def test_type_of_the_gradient(dtype, own):
    """A gradient of another real type is rounded to the output's before it is used."""
    x, g = normal((2, 3, 4, 4), 0, own), normal((2, 3, 4, 4), 1).astype(dtype)
    for expected, actual in zip(*Twins(3).differentiate(x, g), strict=True):
        assert_close(actual, expected)


@pytest.mark.parametrize("training", [True, False])
def test_nan_in_the_input(training):
    """In eval a nan of the input spoils grad_weight only, in train its channel's grad_input too."""
    x, g = normal((2, 3, 4, 4)), normal((2, 3, 4, 4), 1)
    x[0, 1, 2, 2] = np.nan
    twins = Twins(3).train(training)
    for expected, actual in zip(*twins.differentiate(x, g), strict=True):
        assert_close(actual, expected)


@pytest.mark.parametrize("special", [np.nan, np.inf])
def test_nan_in_the_gradient(special):
    """A nan or infinity of the gradient leaves the other channels finite."""
    module = BatchNorm2d(3)
    module(normal((2, 3, 4, 4)))
    g = normal((2, 3, 4, 4), 1)
    g[0, 1, 2, 2] = special
    grads = module.backward(g)

    assert not np.isfinite(grads[0][:, 1]).any()
    assert all(np.isfinite(np.delete(t, 1, axis=t.ndim > 1)).all() for t in grads)
