"""The fused arithmetic: torch's results bit for bit, and whose it gives elsewhere."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from twins import BFLOAT16, Twins, assert_close, laid_out

from harness.errors import InvalidInput
from harness.reference import BatchNorm2d, FusedBatchNorm2d
from harness.targets import resolve

CAPABILITY = torch.backends.cpu.get_cpu_capability()
on_x86 = pytest.mark.skipif(
    CAPABILITY not in ("AVX2", "AVX512"),
    reason=f"the order of operations is that of AVX2 and AVX-512, not of {CAPABILITY}",
)


class FusedTwins(Twins):
    """A torch module beside the fused reference."""

    def __init__(self, *args, dtype=np.float32, **kwargs):
        super().__init__(*args, dtype=dtype, **kwargs)
        self.reference = FusedBatchNorm2d(*args, dtype=dtype, **kwargs)


def normal(shape, seed=0, dtype=np.float32):
    """Return normal data with a mean that is not zero."""
    return np.random.default_rng(seed).normal(1.5, 2, shape).astype(dtype)


def with_state(twins, seed):
    """Give both modules the same parameters and statistics, the variance positive."""
    for name in ("weight", "bias", "running_mean", "running_var"):
        array = getattr(twins.reference, name)
        if array is not None:
            seed += 1
            values = normal(array.shape, seed, array.dtype)
            twins.set(**{name: np.abs(values) if name == "running_var" else values})
    return twins


def assert_same_bits(actual, expected):
    """Assert equal types and bits, where neither is nan."""
    assert actual.dtype == expected.dtype
    assert np.array_equal(actual, expected, equal_nan=True)
    assert np.array_equal(np.signbit(actual[actual == 0]), np.signbit(expected[expected == 0]))


def assert_bit_for_bit(twins, x, g):
    """Assert that outputs, gradients and statistics of one step have torch's bits."""
    expected, actual = twins.call(x)
    assert_same_bits(actual, expected)
    for wanted, found in zip(*twins.differentiate(x, g), strict=True):
        assert (found is None) == (wanted is None)
        if wanted is not None:
            assert_same_bits(found, wanted)
    for wanted, found in zip(*(s.values() for s in twins.states()), strict=True):
        assert_same_bits(found, wanted)


@on_x86
@settings(max_examples=100, deadline=None)
@given(
    # Vectors hold up to 8 elements: lengths below, between and beyond.
    shape=st.tuples(*(st.integers(1, side) for side in (4, 19, 7, 7))).filter(
        lambda s: s[0] * s[2] * s[3] > 1
    ),
    dtype=st.sampled_from([np.float32, np.float64]),
    layout=st.sampled_from(["contiguous", "channels_last"]),
    flags=st.fixed_dictionaries(
        {
            "affine": st.booleans(),
            "bias": st.booleans(),
            "track_running_stats": st.booleans(),
            "momentum": st.sampled_from([0.1, 0.37, 1, None]),
            "eps": st.sampled_from([1e-5, 1e-3, 1.0]),
        }
    ),
    modes=st.lists(st.booleans(), min_size=1, max_size=3),
    seed=st.integers(0, 1000),
)
def test_dense_inputs_are_bit_for_bit(*, shape, dtype, layout, flags, modes, seed):
    """Dense float32 and float64 have torch's bits: outputs, gradients, statistics, any flags."""
    twins = with_state(FusedTwins(shape[1], dtype=dtype, **flags), seed)
    for mode in modes:
        seed += 1
        x, g = (laid_out(normal(shape, seed + i, dtype), layout) for i in (0, 9))

        assert_bit_for_bit(twins.train(mode), x, g)


@on_x86
@settings(max_examples=50, deadline=None)
@given(
    x=hnp.arrays(np.float32, (2, 2, 3, 3), elements=st.floats(width=32)),
    layout=st.sampled_from(["contiguous", "channels_last"]),
    training=st.booleans(),
)
def test_any_float32_is_bit_for_bit(x, layout, training):
    """Outputs and statistics of any bits, nan and infinities included, are torch's."""
    twins = with_state(FusedTwins(2), 0).train(training)
    expected, actual = twins.call(laid_out(x, layout))

    assert_same_bits(actual, expected)
    for wanted, found in zip(*(s.values() for s in twins.states()), strict=True):
        assert_same_bits(found, wanted)


