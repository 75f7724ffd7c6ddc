"""What torch refuses, in torch's order and words.

The order matters: it decides which of two mistakes is reported, and how far the state has moved.
Sources: `torch/nn/modules/module.py`, `torch/nn/functional.py`,
`aten/src/ATen/native/Normalization.cpp` and `aten/src/ATen/native/cpu/mixed_data_type.h`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from harness.dtypes import FLOATING, dtype
from harness.reference.layout import is_dense
from harness.reference.mathematics import Array

FLOAT32 = dtype("float32")
_SUPPORTED = {dtype(name) for name in FLOATING}
_SIXTEEN_BIT = {dtype("float16"), dtype("bfloat16")}
_SCALAR_TYPES = {
    "bool": "Bool",
    "uint8": "Byte",
    "int8": "Char",
    "int16": "Short",
    "int32": "Int",
    "int64": "Long",
    "uint16": "UInt16",
    "uint32": "UInt32",
    "uint64": "UInt64",
    "float16": "Half",
    "bfloat16": "BFloat16",
    "float32": "Float",
    "float64": "Double",
    "complex64": "ComplexFloat",
    "complex128": "ComplexDouble",
}
_PARAMETERS = ("weight", "bias")
_RANK = 4


def scalar_type(kind: np.dtype[Any]) -> str:
    """Return torch's name of a type, as its messages spell it ("Float", "Long", ...)."""
    return _SCALAR_TYPES.get(kind.name, kind.name)


def is_floating(kind: np.dtype[Any]) -> bool:
    """Tell whether a type is floating-point or complex."""
    return kind.kind in "fc" or kind in _SUPPORTED


def assigned(name: str, value: object) -> Array:
    """Return the array to assign to a parameter or buffer; what is none is refused by TypeError.

    NumPy's arithmetic on arrays of shape () gives scalars where torch's gives tensors.
    """
    if isinstance(value, np.generic):
        return np.asarray(value)
    if isinstance(value, np.ndarray):
        return value
    kind = f"{type(value).__module__}.{type(value).__name__}".removeprefix("builtins.")
    if name in _PARAMETERS:
        of, wanted = "parameter", "torch.nn.Parameter"
    else:
        of, wanted = "buffer", "torch.nn.Buffer, torch.Tensor"
    raise TypeError(f"cannot assign '{kind}' as {of} '{name}' ({wanted} or None expected)")


def size(shape: tuple[int, ...]) -> str:
    """Return a shape as torch prints it."""
    return f"torch.Size({list(shape)})"


def rank(x: object) -> None:
    """Refuse what has not the shape (N, C, H, W): AttributeError, ValueError."""
    if not isinstance(x, np.ndarray):
        raise AttributeError(f"'{type(x).__name__}' object has no attribute 'dim'")  # noqa: TRY004 - torch's type
    if x.ndim != _RANK:
        raise ValueError(f"expected 4D input (got {x.ndim}D input)")


def batch(shape: tuple[int, ...]) -> None:
    """Refuse statistics over a single value, by ValueError."""
    if math.prod(shape[:1] + shape[2:]) == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {size(shape)}"
        )


def epsilon(eps: float, *, of_batch: bool) -> None:
    """Refuse an ε that could divide by zero, by ValueError."""
    if of_batch and eps <= 0.0:
        raise ValueError(f"batch_norm eps must be positive during training, but got {eps}")
    if eps < 0.0:
        raise ValueError(f"batch_norm eps must be non-negative, but got {eps}")


def real_numbers(momentum: float, eps: float) -> tuple[float, float]:
    """Return momentum and eps as float, or refuse them by TypeError or OverflowError."""
    for name, position, value in (("momentum", 7, momentum), ("eps", 8, eps)):
        scalar = isinstance(value, (int, float, np.integer, np.floating, np.bool_))
        if not (scalar or (isinstance(value, np.ndarray) and value.ndim == 0)):
            raise TypeError(
                f"batch_norm(): argument '{name}' (position {position}) must be float,"
                f" not {type(value).__name__}"
            )
    return float(momentum), float(eps)


def lengths(
    features: int,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None,
    bias: Array | None,
    *,
    of_batch: bool,
) -> None:
    """Refuse arrays that have not one element a channel (RuntimeError), and lone statistics.

    One of the running statistics without the other is a ValueError where the batch's statistics
    are used, a RuntimeError where the running ones would be.
    """
    for name, array, needed in (
        ("running_mean", running_mean, not of_batch),
        ("running_var", running_var, not of_batch),
        ("weight", weight, False),
        ("bias", bias, False),
    ):
        if array is not None and array.size != features:
            raise RuntimeError(f"{name} should contain {features} elements not {array.size}")
        if array is None and needed:
            raise RuntimeError(f"{name} must be defined in evaluation mode")
    if (running_mean is None) != (running_var is None):
        raise ValueError("running_mean and running_var must either both be None or neither be None")


