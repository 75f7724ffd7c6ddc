"""``flax.nnx.BatchNorm`` on NHWC arrays; its momentum is the complement of torch's."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from harness.adapters.base import (
    NO_COUNTER,
    OWN_ERRORS,
    OWN_LAYOUT,
    OWN_STATE,
    Layer,
    channels_first,
    channels_last,
)
from harness.trace import Array

DOCUMENTED = (
    "https://flax.readthedocs.io/en/latest/api_reference/flax.nnx/nn/normalization.html"
    "#flax.nnx.BatchNorm"
)


class BatchNorm(Layer):
    """``nnx.BatchNorm`` as it comes: ``use_fast_variance=True``."""

    input_dtypes = ("float32", "float16", "bfloat16")
    fast_variance: ClassVar[bool] = True
    bn_harness: ClassVar[dict[str, Any]] = {
        "running_var": {
            "is": "biased",
            "reason": "'exponential moving average of the batch statistics'",
            "link": DOCUMENTED,
        },
        "num_batches_tracked": NO_COUNTER,
        "layout": OWN_LAYOUT,
        "errors": OWN_ERRORS,
        "state": OWN_STATE,
        "versions": {name: version(name) for name in ("flax", "jax")},
    }

    def forward(self, given: Array) -> Array:
        """Return the output, and update the arrays of the state."""
        self._differentiated = self._function(jnp.asarray(channels_last(given)))
        function, arguments = self._differentiated
        output, mean, variance = function(*arguments)
        if self.running_mean is not None and self.running_var is not None and self.updates:
            self.running_mean[...] = mean
            self.running_var[...] = variance
        return channels_first(np.asarray(output))

    def backward(self, grad_output: Array) -> tuple[Array | None, ...]:
        """Return the gradients of the latest step."""
        function, arguments = self._differentiated
        _, pull = jax.vjp(lambda *given: function(*given)[0], *arguments)
        x, scale, bias = pull(jnp.asarray(channels_last(grad_output)))
        return (
            channels_first(np.asarray(x)),
            None if scale is None else np.asarray(scale),
            None if bias is None else np.asarray(bias),
        )

    def _function(self, x: jax.Array) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Return the step as a function of input, scale and bias, and these."""
        mean, variance = self.running_mean, self.running_var
        statistics = (
            None if mean is None else jnp.array(mean),
            None if variance is None else jnp.array(variance),
        )
        average, decay, eps = not self.batch_statistics, 1 - float(self.momentum or 0), self.eps

        def step(x: Any, scale: Any, bias: Any) -> tuple[Any, Any, Any]:  # noqa: ANN401  # traced
            layer = nnx.BatchNorm(
                self.channels,
                use_running_average=average,
                momentum=decay,
                epsilon=eps,
                dtype=x.dtype,
                use_scale=scale is not None,
                use_bias=bias is not None,
                use_fast_variance=self.fast_variance,
                rngs=nnx.Rngs(0),
            )
            for variable, value in zip(
                (layer.scale, layer.bias, layer.mean, layer.var),
                (scale, bias, *statistics),
                strict=True,
            ):
                if value is not None:
                    variable[...] = value
            return layer(x), layer.mean[...], layer.var[...]

        given = [None if each is None else jnp.array(each) for each in (self.weight, self.bias)]
        return step, (x, *given)


class TwoPassBatchNorm(BatchNorm):
    """``nnx.BatchNorm`` with ``use_fast_variance=False``."""

    fast_variance = False
