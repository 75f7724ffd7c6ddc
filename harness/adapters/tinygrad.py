"""``tinygrad.nn.BatchNorm``, whose arguments are those of ``nn.BatchNorm2d``."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np
from tinygrad import Device, Tensor, nn
from tinygrad.helpers import Context

from harness.adapters.base import OWN_ERRORS, OWN_LAYOUT, OWN_STATE, Layer
from harness.trace import STATE, Array


class BatchNorm(Layer):
    """The layer, on the device that tinygrad's own DEV names."""

    module_dtypes = ("float32", "float64", "float16")
    input_dtypes = ("float32", "float64", "float16")
    counts = True
    bias_apart = False
    bn_harness: ClassVar[dict[str, Any]] = {
        "layout": OWN_LAYOUT,
        "errors": OWN_ERRORS,
        "state": OWN_STATE,
        "versions": {"tinygrad": version("tinygrad")},
    }

    def forward(self, given: Array) -> Array:
        """Return the output, and update the arrays of the state."""
        layer = nn.BatchNorm(
            self.channels,
            eps=self.eps,
            affine=self.weight is not None,
            track_running_stats=self.running_mean is not None,
            momentum=self.momentum,
        )
        for name in STATE:
            array = getattr(self, name)
            if array is not None:
                setattr(layer, name, Tensor(array.copy()))
        self._input = Tensor(np.ascontiguousarray(given))
        with Context(TRAINING=int(self.training)):
            self._output = layer(self._input)
            self._layer = layer
            output = to_numpy(self._output)
        if self.updates:
            for name in STATE[2:]:
                getattr(self, name)[...] = to_numpy(getattr(layer, name))
        return output

    def backward(self, grad_output: Array) -> tuple[Array | None, ...]:
        """Return the gradients of the latest step."""
        parameters = [each for each in (self._layer.weight, self._layer.bias) if each is not None]
        with Context(TRAINING=int(self.training)):
            found = self._output.gradient(
                self._input, *parameters, gradient=Tensor(np.ascontiguousarray(grad_output))
            )
            arrays = [to_numpy(each) for each in found]
        return (*arrays, None, None) if not parameters else tuple(arrays)


def to_numpy(tensor: Tensor) -> Array:
    """Return the values of a tensor, which as a constant is on no device, by the chosen one."""
    held = tensor.clone(Device.DEFAULT) if tensor.uop.device is None else tensor
    return np.asarray(held.numpy())
