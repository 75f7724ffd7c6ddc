"""Memory layouts, and torch's opinion of them."""

from __future__ import annotations

import warnings

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from harness.case.layouts import LAYOUTS, arrange, describe

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
SHAPES = array_shapes(min_dims=4, max_dims=4, min_side=0, max_side=3)
DTYPES = st.sampled_from(["float64", "float16", ml_dtypes.bfloat16, "int32", "bool", "complex64"])


def torch_says(tensor: torch.Tensor) -> set[str]:
    """Return the memory formats that torch sees."""
    return {
        name
        for name, memory_format in FORMATS.items()
        if (name == "contiguous" or tensor.ndim == 4)
        and tensor.is_contiguous(memory_format=memory_format)
    }


def numbers(shape, dtype="float64"):
    """Return an array of `shape` with values that differ."""
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


@given(SHAPES, DTYPES, st.sampled_from(LAYOUTS))
def test_values(shape, dtype, layout):
    """A layout keeps shape, type and values; `expanded` repeats the first sample."""
    values = numbers(shape, dtype)
    found = arrange(values, layout)
    expected = np.broadcast_to(values[:1], shape) if layout == "expanded" else values

    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, expected)


@given(SHAPES, st.sampled_from(LAYOUTS))
def test_copy(shape, layout):
    """The result is writable and shares no memory with what it was made from."""
    values = numbers(shape)
    found = arrange(values, layout)

    assert found.flags.writeable
    assert not np.shares_memory(found, values)


@pytest.mark.parametrize(
    ("layout", "strides"),
    [
        ("contiguous", (60, 20, 5, 1)),
        ("channels_last", (60, 1, 15, 3)),
        ("transposed", (60, 20, 1, 4)),
        ("sliced", (120, 40, 10, 2)),
        ("expanded", (0, 20, 5, 1)),
    ],
)
def test_strides(layout, strides):
    """Each layout has the strides that its name promises."""
    found = arrange(numbers((2, 3, 4, 5)), layout)

    assert tuple(stride // found.itemsize for stride in found.strides) == strides


@pytest.mark.parametrize(
    ("dtype", "gap"), [("float32", np.nan), ("uint8", 255), ("bool", True), ("int64", 2**63 - 1)]
)
def test_gaps(dtype, gap):
    """Between the elements of `sliced` lies what no kernel should read."""
    buffer = arrange(np.zeros((1, 2), dtype=dtype), "sliced").base

    np.testing.assert_array_equal(buffer, np.array([[0, gap, 0, gap]], dtype=dtype))


@given(SHAPES)
def test_channels_last_in_torch(shape):
    """Torch takes the layout `channels_last` for its memory format, in empty tensors too."""
    tensor = torch.from_numpy(arrange(numbers(shape), "channels_last"))

    assert tensor.is_contiguous(memory_format=torch.channels_last)


@given(SHAPES, st.sampled_from(LAYOUTS))
def test_describe_array(shape, layout):
    """What is said of an array is what torch says of a tensor over it, made without a warning."""
    array = arrange(numbers(shape), layout)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensor = torch.from_numpy(array)

    assert describe(array) == torch_says(tensor)


@st.composite
def strided(draw):
    """Draw a shape, and strides that often fit it."""
    shape = draw(array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=3))
    products = st.sampled_from([0, 1, 2, 3, 4, 6, 8, 9, 12, 18, 27])
    return shape, tuple(draw(products) for _ in shape)


@given(strided())
def test_describe_strides(given_strides):
    """What is said of any shape and strides is what torch says."""
    shape, strides = given_strides

    assert describe((shape, strides)) == torch_says(torch.empty_strided(shape, strides))


@given(array_shapes(min_dims=1, max_dims=5, min_side=0, max_side=3), st.permutations(range(5)))
def test_describe_permuted(shape, order):
    """So it is for dense tensors with their axes in any order in memory."""
    axes = [axis for axis in order if axis < len(shape)]
    tensor = torch.empty([shape[axis] for axis in axes]).permute(*np.argsort(axes).tolist())

    assert describe((tuple(tensor.shape), tensor.stride())) == torch_says(tensor)


@pytest.mark.parametrize(
    ("shape", "layout", "message"),
    [
        ((2, 3), "channels_last", r"'channels_last' needs 4 axes, but the shape is \(2, 3\)"),
        ((1, 2, 3, 4, 5), "channels_last", "needs 4 axes"),
        ((3,), "transposed", "needs 2 axes"),
        ((), "expanded", "needs 1 axes"),
        ((3,), "diagonal", "unknown layout 'diagonal': choose one of contiguous, channels_last"),
    ],
)
def test_refusals(shape, layout, message):
    """A layout that the shape cannot have is refused, with what to choose instead."""
    with pytest.raises(ValueError, match=message):
        arrange(np.zeros(shape), layout)
