"""``keras.layers.BatchNormalization`` with Keras's JAX backend, on NCHW arrays (``axis=1``).

Keras's momentum is the complement of torch's, and its own defaults are others: momentum 0.99,
epsilon 1e-3.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax  # Keras reads its backend's name when it is imported
import keras

from harness.adapters.base import NO_COUNTER, OWN_ERRORS, OWN_LAYOUT, OWN_STATE, Layer
from harness.dtypes import name_of
from harness.trace import Array

DOCUMENTED = "https://keras.io/api/layers/normalization_layers/batch_normalization/"


class BatchNorm(Layer):
    """A layer of the input's dtype policy; its statistics and parameters are float32."""

    input_dtypes = ("float32", "float16", "bfloat16")
    bn_harness: ClassVar[dict[str, Any]] = {
        "running_var": {
            "is": "biased",
            "reason": "'moving_var = moving_var * momentum + var(batch) * (1 - momentum)'",
            "link": DOCUMENTED,
        },
        "num_batches_tracked": NO_COUNTER,
        "layout": OWN_LAYOUT,
        "errors": OWN_ERRORS,
        "state": OWN_STATE,
        "versions": {name: version(name) for name in ("keras", "jax")},
    }

    def forward(self, given: Array) -> Array:
        """Return the output, and update the arrays of the state."""
        self._differentiated = self._function(jax.numpy.asarray(given))
        function, arguments = self._differentiated
        output, (mean, variance) = function(*arguments)
        if self.running_mean is not None and self.running_var is not None and self.updates:
            self.running_mean[...] = mean
            self.running_var[...] = variance
        return np.asarray(output)

    def backward(self, grad_output: Array) -> tuple[Array | None, ...]:
        """Return the gradients of the latest step."""
        function, arguments = self._differentiated
        _, pull = jax.vjp(lambda *given: function(*given)[0], *arguments)
        x, parameters = pull(jax.numpy.asarray(grad_output))
        found = [np.asarray(each) for each in parameters]
        return (
            np.asarray(x),
            None if self.weight is None else found.pop(0),
            None if self.bias is None else found.pop(0),
        )

    def _function(self, x: jax.Array) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Return the step as a function of input and parameters, and these."""
        kind = name_of(np.dtype(x.dtype))
        layer = keras.layers.BatchNormalization(
            axis=1,
            momentum=1 - float(self.momentum or 0),
            epsilon=float(self.eps),
            center=self.bias is not None,
            scale=self.weight is not None,
            dtype=kind if kind == "float32" else f"mixed_{kind}",
        )
        layer.build((None, self.channels, None, None))
        parameters = [
            jax.numpy.array(each) for each in (self.weight, self.bias) if each is not None
        ]
        mean, variance = self.running_mean, self.running_var
        statistics = [
            jax.numpy.zeros(self.channels) if mean is None else jax.numpy.array(mean),
            jax.numpy.ones(self.channels) if variance is None else jax.numpy.array(variance),
        ]
        training = self.batch_statistics

        def step(x: Any, parameters: list[Any]) -> tuple[Any, Any]:  # noqa: ANN401  # traced
            output: tuple[Any, Any] = layer.stateless_call(
                parameters, statistics, x, training=training
            )
            return output

        return step, (x, parameters)
