"""``torch.nn.BatchNorm2d``, or any other ``torch.nn.Module``, as a module under test."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import ml_dtypes
import numpy as np
import torch

from harness.case.model import ModuleConfig
from harness.dtypes import dtype
from harness.targets.differentiated import differentiated
from harness.targets.support import Unsupported, constructed, copied, replaced
from harness.trace import DOUBLE, LEAVES, STATE, Array

_BFLOAT16 = dtype("bfloat16")
_TORCH_BFLOAT16 = torch.bfloat16

_AS_IT_IS = nullcontext()

Run = Callable[[torch.nn.Module, torch.Tensor], Any]
"""From a module and its input to the output."""
Passed = tuple[torch.Tensor, dict[str, torch.Tensor]]
"""The output of a forward pass, and what it has gradients by."""
Gradients = Sequence[torch.Tensor | None]
"""Of each of these; None where the output does not depend on it."""


def construct(
    cls: Callable[..., torch.nn.Module],
    config: ModuleConfig,
    device: str,
    run: Run = lambda module, given: module(given),
) -> ModuleSubject:
    """Construct a module with a case's arguments on a device; errors as in `constructed`."""
    return ModuleSubject(constructed(cls, arguments(config)).to(device), device, run)


def arguments(config: ModuleConfig) -> dict[str, Any]:
    """Return a module's constructor arguments, as torch takes them."""
    spelled = config.arguments()
    if "dtype" in spelled:
        spelled["dtype"] = getattr(torch, spelled["dtype"])
    return spelled


def to_tensor(array: Array) -> torch.Tensor:
    """Return a tensor that shares memory with an array, strides of 0 included."""
    if 0 in array.strides:
        once = tuple(slice(1) if stride == 0 else slice(None) for stride in array.strides)
        return _tensor(array[once]).expand(array.shape)
    return _tensor(array)


def _tensor(array: Array) -> torch.Tensor:
    if array.dtype == _BFLOAT16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def to_array(tensor: torch.Tensor) -> Array:
    """Return an array that shares memory with a tensor on the CPU, else a copy."""
    if tensor.dtype is _TORCH_BFLOAT16:
        return tensor.view(torch.int16).numpy(force=True).view(ml_dtypes.bfloat16)
    return tensor.numpy(force=True)


def same_memory(one: torch.Tensor, other: torch.Tensor | None) -> bool:
    """Whether two tensors begin at the same address, as views of one do."""
    return other is not None and one.data_ptr() == other.data_ptr()


