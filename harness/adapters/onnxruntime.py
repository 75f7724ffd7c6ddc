"""``BatchNormalization`` of ONNX (opset 15) by ONNX Runtime's CPU provider, forward only.

The operator's momentum is the complement of torch's, an attribute of type float32, and scale and
bias are always there: a module without them gives 1 and 0.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np
import onnxruntime
from onnx import helper
from onnxruntime.capi import onnxruntime_pybind11_state as errors

from harness.adapters.base import NO_COUNTER, OWN_ERRORS, OWN_LAYOUT, OWN_STATE, Layer
from harness.dtypes import dtype, name_of
from harness.targets.support import Unsupported
from harness.trace import Array

DOCUMENTED = "https://onnx.ai/onnx/operators/onnx__BatchNormalization.html"
OPSET, IR = 15, 8
PLANES = 2
"""Axes from which an array has channels."""


class BatchNorm(Layer):
    """An operator of its own for each mode: ``training_mode`` is an attribute."""

    module_dtypes = ("float32", "float64", "float16", "bfloat16")
    input_dtypes = ("float32", "float64", "float16", "bfloat16")
    bn_harness: ClassVar[dict[str, Any]] = {
        "running_var": {
            "is": "biased",
            "reason": "the running variance averages the population variance of the batch",
            "link": DOCUMENTED,
        },
        "momentum": {
            "is": "float32 complement",
            "reason": "the attribute is the weight of the old statistic, of type float",
            "link": DOCUMENTED,
        },
        "eps": {
            "is": "float32",
            "reason": "the attribute is of type float",
            "link": DOCUMENTED,
        },
        "num_batches_tracked": NO_COUNTER,
        "layout": OWN_LAYOUT,
        "errors": OWN_ERRORS,
        "state": OWN_STATE,
        "versions": {name: version(name) for name in ("onnx", "onnxruntime")},
    }

    def forward(self, given: Array) -> Array:
        """Return the output, and update the arrays of the state."""
        kind = next(
            (each.dtype for each in (self.weight, self.running_mean) if each is not None),
            given.dtype,
        )
        # Where no array of the module's has a length, the stand-ins have the input's.
        held = [each.size for each in (self.weight, self.running_mean) if each is not None]
        count = held[0] if held else given.shape[1] if given.ndim >= PLANES else self.channels
        ones, zeros = np.ones(count, kind), np.zeros(count, kind)
        batch = self.batch_statistics
        run = session(
            name_of(given.dtype), name_of(kind), float(self.eps), float(self.momentum or 0), batch
        )
        arrays = {
            "x": np.ascontiguousarray(given),
            "scale": ones if self.weight is None else self.weight,
            "bias": zeros if self.bias is None else self.bias,
            "mean": zeros if self.running_mean is None else self.running_mean,
            "variance": ones if self.running_var is None else self.running_var,
        }
        output, *statistics = run.run(None, arrays)
        if self.running_mean is not None and self.running_var is not None and self.updates:
            self.running_mean[...], self.running_var[...] = statistics
        return np.asarray(output)


@lru_cache(maxsize=64)
def session(
    element: str, parameter: str, eps: float, momentum: float, training: bool
) -> onnxruntime.InferenceSession:
    """Return a session of one operator.

    Parameters
    ----------
    element, parameter : str
        Types of the input, and of parameters and statistics.
    eps, momentum : float
        In torch's sense.
    training : bool
        Normalise by the batch, and give the running statistics back.

    Raises
    ------
    Unsupported
        ONNX Runtime has no kernel of these types.
    """
    types = {"x": element, "y": element}
    inputs = ("x", "scale", "bias", "mean", "variance")
    outputs = ("y", "new_mean", "new_variance") if training else ("y",)

    def value(name: str) -> Any:  # noqa: ANN401  # a message of protobuf
        kind = helper.np_dtype_to_tensor_dtype(dtype(types.get(name, parameter)))
        return helper.make_tensor_value_info(name, kind, None)

    node = helper.make_node(
        "BatchNormalization",
        inputs,
        outputs,
        epsilon=eps,
        momentum=1 - momentum,
        training_mode=int(training),
    )
    graph = helper.make_graph([node], "one", [*map(value, inputs)], [*map(value, outputs)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except (errors.NotImplemented, errors.InvalidGraph, errors.Fail) as error:
        reason = str(error).splitlines()[0]
        raise Unsupported(f"ONNX Runtime takes no such operator: {reason}") from None
