"""A torch module and the reference side by side: the same calls, and what comes of them."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import torch

from harness.reference import BatchNorm2d

torch.set_num_threads(1)

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
ARRAYS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
LAYOUTS = ("contiguous", "channels_last", "transposed", "sliced", "expanded")


def torch_type(dtype):
    """Return torch's counterpart of a NumPy type."""
    return getattr(torch, np.dtype(dtype).name)


def to_torch(array):
    """Return a tensor that shares the memory of an array."""
    if array.dtype == BFLOAT16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def to_numpy(tensor):
    """Return an array that shares the memory of a tensor."""
    tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(BFLOAT16)
    return tensor.numpy()


def laid_out(array, layout):
    """Return the array (N, C, H, W) in one of `LAYOUTS`; expanded repeats the first sample."""
    if layout == "channels_last":
        return np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    if layout == "transposed":
        return np.ascontiguousarray(array.transpose(0, 1, 3, 2)).transpose(0, 1, 3, 2)
    if layout == "sliced":
        return np.repeat(array, 2, axis=3)[..., ::2]
    if layout == "expanded":
        return np.lib.stride_tricks.as_strided(array, array.shape, (0, *array.strides[1:]))
    return array


def outcome(action):
    """Return what an action returns, or the built-in type and the message of what it raises."""
    try:
        return action()
    except Exception as error:
        return next(t for t in type(error).__mro__ if t.__module__ == "builtins"), str(error)


class Twins:
    """The same module twice."""

    def __init__(self, *args, dtype=np.float32, **kwargs):
        self.torch = torch.nn.BatchNorm2d(*args, dtype=torch_type(dtype), **kwargs)
        self.reference = BatchNorm2d(*args, dtype=dtype, **kwargs)

    def set(self, **attributes):
        """Assign to attributes of both; arrays become parameters where torch asks for them."""
        for name, value in attributes.items():
            if isinstance(value, np.ndarray):
                setattr(self.reference, name, value.copy("K"))
                tensor = to_torch(value.copy("K"))
                if name in ("weight", "bias"):
                    differentiable = tensor.is_floating_point() or tensor.is_complex()
                    tensor = torch.nn.Parameter(tensor, differentiable)
                setattr(self.torch, name, tensor)
            else:
                setattr(self.reference, name, value)
                setattr(self.torch, name, value)
        return self

    def train(self, mode=True):
        """Set the mode of both."""
        self.torch.train(mode)
        self.reference.train(mode)
        return self

    def both(self, action):
        """Return the outcomes of an action on torch's module and on the reference."""
        return outcome(lambda: action(self.torch)), outcome(lambda: action(self.reference))

    def call(self, x):
        """Return both outputs or errors, as arrays or (type, message)."""
        expected = outcome(lambda: to_numpy(self.torch(to_torch(x))))
        return expected, outcome(lambda: self.reference(x))

    def differentiate(self, x, grad_output):
        """Return both triples of gradients, after one call."""
        tensor = to_torch(x).requires_grad_()
        parameters = {"weight": self.torch.weight, "bias": self.torch.bias}
        wanted = [tensor] + [p for p in parameters.values() if p is not None]

        def gradients():
            found = iter(torch.autograd.grad(self.torch(tensor), wanted, to_torch(grad_output)))
            return tuple(
                None if p is None else to_numpy(next(found)) for p in (tensor, *parameters.values())
            )

        def reference():
            self.reference(x)
            return self.reference.backward(grad_output)

        return outcome(gradients), outcome(reference)

    def states(self):
        """Return both states: copies of the arrays that are present, by name."""
        expected = {k: to_numpy(v).copy() for k, v in self.torch.state_dict().items()}
        return expected, {k: v.copy() for k, v in self.reference.state_dict().items()}

    def assert_same_state(self, ulps=16):
        """Assert equal names, types, shapes and counters, and statistics within some ulps."""
        expected, actual = self.states()

        assert list(expected) == list(actual)
        for name, array in expected.items():
            assert_close(actual[name], array, ulps)


def assert_close(actual, expected, ulps=16, terms=1.0):
    """Assert equal type and shape, and values within some ulps of the largest.

    `terms` is the magnitude of what cancels on the way, where that is larger.
    """
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    if expected.dtype.kind not in "fcV":
        assert np.array_equal(actual, expected)
        return
    wide = np.complex128 if expected.dtype.kind == "c" else np.float64
    a, e = actual.astype(wide), expected.astype(wide)
    finite = np.isfinite(e)
    assert np.array_equal(np.isnan(a), np.isnan(e))
    assert np.array_equal(a[np.isinf(e)], e[np.isinf(e)])
    real = actual.real.dtype if expected.dtype.kind == "c" else expected.dtype
    largest = np.abs(e[finite]).max(initial=0.0)
    bound = ulps * float(ml_dtypes.finfo(real).eps) * max(largest, terms)
    assert np.abs(a[finite] - e[finite]).max(initial=0.0) <= bound