def parameter_type(x: Array, *parameters: Array | None, of_batch: bool) -> np.dtype[Any]:
    """Return the type that every parameter and statistic must have beside the input `x`.

    That is the input's own, or float32 beside a 16-bit input; the first array present decides.

    Raises
    ------
    NotImplementedError
        The input is of a type that has no batch normalisation.
    RuntimeError
        The arrays mix types in a way that torch does not know.
    """
    present = [p for p in parameters if p is not None]
    if of_batch and not is_dense(x) and all(p.dtype == x.dtype for p in present):
        mean_type(x)
    if x.dtype not in _SUPPORTED:
        raise NotImplementedError(f"\"batch_norm\" not implemented for '{scalar_type(x.dtype)}'")
    if not present or present[0].dtype == x.dtype:
        return x.dtype
    if any(p.dtype != FLOAT32 for p in present):
        raise RuntimeError("mixed dtype (CPU): expect parameter to have scalar type of Float")
    if x.dtype not in _SIXTEEN_BIT:
        raise RuntimeError("mixed dtype (CPU): all inputs must share same datatype.")
    return FLOAT32


def mean_type(x: Array) -> None:
    """Refuse integers where torch takes the mean of a strided input by `mean()`: RuntimeError."""
    if not is_floating(x.dtype):
        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be either a floating point or"
            f" complex dtype. Got: {scalar_type(x.dtype)}"
        )


def counter(array: Array) -> None:
    """Refuse a counter that 1 cannot be added to: RuntimeError."""
    if array.dtype.kind == "b":
        raise RuntimeError("result type Long can't be cast to the desired output type Bool")


def vector(array: Array | None, expected: np.dtype[Any]) -> None:
    """Refuse an array that is not one-dimensional and of the expected type, by RuntimeError."""
    if array is not None and array.ndim != 1:
        raise RuntimeError(f"TensorAccessor expected 1 dims but tensor has {array.ndim}")
    of_type(array, expected)


def of_type(array: Array | None, expected: np.dtype[Any]) -> None:
    """Refuse an array of another type, by RuntimeError."""
    if array is not None and array.dtype != expected:
        raise RuntimeError(
            f"expected scalar type {scalar_type(expected)} but found {scalar_type(array.dtype)}"
        )


def gradient(grad_output: Array | None, shape: tuple[int, ...], kind: np.dtype[Any]) -> None:
    """Refuse a gradient that cannot be one of an output of this shape and type: RuntimeError."""
    if grad_output is None:
        raise RuntimeError("grad can be implicitly created only for scalar outputs")
    if grad_output.shape != shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output[0] has a shape of {size(grad_output.shape)}"
            f" and output[0] has a shape of {size(shape)}."
        )
    if not is_floating(kind):
        raise RuntimeError("element 0 of tensors does not require grad and does not have a grad_fn")
    if (grad_output.dtype.kind == "c") != (kind.kind == "c"):
        raise RuntimeError(
            "For complex Tensors, both grad_output and output are required to have the same"
            f" dtype. Mismatch in dtype: grad_output[0] has a dtype of torch.{grad_output.dtype}"
            f" and output[0] has a dtype of torch.{kind}."
        )


def second_gradients(weight: Array | None, gg_input: Array | None, gg_bias: Array | None) -> None:
    """Refuse what torch's double backward pass trips over: a bias without a weight.

    Raises
    ------
    RuntimeError
        Something comes by grad_input and by grad_bias, and there is no weight.
    """
    if weight is None and gg_input is not None and gg_bias is not None:
        raise RuntimeError(
            "Expected a proper Tensor but got None (or an undefined Tensor in C++)"
            " for argument #1 'other'"
        )


def gradients_of_parameters(weight: Array | None, bias: Array | None) -> None:
    """Refuse parameters that the forward pass took but that gradients do not fit: RuntimeError.

    Only a bias without axes is taken: autograd sums the gradient to its shape.
    """
    if weight is not None:
        vector(weight, weight.dtype)
    if bias is not None and bias.ndim > 1:
        raise RuntimeError(
            "Function NativeBatchNormBackward0 returned an invalid gradient at index 2 - got"
            f" [{bias.size}] but expected shape compatible with {list(bias.shape)}"
        )
