"""What adapters hand to a framework, with frameworks made for the test."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch

import harness
from harness.adapters.base import (
    NO_COUNTER,
    OWN_ERRORS,
    OWN_LAYOUT,
    Layer,
    channels_first,
    channels_last,
)
from harness.case.model import Case

torch.set_num_threads(1)


def normalise(x, parameters, mean, var, eps):
    """Return batch normalisation of an NHWC array."""
    scale, bias = parameters
    return (x - mean) * (scale / np.sqrt(var + eps)).astype(x.dtype) + bias


class Framed(Layer):
    """An adapter of a framework in NHWC that keeps the biased variance."""

    bn_harness: ClassVar = {
        "running_var": {"is": "biased", "reason": "the framework says so"},
        "num_batches_tracked": NO_COUNTER,
        "layout": OWN_LAYOUT,
        "errors": OWN_ERRORS,
    }

    def forward(self, given):
        """Return the output, and update the arrays of the state."""
        x = channels_last(given)
        mean, var = self.running_mean, self.running_var
        if self.batch_statistics:
            mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
        if self.updates:
            factor = np.float32(self.momentum)
            self.running_mean += factor * (mean - self.running_mean)
            self.running_var += factor * (var - self.running_var)
        scale = np.float32(1) if self.weight is None else self.weight
        bias = np.float32(0) if self.bias is None else self.bias
        return channels_first(normalise(x, (scale, bias), mean, var, np.float32(self.eps)))


def case(*steps, **module):
    """Return a case of three channels."""
    module = {"num_features": 3, **module}
    return Case.model_validate({"id": "one", "why": "One.", "module": module, "steps": steps})


def judged(cls, *steps, **module):
    """Return what a class comes to."""
    return harness.run(case(*steps, **module), [cls])["one"].results.popitem()[1]


TRAIN = {"train": {"input": {"shape": [4, 3, 2, 2], "fill": "normal", "seed": 3}}}
EVAL = {"eval": {"input": {"shape": [4, 3, 2, 2], "fill": "normal", "seed": 4}}}


@pytest.mark.parametrize(
    "module",
    [
        {},
        {"affine": False},
        {"track_running_stats": False},
        {"bias": False},
        {"momentum": 0.4, "eps": 0.01},
    ],
)
def test_an_adapter_has_the_interface_of_batch_norm(module):
    """A framework's layer behind the common interface agrees for every flag that it maps."""
    assert judged(Framed, TRAIN, TRAIN, EVAL, **module).verdict == "agree"


@pytest.mark.filterwarnings("ignore:.* refuses ")
@pytest.mark.parametrize(
    ("steps", "module", "said"),
    [
        ((TRAIN,), {"momentum": None}, "momentum=None"),
        ((TRAIN,), {"dtype": "float64"}, "no type float64"),
        (({"set": {"momentum": None}}, TRAIN), {}, "momentum=None"),
        (({"set": {"running_mean": None}}, TRAIN), {}, "by the constructor alone"),
        (({"set": {"track_running_stats": False}}, TRAIN), {}, "by the constructor alone"),
        (({"set": {"num_batches_tracked": 3}}, TRAIN), {}, "no counter"),
        (({"train": {"input": {"shape": [4, 3], "fill": "ones", "dtype": "int64"}}},), {}, "int64"),
        (({"call": "reset_running_stats"},), {}, "no reset_running_stats"),
        (({"save": "before"},), {}, "no state_dict"),
        (({"cast": "float16"},), {}, "no to"),
    ],
)
def test_what_the_framework_has_no_word_for_is_unsupported(steps, module, said):
    """An adapter refuses what it cannot say in the framework's words, with the reason."""
    result = judged(Framed, *steps, **module)

    assert result.verdict == "unsupported"
    assert said in result.reason


def test_a_layer_without_a_separate_bias_refuses_a_weight_alone():
    """Where weight and bias come together, bias=False is unsupported."""
    joined = type("Joined", (Framed,), {"bias_apart": False})

    assert judged(joined, TRAIN, bias=False).verdict == "unsupported"


class Session:
    """A session of the made framework: one BatchNormalization, as ONNX defines it."""

    nodes: ClassVar[list] = []

    def __init__(self, model, options, providers):
        assert options.intra_op_num_threads == 1
        assert providers == ["CPUExecutionProvider"]
        self.node = model
        self.nodes.append(model)

    def run(self, _, arrays):
        """Return the operator's outputs."""
        x, scale, bias, mean, var = (
            arrays[name] for name in ("x", "scale", "bias", "mean", "variance")
        )
        kept, rest = np.float32(self.node["momentum"]), []
        if self.node["training_mode"]:
            old = mean, var
            mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
            new = zip(old, (mean, var), strict=True)
            rest = [kept * one + (1 - kept) * other for one, other in new]
        eps = np.float32(self.node["epsilon"])
        output = normalise(channels_last(x), (scale, bias), mean, var, eps)
        return [channels_first(output), *rest]


@pytest.fixture
def onnxruntime(monkeypatch):
    """Return the adapter of ONNX Runtime in front of the made framework."""
    helper = SimpleNamespace(
        np_dtype_to_tensor_dtype=lambda kind: kind,
        make_tensor_value_info=lambda *_: None,
        make_node=lambda *_, **attributes: attributes,
        make_graph=lambda nodes, *_: nodes[0],
        make_opsetid=lambda *_: None,
        make_model=lambda node, **_: SimpleNamespace(SerializeToString=lambda: node),
    )
    errors = SimpleNamespace(
        **{
            name: type(name, (Exception,), {})
            for name in ("NotImplemented", "InvalidGraph", "Fail")
        }
    )
    made = {
        "onnx": {"helper": helper},
        "onnxruntime": {"InferenceSession": Session, "SessionOptions": SimpleNamespace},
        "onnxruntime.capi": {"onnxruntime_pybind11_state": errors},
    }
    for name, attributes in made.items():
        module = ModuleType(name)
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "1.0")
    monkeypatch.setattr(Session, "nodes", [])
    name = "harness.adapters.onnxruntime"
    monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module(name)
    sys.modules.pop(name, None)


def test_onnx_is_given_the_complement_of_momentum(onnxruntime):
    """The operator gets 1 - momentum, and training_mode where the batch normalises."""
    result = judged(onnxruntime.BatchNorm, TRAIN, EVAL, momentum=0.25, eps=0.01)

    assert result.verdict == "agree"
    assert [node["momentum"] for node in Session.nodes] == [0.75, 0.75]
    assert [node["training_mode"] for node in Session.nodes] == [1, 0]
    assert {node["epsilon"] for node in Session.nodes} == {0.01}


@pytest.mark.parametrize("module", [{"affine": False}, {"track_running_stats": False}])
def test_onnx_always_has_all_of_its_inputs(onnxruntime, module):
    """A module without parameters or statistics gives 1 and 0, and normalises as torch does."""
    result = judged(onnxruntime.BatchNorm, TRAIN, EVAL, **module)

    assert result.verdict == "agree"


def test_onnx_without_a_backward_pass_is_unsupported(onnxruntime):
    """A case that asks for gradients is judged on its output, and counted as unsupported."""
    step = {"train": {**TRAIN["train"], "grad_output": {"fill": "ones"}}}
    result = judged(onnxruntime.BatchNorm, step)

    assert (result.verdict, result.reason) == ("unsupported", "the class has no backward")
    assert "output" in result.quantities
