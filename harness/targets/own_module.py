"""``torch.nn.BatchNorm2d`` itself, on the CPU: a module whose ways are known is read faster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from harness.case.model import ModuleConfig
from harness.targets.support import constructed, copied, replaced
from harness.targets.torch_module import (
    Gradients,
    ModuleSubject,
    Passed,
    arguments,
    same_memory,
    to_array,
)
from harness.trace import STATE, Array


def construct(config: ModuleConfig) -> OwnSubject:
    """Construct the module with a case's arguments; errors as in `constructed`."""
    # It is where the default device is, the CPU: to find nothing to move takes 12 µs.
    return OwnSubject(constructed(torch.nn.BatchNorm2d, arguments(config)))


_Place = tuple[Mapping[str, Any], torch.Tensor | None, Array | None]
"""Which of the module's mappings holds a tensor of its state; the tensor; and a view of it."""


_ENGINE = getattr(getattr(torch.autograd.Variable, "_execution_engine", None), "run_backward", None)
"""What ``torch.autograd.grad`` calls, once it has found that all fits."""


class OwnSubject(ModuleSubject):
    """An instance of ``torch.nn.BatchNorm2d``.

    Its passes, resets and loads write into the memory that its tensors have, so that views of them
    hold from step to step. What gives them other memory is told here.
    """

    def __init__(self, module: torch.nn.BatchNorm2d) -> None:
        super().__init__(module, "cpu", lambda module, given: module(given))
        self._places: dict[str, _Place] = {}
        self._look()

    def state(self) -> tuple[Mapping[str, Array | None], frozenset[str]]:
        """Return copies of the tensors of `STATE`; and which are not those of the last time."""
        before, last = self.held, self._last
        moved = not self._places or self._moved()
        if moved:
            self._look()
        self._last = {
            name: None if view is None else copied(view, last.get(name))
            for name, (_, _, view) in self._places.items()
        }
        return self._last, replaced(before, self.held, same_memory) if moved else frozenset()

    def _moved(self) -> bool:
        """Whether the module has another tensor than where one was found."""
        # A loop: this is asked after every step, and a generator takes three times as long.
        for name, (holder, tensor, _) in self._places.items():
            if holder.get(name) is not tensor:
                return True
        return False

    def fill(self, name: str, values: Array) -> None:
        """Write values into a parameter or buffer, in place."""
        _, _, view = self._places[name]
        if view is None:  # the error is that of any module
            super().fill(name, values)
        else:
            view[...] = values

    def assign(self, name: str, value: object, parameter: bool) -> None:
        """Assign a scalar, a tensor, a parameter or None to an attribute."""
        self._places.clear()
        super().assign(name, value, parameter)

    def call(self, method: str) -> None:
        """Call a method without arguments, or go on with a deep copy."""
        self._places.clear()
        super().call(method)

    def cast(self, name: str) -> None:
        """Call to(dtype)."""
        self._places.clear()
        super().cast(name)

    def load(self, state: Mapping[str, Any], strict: bool) -> None:
        """Call load_state_dict."""
        self._places.clear()
        super().load(state, strict)

    def _gradients(self, passed: Passed, grad_output: torch.Tensor, twice: bool) -> Gradients:
        # `torch.autograd.grad` takes 25 µs to find that a gradient fits its output, where the
        # engine that it calls takes 20.
        output, leaves = passed
        fits = grad_output.shape == output.shape and grad_output.dtype is output.dtype
        if twice or not (fits and leaves and output.requires_grad) or _ENGINE is None:
            return super()._gradients(passed, grad_output, twice)
        of = (*leaves.values(),)
        found: Gradients = _ENGINE(
            (output,), (grad_output,), False, False, of, True, accumulate_grad=False
        )
        return found

    def _look(self) -> None:
        """Find where everything is now."""
        own = vars(self.module)
        parameters, buffers = own["_parameters"], own["_buffers"]
        self.held = {}
        for name in STATE:
            # As `Module.__getattr__` finds it, in a tenth of the time.
            holder = own if name in own else parameters if name in parameters else buffers
            value = holder.get(name)
            tensor = value if isinstance(value, torch.Tensor) else None
            self._places[name] = holder, tensor, None if tensor is None else to_array(tensor)
            self.held[name] = tensor

    def _find(self, name: str) -> Any:  # noqa: ANN401  # whatever a module holds
        return self.held[name]