class ModuleSubject:
    """An instance of a module class on a device."""

    def __init__(self, module: torch.nn.Module, device: str, run: Run) -> None:
        self.module: Any = module
        self.device = device
        self.run = run
        self.held: Mapping[str, torch.Tensor | None] = {}
        self._last: dict[str, Array | None] = {}
        self.latest: Passed | None = None
        self.differentiable: tuple[dict[str, Any], dict[str, torch.Tensor]] = {}, {}

    def mode(self, training: bool) -> None:
        """Call train() or eval()."""
        if training:
            self.module.train()
        else:
            self.module.eval()

    def forward(self, given: Array, leaves: Collection[str]) -> Array:
        """Return the output, differentiable by some of `LEAVES`; by none, under no_grad."""
        tensor = self._here(given)
        self.latest = None
        if not leaves:
            with torch.no_grad():
                return to_array(self._output(tensor))
        if "input" in leaves and (tensor.is_floating_point() or tensor.is_complex()):
            tensor.requires_grad_()
        constants = self._constants(leaves) if len(leaves) < len(LEAVES) else ()
        try:
            # To find that gradients are on takes a tenth of the time that it takes to say so.
            with _AS_IT_IS if torch.is_grad_enabled() else torch.enable_grad():
                output = self._output(tensor)
        finally:
            for parameter in constants:
                parameter.requires_grad_()
        self.latest = output, self._leaves(tensor, leaves)
        return to_array(output)

    def _output(self, given: torch.Tensor) -> torch.Tensor:
        output = self.run(self.module, given)
        if not isinstance(output, torch.Tensor):
            raise TypeError(f"the output is no tensor but {type(output).__name__}")
        return output

    def saved(self) -> Passed | None:
        """Return the graph of the latest forward pass."""
        return self.latest

    def backward(
        self, grad_output: Array, saved: Passed | None = None, *, twice: bool = False
    ) -> Mapping[str, Array | None]:
        """Return the gradients of the latest forward pass, or of a kept one, by autograd."""
        passed = saved or self.latest
        if passed is None:
            raise RuntimeError("backward without a forward pass")
        _, leaves = passed
        found: dict[str, Array | None] = dict.fromkeys(("grad_input", "grad_weight", "grad_bias"))
        of_output = self._here(grad_output)
        gradients = self._gradients(passed, of_output, twice)
        for name, gradient in zip(leaves, gradients, strict=True):
            if gradient is not None:
                found[name] = to_array(gradient)
        if twice:
            by = {"grad_grad_output": of_output, **leaves}
            self.differentiable = dict(zip(leaves, gradients, strict=True)), by
        return found

    def _gradients(self, passed: Passed, grad_output: torch.Tensor, twice: bool) -> Gradients:
        output, leaves = passed
        return torch.autograd.grad(
            output,
            (*leaves.values(),),
            grad_output.requires_grad_() if twice else grad_output,
            allow_unused=True,
            create_graph=twice,
        )

    def double_backward(self, seeds: Mapping[str, Array]) -> Mapping[str, Array | None]:
        """Return the gradients of the gradients, by autograd; what none depends on gets zeros.

        Raises
        ------
        Unsupported
            The module's backward pass cannot be differentiated, and says so.
        """
        gradients, by = self.differentiable
        there = {name: tensor for name in seeds if (tensor := gradients[name]) is not None}
        leaves = {name: by.get(name.removeprefix("double_")) for name in DOUBLE}
        asked = [leaf for leaf in leaves.values() if leaf is not None]
        given = [self._here(seeds[name]) for name in there]
        found = iter(differentiated([*there.values()], asked, given))
        return {
            name: None if leaf is None else to_array(next(found)) for name, leaf in leaves.items()
        }

    def _leaves(self, given: torch.Tensor, asked: Collection[str]) -> dict[str, torch.Tensor]:
        """Return what has a gradient, by the gradient's name: the input and the parameters."""
        found = {"grad_input": given} if "input" in asked else {}
        for name in LEAVES[1:]:
            parameter = self._find(name)
            if isinstance(parameter, torch.Tensor) and parameter.requires_grad:
                found[f"grad_{name}"] = parameter
        return found

    def _constants(self, leaves: Collection[str]) -> list[torch.Tensor]:
        """Freeze the parameters that are not asked for, and return them."""
        held = [self._find(name) for name in LEAVES[1:] if name not in leaves]
        frozen = [
            each
            for each in held
            if isinstance(each, torch.Tensor) and each.requires_grad and each.is_leaf
        ]
        for each in frozen:
            each.requires_grad_(False)
        return frozen

    def state(self) -> tuple[Mapping[str, Array | None], frozenset[str]]:
        """Return copies of the tensors of `STATE`; and which are not those of the last time."""
        before, self.held = self.held, self._tensors()
        last, self._last = self._last, {}
        for name, tensor in self.held.items():
            array = None if tensor is None else to_array(tensor)
            self._last[name] = None if array is None else copied(array, last.get(name))
        return self._last, replaced(before, self.held, same_memory)

    def _tensors(self) -> dict[str, torch.Tensor | None]:
        """Return the tensors of the state; what the module lacks is None."""
        values = {name: self._find(name) for name in STATE}
        return {
            name: value if isinstance(value, torch.Tensor) else None
            for name, value in values.items()
        }

    def fill(self, name: str, values: Array) -> None:
        """Write values into a parameter or buffer, in place."""
        getattr(self.module, name).detach().copy_(to_tensor(values.copy()))

    def assign(self, name: str, value: object, parameter: bool) -> None:
        """Assign a scalar, a tensor, a parameter or None to an attribute."""
        if name == "num_batches_tracked" and isinstance(value, int):
            value = torch.tensor(value)
        if isinstance(value, np.ndarray):
            tensor = self._here(value).clone()
            # Integers have no gradient, which Parameter refuses before a module sees them.
            real = tensor.is_floating_point() or tensor.is_complex()
            value = torch.nn.Parameter(tensor, requires_grad=real) if parameter else tensor
        setattr(self.module, name, value)

    def call(self, method: str) -> None:
        """Call a method without arguments, or go on with a deep copy."""
        if method == "deepcopy":
            self.latest = None
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

    def _find(self, name: str) -> Any:  # noqa: ANN401  # whatever a module holds
        """Return an attribute of the module, None where there is none."""
        return getattr(self.module, name, None)

    def _here(self, array: Array) -> torch.Tensor:
        """Return an array's tensor on the device."""
        tensor = to_tensor(array)
        return tensor if self.device == "cpu" else tensor.to(self.device)