@on_x86
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((3, 5, 61, 67), "contiguous"),
        ((2, 1, 200, 200), "contiguous"),
        ((300, 33, 1, 1), "contiguous"),
        ((2, 129, 5, 7), "channels_last"),
    ],
)
def test_large_inputs_are_bit_for_bit(shape, layout, training, dtype):
    """Long sums, and more channels than a block, have torch's bits."""
    twins = with_state(FusedTwins(shape[1], dtype=dtype), 1).train(training)
    x, g = (laid_out(normal(shape, i, dtype) + 100, layout) for i in (1, 2))

    assert_bit_for_bit(twins, x, g)


@on_x86
def test_a_constant_channel_is_not_zero():
    """Where the mean is folded into β, 5 is not normalised to 0, and 1e8 far from it, as in torch.

    The default arithmetic subtracts first and gives 0.
    """
    x = np.full((2, 2, 4, 4), 5, np.float32)
    x[:, 1] = 1e8
    expected, actual = FusedTwins(2).call(x)

    assert_same_bits(actual, expected)
    assert actual.all()
    assert not BatchNorm2d(2)(x).any()


@pytest.mark.parametrize(
    ("dtype", "layout"),
    [
        (np.float32, "transposed"),
        (np.float64, "sliced"),
        (np.float16, "contiguous"),
        (BFLOAT16, "channels_last"),
    ],
)
def test_other_inputs_are_computed_by_default(dtype, layout):
    """Strided and 16-bit inputs have the bits of the default arithmetic."""
    x, g = (laid_out(normal((2, 3, 4, 5), i, dtype), layout) for i in (0, 1))
    plain, fused = BatchNorm2d(3, dtype=dtype), FusedBatchNorm2d(3, dtype=dtype)

    assert_same_bits(fused(x), plain(x))
    for actual, expected in zip(fused.backward(g), plain.backward(g), strict=True):
        assert_same_bits(actual, expected)


@pytest.mark.parametrize(
    ("layout", "grad_layout"), [("contiguous", "channels_last"), ("channels_last", "transposed")]
)
def test_gradient_of_another_layout(layout, grad_layout):
    """A gradient of another layout than the input's goes through the default arithmetic."""
    x = laid_out(normal((2, 3, 4, 5)), layout)
    g = laid_out(normal((2, 3, 4, 5), 1), grad_layout)
    for expected, actual in zip(*FusedTwins(3).differentiate(x, g), strict=True):
        assert_close(actual, expected, 64)


@pytest.mark.parametrize("shape", [(0, 3, 2, 2), (2, 3, 0, 1), (1, 3, 1, 1), (2, 4, 2, 2), (2, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_refusals_and_empty_inputs(shape, dtype):
    """What is refused, and what an empty input leaves, does not depend on the arithmetic."""
    twins = FusedTwins(3)
    expected, actual = twins.call(np.zeros(shape, dtype))

    assert isinstance(actual, tuple) == isinstance(expected, tuple)
    assert isinstance(actual, tuple) or actual.shape == expected.shape
    assert not isinstance(actual, tuple) or actual == expected
    twins.assert_same_state(ulps=0)


def test_name_of_the_target():
    """`reference:arithmetic=fused` names it, `reference:arithmetic=plain` the default."""
    names = ["reference:arithmetic=fused", "reference:arithmetic=plain"]

    assert [resolve(name).info.name for name in names] == names


@pytest.mark.parametrize("options", ["arithmetic=exact", "speed=2", "arithmetic=fused,speed=2"])
def test_options_that_are_unknown(options):
    """Another option, or another arithmetic, is refused with those that there are."""
    with pytest.raises(InvalidInput, match="arithmetic=plain or fused"):
        resolve(f"reference:{options}")
