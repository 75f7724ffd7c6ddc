"""One forward pass and its backward pass: checks, statistics, layouts and types in torch's order.

The functions have the arguments of `torch.nn.functional.batch_norm`; the order of what they check
and change is that of `aten/src/ATen/native/Normalization.cpp`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.reference import checks, layout, mathematics
from harness.reference.arithmetic import Arithmetic
from harness.reference.mathematics import Array
from harness.reference.storage import Storage, working_type

Gradients = tuple[Array, Array | None, Array | None]


@dataclass(frozen=True)
class Saved:
    """What a forward pass leaves for its backward pass."""

    input: Array
    mean: Array
    invstd: Array
    weight: Array | None
    bias: Array | None
    of_batch: bool


def forward(
    x: Array,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None,
    bias: Array | None,
    *,
    of_batch: bool,
    momentum: float,
    eps: float,
    arithmetic: Arithmetic = mathematics,
) -> tuple[Array, Saved]:
    """Normalise `x` (N, C, H, W) and move the running statistics, in place.

    Parameters
    ----------
    running_mean, running_var
        Shape (C,), or None; they move where `of_batch` is true and are used where it is not.
    weight, bias
        C elements, or None.
    of_batch
        Whether the statistics are the batch's own.
    momentum, eps
        Real numbers.
    arithmetic
        What computes the numbers.

    Returns
    -------
    output
        New, of the shape and type of `x`, channels_last where torch suggests that for `x`.
    saved
        For `backward`; it refers to `x`.

    Raises
    ------
    ValueError, TypeError, OverflowError, RuntimeError, NotImplementedError, IndexError
        See `harness.reference.checks`.
    """
    if of_batch:
        checks.batch(x.shape)
    checks.epsilon(eps, of_batch=of_batch)
    momentum, eps = checks.real_numbers(momentum, eps)
    if x.size == 0:
        return _forward_empty(x, weight, bias, of_batch=of_batch)
    features = x.shape[1]
    checks.lengths(features, running_mean, running_var, weight, bias, of_batch=of_batch)
    parameters = weight, bias, running_mean, running_var
    kept = checks.parameter_type(x, *parameters, of_batch=of_batch)
    if not of_batch:
        checks.of_type(bias, kept)
    checks.vector(running_mean, kept)
    checks.vector(running_var, kept)

    elements = layout.channels(x, working_type(x.dtype))
    if of_batch or running_mean is None or running_var is None:
        storage = Storage.of(kept, dense=layout.is_dense(x))
        mean, squares = arithmetic.batch_statistics(elements)
        n = x.size // features
        if running_mean is not None and running_var is not None:
            storage.update_mean(running_mean, mean, momentum)
            storage.update_var(running_var, squares, n, momentum)
        checks.of_type(bias, kept)
        mean, invstd = storage.mean(mean), storage.inverse_std(squares, n, eps)
        scale = invstd
    else:
        # Torch takes the reciprocal of eval twice, for the output and anew for the gradients.
        mean, invstd = running_mean.copy(), mathematics.inverse_std(running_var, eps)
        scale = arithmetic.inverse_std(running_var, eps)

    working = elements.dtype
    mean, invstd = mean.astype(working, copy=False), invstd.astype(working, copy=False)
    saved = Saved(x, mean, invstd, _copy(weight), _copy(bias), of_batch)
    output = layout.empty(x.shape, x.dtype, channels_last=layout.is_channels_last(x))

    def normalise(y: Array) -> None:
        arithmetic.normalise(
            elements,
            mean,
            scale.astype(working, copy=False),
            weight=_vector(weight, working),
            bias=_vector(bias, working),
            out=y,
        )

    layout.write(output, working, normalise)
    return output, saved


def backward(saved: Saved, grad_output: Array, arithmetic: Arithmetic = mathematics) -> Gradients:
    """Return the gradients of input, weight and bias, None where absent.

    Parameters
    ----------
    grad_output
        Shape (N, C, H, W), of a real type; it is cast to the output's.
    arithmetic
        What computes the numbers.

    Returns
    -------
    grad_input
        New, of the input's type and of the output's layout.
    grad_weight, grad_bias
        New, of the shape and type of the parameters.

    Raises
    ------
    RuntimeError
        The weight is not one-dimensional, or the bias has several axes.
    """
    x, mean, invstd = saved.input, saved.mean, saved.invstd
    if x.size == 0:
        return _backward_empty(saved, grad_output)
    checks.gradients_of_parameters(saved.weight, saved.bias)
    working = mean.dtype
    elements = layout.channels(x, working)
    grad = layout.channels(grad_output.astype(x.dtype, copy=False), working)
    weight = _vector(saved.weight, working)
    sums = arithmetic.sums_of_gradients(grad, elements, mean)
    grad_input = layout.empty(x.shape, x.dtype, channels_last=layout.is_channels_last(x))

    def differentiate(out: Array) -> None:
        if saved.of_batch:
            arithmetic.grad_input_of_batch(
                grad, elements, mean, invstd, weight=weight, sums=sums, out=out
            )
        else:
            arithmetic.grad_input_of_constants(grad, invstd, weight=weight, out=out)

    layout.write(grad_input, working, differentiate)
    total, product = sums
    return (
        grad_input,
        None if saved.weight is None else _like(product * invstd, saved.weight),
        None if saved.bias is None else _like(total, saved.bias),
    )


def _like(gradient: Array, parameter: Array) -> Array:
    return gradient.astype(parameter.dtype, copy=False).reshape(parameter.shape)


def _forward_empty(
    x: Array, weight: Array | None, bias: Array | None, *, of_batch: bool
) -> tuple[Array, Saved]:
    """Return a copy of an input without elements, as x·weight[0] + bias[0] would be."""
    kind = x.dtype
    for parameter in (weight, bias):
        if parameter is None:
            continue
        if parameter.size == 0:
            raise IndexError("select(): index 0 out of range for tensor of size [0] at dimension 0")
        if not checks.is_floating(kind):
            kind = parameter.dtype
    nothing = np.empty(0, working_type(kind))
    saved = Saved(x, nothing, nothing, _copy(weight), _copy(bias), of_batch)
    return x.astype(kind), saved


def _backward_empty(saved: Saved, grad_output: Array) -> Gradients:
    """Return the gradients of an input without elements: the parameters' are zero."""
    return (
        grad_output.astype(saved.input.dtype),
        None if saved.weight is None else np.zeros_like(saved.weight),
        None if saved.bias is None else np.zeros_like(saved.bias),
    )


def _copy(parameter: Array | None) -> Array | None:
    return None if parameter is None else parameter.copy()


def _vector(parameter: Array | None, dtype: np.dtype[Any]) -> Array | None:
    return None if parameter is None else parameter.reshape(-1).astype(dtype, copy=False)
