"""``torch.nn.BatchNorm2d`` behind the harness's protocol: JSON lines over stdin and stdout.

    bn-harness run --target 'exec:python3.8 torch_worker.py'

One file for Python 3.8 and torch 1.8 and later that needs NumPy and torch and nothing of the
harness, so that it runs wherever an old or a foreign torch does. ``docs/protocol.md`` describes
the messages.
"""

from __future__ import annotations

import base64
import copy
import inspect
import json
import os
import platform
import re
import sys
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

PROTOCOL = 1
LEAVES = ("input", "weight", "bias")
STATE = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
DTYPES = {
    # Of each type the NumPy type that its bits are read as.
    "float16": "<f2",
    "bfloat16": "<i2",
    "float32": "<f4",
    "float64": "<f8",
    "bool": "?",
    "uint8": "u1",
    "int32": "<i4",
    "int64": "<i8",
    "complex64": "<c8",
}
DEFAULTS = {
    "eps": 1e-5,
    "momentum": 0.1,
    "affine": True,
    "track_running_stats": True,
    "bias": True,
    "dtype": "float32",
}


class Unsupported(Exception):  # noqa: N818  # no mistake, an answer
    """Something that the case asks for and this torch lacks."""


def hello() -> dict[str, Any]:
    """Return what this worker is."""
    reason = (
        "with {0} parameters, torch keeps batch statistics and momentum in {0} "
        "(aten/src/ATen/native/Normalization.cpp)"
    )
    return {
        "protocol": PROTOCOL,
        "versions": {
            "torch": str(torch.__version__),
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "dtypes": list(DTYPES),
        "backward": True,
        "double_backward": True,
        "state_dict": True,
        "declares": [
            {"parameters": name, "statistics": name, "reason": reason.format(name)}
            for name in ("float16", "bfloat16")
        ],
    }


class Memory:
    """An array of a message, as a tensor in fresh memory."""

    def __init__(self, message: dict[str, Any]) -> None:
        shape = message["shape"]
        strides = message.get("strides", row_major(shape))
        self.sent = base64.b64decode(message["data"])
        self.flat = np.frombuffer(bytearray(self.sent), DTYPES[message["dtype"]])
        flat = torch.from_numpy(self.flat)
        if message["dtype"] == "bfloat16":
            flat = flat.view(torch.bfloat16)
        self.tensor = flat.as_strided(shape, strides)

    def changed(self) -> bool:
        """Whether the memory is no longer as it was sent."""
        return self.flat.tobytes() != self.sent


def row_major(shape: Sequence[int]) -> list[int]:
    """Return the strides of a row-major array; an empty axis counts as one."""
    strides: list[int] = []
    step = 1
    for size in reversed(shape):
        strides.insert(0, step)
        step *= max(size, 1)
    return strides


def packed(tensor: torch.Tensor | None) -> dict[str, Any] | None:
    """Return a tensor as a message has it, None for none."""
    if tensor is None:
        return None
    tensor = tensor.detach().cpu()
    name = str(tensor.dtype).partition(".")[2]
    if name not in DTYPES:
        raise TypeError(f"the protocol has no {name}")
    span = 0
    if tensor.numel():
        span = 1 + sum((n - 1) * tensor.stride(axis) for axis, n in enumerate(tensor.shape))
    memory = tensor.as_strided((span,), (1,))
    if name == "bfloat16":
        memory = memory.view(torch.int16)
    data = memory.contiguous().numpy().astype(DTYPES[name]).tobytes()
    return {
        "dtype": name,
        "shape": list(tensor.shape),
        "strides": list(tensor.stride()),
        "data": base64.b64encode(data).decode(),
    }


def plain(value: Any) -> Any:  # noqa: ANN401  # what an attribute can be
    """Return a number; one that is not finite comes as its name."""
    return float(value) if isinstance(value, str) else value


def construct(given: dict[str, Any]) -> torch.nn.Module:
    """Return the module; where the constructor knows no dtype it is converted."""
    arguments = {name: value if name == "dtype" else plain(value) for name, value in given.items()}
    known = set(inspect.signature(torch.nn.BatchNorm2d).parameters)
    convert = None
    for name in sorted(set(arguments) - known):
        value = arguments.pop(name)
        if name == "dtype":
            convert = getattr(torch, value)
        elif value is not DEFAULTS[name]:
            raise Unsupported(f"the constructor of torch {torch.__version__} has no {name}")
    if "dtype" in arguments:
        arguments["dtype"] = getattr(torch, arguments["dtype"])
    module = torch.nn.BatchNorm2d(**arguments)
    return module if convert is None else module.to(convert)


class Walk:
    """One walk through a case's steps."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.steps = case["steps"]
        self.module = construct(case["module"])
        self.saved: dict[str, Any] = {}
        self.awaited = {step["backward"]["of"] for step in self.steps if "backward" in step}
        self.passed: dict[int, tuple[Memory, torch.Tensor, dict[str, Any]]] = {}
        for name, value in case["state"].items():
            with torch.no_grad():
                getattr(self.module, name).copy_(Memory(value).tensor)

    def state(self) -> dict[str, Any]:
        """Return the arrays that the module holds."""
        found = {name: getattr(self.module, name, None) for name in STATE}
        return {
            name: packed(value) if isinstance(value, torch.Tensor) else None
            for name, value in found.items()
        }

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the tensors themselves that the module holds."""
        found = {name: getattr(self.module, name, None) for name in STATE}
        return {name: value for name, value in found.items() if isinstance(value, torch.Tensor)}

    def run(self) -> Iterator[dict[str, Any]]:
        """Yield what each execution of each step did."""
        for index, step in enumerate(self.steps):
            ((kind, what),) = step.items()
            repeat = what["repeat"] if kind in ("train", "eval") else 1
            for repetition in range(repeat):
                record: dict[str, Any] = {"step": index, "repetition": repetition, "phase": kind}
                held = self.tensors()
                try:
                    self.do(index, kind, what, record)
                except KeyboardInterrupt:
                    raise
                except Unsupported as reason:
                    record["unsupported"] = str(reason)
                except BaseException as error:
                    record["raised"] = raised(record["phase"], error)
                try:
                    record["state"] = self.state()
                except Exception as error:
                    record.setdefault("raised", raised("state", error))
                    record["state"] = {}
                now = self.tensors()
                record["replaced"] = [name for name in held if now.get(name) is not held[name]]
                del record["phase"]
                yield record

    def do(self, index: int, kind: str, what: Any, record: dict[str, Any]) -> None:  # noqa: ANN401  # by kind
        """Execute a step."""
        if kind in ("train", "eval"):
            getattr(self.module, kind)()
            self.forward(index, what, record)
        elif kind == "backward":
            self.later(what, record)
        elif kind == "set":
            for name, value in what.items():
                self.assign(name, value)
        elif kind == "call":
            if what == "deepcopy":
                self.module = copy.deepcopy(self.module)
            else:
                getattr(self.module, what)()
        elif kind == "cast":
            self.module = self.module.to(getattr(torch, what))
        elif kind == "save":
            self.save(what, record)
        elif kind == "load":
            self.load(what)
        else:
            raise Unsupported(f"the worker has no step {kind}")

    def forward(self, index: int, what: dict[str, Any], record: dict[str, Any]) -> None:
        """Run the module, and backward if there is a gradient of the output."""
        record["phase"], record["input_changed"] = "forward", False
        results = record["results"] = {}
        self.passed.pop(index, None)
        differentiate = index in self.awaited or "grad_output" in what
        asked = what.get("requires_grad", LEAVES)
        given = Memory(what["input"])
        tensor = given.tensor
        parameters = self.parameters()
        constants = [each for name, each in parameters.items() if name not in asked]
        for each in constants:
            each.requires_grad_(False)
        try:
            with torch.set_grad_enabled(differentiate):
                real = tensor.is_floating_point() or tensor.is_complex()
                if differentiate and "input" in asked and real:
                    tensor.requires_grad_()
                output = self.module(tensor)
            results["output"] = packed(output)
        finally:
            record["input_changed"] = given.changed()
            for each in constants:
                each.requires_grad_()
        leaves = {name: {**parameters, "input": tensor}.get(name) for name in asked}
        if index in self.awaited:
            self.passed[index] = given, output, leaves
        if "grad_output" in what:
            seeds = {name: Memory(each) for name, each in what.get("double_backward", {}).items()}
            self.backward(given, output, leaves, Memory(what["grad_output"]), record, seeds=seeds)

    def parameters(self) -> dict[str, torch.Tensor]:
        """Return the parameters that have gradients."""
        held = {name: getattr(self.module, name, None) for name in LEAVES[1:]}
        return {n: p for n, p in held.items() if isinstance(p, torch.Tensor) and p.requires_grad}

    def later(self, what: dict[str, Any], record: dict[str, Any]) -> None:
        """Run backward from the output of an earlier step."""
        if what["of"] not in self.passed:
            raise Unsupported("the step whose gradients are taken gave no output")
        given, output, leaves = self.passed[what["of"]]
        record["results"] = {}
        self.backward(given, output, leaves, Memory(what["grad_output"]), record, seeds={})

    def backward(
        self,
        given: Memory,
        output: torch.Tensor,
        leaves: dict[str, torch.Tensor | None],
        grad_output: Memory,
        record: dict[str, Any],
        *,
        seeds: dict[str, Memory],
    ) -> None:
        """Record the gradients of an output by autograd, and with seeds the gradients of these."""
        record["phase"] = "backward"
        of_output = grad_output.tensor.requires_grad_() if seeds else grad_output.tensor
        try:
            there = {name: each for name, each in leaves.items() if each is not None}
            gradients = torch.autograd.grad(
                output, list(there.values()), of_output, allow_unused=True, create_graph=bool(seeds)
            )
            found = dict(zip(there, gradients))  # noqa: B905  # Python 3.8 has no strict
            for name in leaves:
                record["results"]["grad_" + name] = packed(found.get(name))
            if seeds:
                self.twice(found, dict(leaves, grad_output=of_output), seeds, record)
        finally:
            changed = [memory.changed() for memory in (given, grad_output, *seeds.values())]
            record["input_changed"] = any(changed)

    def twice(
        self,
        gradients: dict[str, Any],
        leaves: dict[str, torch.Tensor | None],
        seeds: dict[str, Memory],
        record: dict[str, Any],
    ) -> None:
        """Record the gradients of gradients; what none of them depends on has zeros."""
        by = {name: leaf for name, leaf in leaves.items() if name != "bias"}
        there = {name: leaf for name, leaf in by.items() if leaf is not None}
        begun = [(gradients.get(name[5:]), seed.tensor) for name, seed in seeds.items()]
        outputs = [gradient for gradient, _ in begun if gradient is not None]
        given = [seed for gradient, seed in begun if gradient is not None]
        if not outputs:  # the parameters were taken away
            return
        answers = torch.autograd.grad(outputs, list(there.values()), given, allow_unused=True)
        found = dict(zip(there, answers))  # noqa: B905  # Python 3.8 has no strict
        for name, leaf in by.items():
            gradient = found.get(name)
            if leaf is not None and gradient is None:
                gradient = torch.zeros_like(leaf)
            record["results"]["double_grad_" + name] = packed(gradient)

    def assign(self, name: str, value: Any) -> None:  # noqa: ANN401  # what an attribute can be
        """Assign a number, None, a tensor or a parameter to an attribute."""
        if isinstance(value, dict):
            tensor = Memory(value["array"]).tensor.clone()
            # Integers have no gradient, which Parameter refuses before a module sees them.
            real = tensor.is_floating_point() or tensor.is_complex()
            value = torch.nn.Parameter(tensor, requires_grad=real) if value["parameter"] else tensor
        elif name == "num_batches_tracked" and isinstance(value, int):
            value = torch.tensor(value)
        setattr(self.module, name, plain(value))

    def save(self, name: str, record: dict[str, Any]) -> None:
        """Keep a copy of the state_dict."""
        state = self.module.state_dict()
        kept: Any = OrderedDict((key, value.detach().clone()) for key, value in state.items())
        kept._metadata = getattr(state, "_metadata", None)
        self.saved[name] = kept
        record["saved"] = {key: packed(value) for key, value in kept.items()}

    def load(self, what: dict[str, Any]) -> None:
        """Load a saved state_dict, edited."""
        if what["from"] not in self.saved:
            raise Unsupported("the state_dict that the step loads could not be saved")
        saved = self.saved[what["from"]]
        tensors: Any = OrderedDict((key, value.clone()) for key, value in saved.items())
        for key in what["drop"]:
            tensors.pop(key, None)
        for key, value in what["add"].items():
            tensors[key] = Memory(value).tensor
        if what["versioned"] and saved._metadata is not None:
            tensors._metadata = copy.deepcopy(saved._metadata)
        self.module.load_state_dict(tensors, strict=what["strict"])


def raised(phase: str, error: BaseException) -> dict[str, str]:
    """Return an error as a message has it."""
    try:
        text = str(error)
    except Exception:  # its own __str__ fails
        text = ""
    # Addresses differ from run to run, and lone surrogates are no UTF-8.
    text = re.sub("0x[0-9a-f]{6,}", "0x...", text).encode("utf-8", "replace").decode()
    return {"phase": phase, "type": type(error).__name__, "message": text}


def execute(case: dict[str, Any]) -> dict[str, Any]:
    """Return the trace of a case."""
    number = {"number": case["number"]}
    try:
        walk = Walk(case)
        initial = walk.state()
    except KeyboardInterrupt:
        raise
    except Unsupported as reason:
        return dict(number, unsupported=str(reason))
    except BaseException as error:
        return dict(number, raised=raised("construct", error))
    return dict(number, initial=initial, steps=list(walk.run()))


def main() -> None:
    """Answer line by line until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what torch prints is no answer
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for line in sys.stdin:
        message = json.loads(line)
        question = message.get("case")
        answer = {"trace": execute(question)} if question else {"hello": hello()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
