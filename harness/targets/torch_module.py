"""``torch.nn.BatchNorm2d``, or any other ``torch.nn.Module``, as a module under test."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import ml_dtypes
import numpy as np
import torch

from harness.case.model import ModuleConfig
from harness.targets.support import Unsupported, constructed
from harness.trace import STATE, Array

Run = Callable[[torch.nn.Module, torch.Tensor], Any]
"""From a module and its input to the output."""


def construct(
    cls: Callable[..., torch.nn.Module],
    config: ModuleConfig,
    device: str,
    run: Run = lambda module, given: module(given),
) -> ModuleSubject:
    """Construct a module with a case's arguments on a device; errors as in `constructed`."""
    arguments = config.arguments()
    if "dtype" in arguments:
        arguments["dtype"] = getattr(torch, arguments["dtype"])
    return ModuleSubject(constructed(cls, arguments).to(device), device, run)


def to_tensor(array: Array) -> torch.Tensor:
    """Return a tensor that shares memory with an array, strides of 0 included."""
    # The ellipsis keeps an array without dimensions an array.
    once = (slice(1) if stride == 0 else slice(None) for stride in array.strides)
    whole = array[(*once, ...)]
    if whole.dtype == ml_dtypes.bfloat16:
        tensor = torch.from_numpy(whole.view(np.int16)).view(torch.bfloat16)
    else:
        tensor = torch.from_numpy(whole)
    return tensor.expand(array.shape) if whole.shape != array.shape else tensor


def to_array(tensor: torch.Tensor) -> Array:
    """Return an array that shares memory with a tensor on the CPU, else a copy."""
    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


class ModuleSubject:
    """An instance of a module class on a device."""

    def __init__(self, module: torch.nn.Module, device: str, run: Run) -> None:
        self.module: Any = module
        self.device = device
        self.run = run
        self.given: torch.Tensor | None = None
        self.output: torch.Tensor | None = None

    def mode(self, training: bool) -> None:
        """Call train() or eval()."""
        if training:
            self.module.train()
        else:
            self.module.eval()

    def forward(self, given: Array, differentiate: bool) -> Array:
        """Return the output; without `differentiate` under no_grad."""
        tensor = to_tensor(given).to(self.device)
        self.given = self.output = None
        with torch.set_grad_enabled(differentiate):
            if differentiate and (tensor.is_floating_point() or tensor.is_complex()):
                tensor.requires_grad_()
            output = self.run(self.module, tensor)
        if differentiate:
            self.given, self.output = tensor, output
        return to_array(output)

    def backward(self, grad_output: Array) -> Mapping[str, Array | None]:
        """Return the gradients of the latest forward pass by autograd."""
        if self.given is None or self.output is None:
            raise RuntimeError("backward without a forward pass")
        leaves = {"grad_input": self.given}
        for name in ("weight", "bias"):
            parameter = getattr(self.module, name, None)
            if isinstance(parameter, torch.Tensor) and parameter.requires_grad:
                leaves[f"grad_{name}"] = parameter
        gradients = torch.autograd.grad(
            self.output,
            list(leaves.values()),
            to_tensor(grad_output).to(self.device),
            allow_unused=True,
        )
        found = {
            name: None if gradient is None else to_array(gradient)
            for name, gradient in zip(leaves, gradients, strict=True)
        }
        return {"grad_input": None, "grad_weight": None, "grad_bias": None, **found}

    def state(self) -> Mapping[str, Array | None]:
        """Return copies of the arrays of the state; what the module lacks is None."""
        found: dict[str, Array | None] = {}
        for name in STATE:
            value = getattr(self.module, name, None)
            found[name] = to_array(value).copy() if isinstance(value, torch.Tensor) else None
        return found

    def fill(self, name: str, values: Array) -> None:
        """Write values into a parameter or buffer, in place."""
        with torch.no_grad():
            getattr(self.module, name).copy_(to_tensor(values))

    def assign(self, name: str, value: object, parameter: bool) -> None:
        """Assign a scalar, a tensor, a parameter or None to an attribute."""
        if name == "num_batches_tracked" and isinstance(value, int):
            value = torch.tensor(value)
        if isinstance(value, np.ndarray):
            tensor = to_tensor(value).clone().to(self.device)
            # Integers have no gradient, which Parameter refuses before a module sees them.
            real = tensor.is_floating_point() or tensor.is_complex()
            value = torch.nn.Parameter(tensor, requires_grad=real) if parameter else tensor
        setattr(self.module, name, value)

    def call(self, method: str) -> None:
        """Call a method without arguments, or go on with a deep copy."""
        if method == "deepcopy":
            self.given = self.output = None
            self.module = copy.deepcopy(self.module)
        elif not hasattr(self.module, method):
            raise Unsupported(f"the module has no {method}")
        else:
            getattr(self.module, method)()

    def cast(self, name: str) -> None:
        """Call to(dtype)."""
        self.module = self.module.to(getattr(torch, name))

    def save(self) -> Mapping[str, Array]:
        """Return a deep copy of the state_dict, as arrays in a dict with torch's metadata."""
        state = self.module.state_dict()
        saved = OrderedDict((key, to_array(value).copy()) for key, value in state.items())
        saved._metadata = getattr(state, "_metadata", None)  # type: ignore[attr-defined]
        return saved

    def load(self, state: Mapping[str, Any], strict: bool) -> None:
        """Call load_state_dict."""
        tensors = OrderedDict((key, to_tensor(value)) for key, value in state.items())
        metadata = getattr(state, "_metadata", None)
        if metadata is not None:
            tensors._metadata = metadata  # type: ignore[attr-defined]  # as torch itself keeps it
        self.module.load_state_dict(tensors, strict=strict)
