"""``mlx.nn.BatchNorm`` on NHWC arrays, by MLX's CPU backend; its momentum is torch's."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, ClassVar

import ml_dtypes
import mlx.core as mx
import numpy as np
from mlx import nn

from harness.adapters.base import (
    NO_COUNTER,
    OWN_ERRORS,
    OWN_LAYOUT,
    OWN_STATE,
    Layer,
    channels_first,
    channels_last,
)
from harness.dtypes import name_of
from harness.trace import Array


class BatchNorm(Layer):
    """The layer with arrays of the module's type, as ``set_dtype`` makes them."""

    module_dtypes = ("float32", "float64", "float16", "bfloat16")
    input_dtypes = ("float32", "float64", "float16", "bfloat16")
    bias_apart = False
    bn_harness: ClassVar[dict[str, Any]] = {
        "num_batches_tracked": NO_COUNTER,
        "layout": OWN_LAYOUT,
        "errors": OWN_ERRORS,
        "state": OWN_STATE,
        "versions": {"mlx": version("mlx")},
    }

    def __init__(self, num_features: int, **arguments: Any) -> None:  # noqa: ANN401
        super().__init__(num_features, **arguments)
        self._layer = nn.BatchNorm(
            num_features,
            eps=float(self.eps),
            momentum=float(self.momentum or 0),
            affine=self.weight is not None,
            track_running_stats=self.running_mean is not None,
        )

    def forward(self, given: Array) -> Array:
        """Return the output, and update the arrays of the state."""
        self._layer.eps, self._layer.momentum = float(self.eps), float(self.momentum or 0)
        self._layer.train(self.training)
        names = ("weight", "bias", "running_mean", "running_var")
        self._given = {
            name: from_numpy(array) for name in names if (array := getattr(self, name)) is not None
        }
        self._layer.update(self._given)
        self._input = from_numpy(channels_last(given))
        output = to_numpy(self._layer(self._input))
        if self.running_mean is not None and self.running_var is not None and self.updates:
            self.running_mean[...] = to_numpy(self._layer.running_mean)
            self.running_var[...] = to_numpy(self._layer.running_var)
        return channels_first(output)

    def backward(self, grad_output: Array) -> tuple[Array | None, ...]:
        """Return the gradients of the latest step."""
        layer, names = self._layer, [name for name in ("weight", "bias") if name in self._given]

        def step(x: mx.array, *parameters: mx.array) -> list[mx.array]:
            layer.update({**self._given, **dict(zip(names, parameters, strict=True))})
            return [layer(x)]

        primals = [self._input, *(self._given[name] for name in names)]
        cotangent = from_numpy(channels_last(grad_output))
        _, found = mx.vjp(step, primals, [cotangent])
        x, *parameters = map(to_numpy, found)
        gradients = dict(zip(names, parameters, strict=True))
        return channels_first(x), gradients.get("weight"), gradients.get("bias")


def from_numpy(array: Array) -> mx.array:
    """Return an array of the same type; MLX would make float64 a float32."""
    return mx.array(np.ascontiguousarray(array), dtype=getattr(mx, name_of(array.dtype)))


def to_numpy(array: mx.array) -> Array:
    """Return an array as NumPy's, which has no bfloat16 of its own."""
    if array.dtype == mx.bfloat16:
        return np.array(array.astype(mx.float32)).astype(ml_dtypes.bfloat16)
    return np.array(array)
