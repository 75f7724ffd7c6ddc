"""A class in terms of NumPy arrays as a module under test."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from harness.case.model import ModuleConfig
from harness.dtypes import dtype
from harness.targets.support import Unsupported, constructed, copied, numeric, replaced
from harness.trace import DOUBLE, STATE, Array


def construct(cls: type[Any], config: ModuleConfig) -> ArraySubject:
    """Construct the class with a case's arguments; errors as in `constructed`."""
    arguments = config.arguments()
    if "dtype" in arguments:
        arguments["dtype"] = dtype(arguments["dtype"])
    return ArraySubject(constructed(cls, arguments))


def _named(method: str, names: Sequence[str], returned: object) -> Mapping[str, Array | None]:
    """Return the arrays of a tuple by their names."""
    if not isinstance(returned, (tuple, list)) or len(returned) != len(names):
        raise TypeError(f"{method} gives no tuple of {', '.join(names)}")
    return {
        name: None if value is None else numeric(value, name)
        for name, value in zip(names, returned, strict=True)
    }


def _same_memory(one: object, other: object) -> bool:
    """Whether two arrays begin at the same address, as views of one do."""
    if not (isinstance(one, np.ndarray) and isinstance(other, np.ndarray)):
        return False
    return bool(one.ctypes.data == other.ctypes.data)


_GRADIENTS = ("grad_input", "grad_weight", "grad_bias")

_SAVED = "saved_for_backward"
"""The attribute of a class that holds what its latest call keeps for `backward`."""


class ArraySubject:
    """An instance of an array class."""

    def __init__(self, module: object) -> None:
        self.module: Any = module
        self.calls = 0
        self.held: Mapping[str, Any] = {}
        self._last: dict[str, Array | None] = {}

    def mode(self, training: bool) -> None:
        """Call train() or eval()."""
        if training:
            self.module.train()
        else:
            self.module.eval()

    def forward(self, given: Array, leaves: Collection[str]) -> Array:  # noqa: ARG002
        """Return the output; an array class has all gradients or none."""
        self.calls += 1
        return numeric(self.module(given), "the output")

    def saved(self) -> tuple[int, object]:
        """Return which call was the latest, and what the class keeps of it, if it says so."""
        return self.calls, getattr(self.module, _SAVED, None)

    def backward(
        self,
        grad_output: Array,
        saved: tuple[int, object] | None = None,
        *,
        twice: bool = False,  # noqa: ARG002  # an array class has no graph to keep
    ) -> Mapping[str, Array | None]:
        """Return the gradients of the latest forward pass, or of the one that is kept.

        Raises
        ------
        Unsupported
            The pass is not the latest, and the class does not say what it keeps of one.
        """
        backward = self._method("backward")
        if saved is not None:
            self._restore(*saved)
        return _named("backward", _GRADIENTS, backward(grad_output))

    def double_backward(self, seeds: Mapping[str, Array]) -> Mapping[str, Array | None]:
        """Return the gradients of the latest `backward`'s, by the names of `DOUBLE`."""
        differentiate = self._method("double_backward")
        given = {f"gg_{name.removeprefix('grad_')}": seed for name, seed in seeds.items()}
        return _named("double_backward", DOUBLE, differentiate(**given))

    def _restore(self, call: int, saved: object) -> None:
        if hasattr(self.module, _SAVED):
            setattr(self.module, _SAVED, saved)
        elif call != self.calls:
            raise Unsupported(f"the class has no {_SAVED}: its backward is of the latest call")

    def state(self) -> tuple[Mapping[str, Array | None], frozenset[str]]:
        """Return copies of the arrays of `STATE`; and which are not those of the last time.

        Raises
        ------
        TypeError
            One is no array of numbers.
        """
        module = self.module
        before, self.held = self.held, {name: getattr(module, name, None) for name in STATE}
        last, self._last = self._last, (kept := {})
        for name, value in self.held.items():
            kept[name] = None if value is None else copied(numeric(value, name), last.get(name))
        return kept, replaced(before, self.held, _same_memory)

    def fill(self, name: str, values: Array) -> None:
        """Write values into an array of the state, in place."""
        if name == "num_batches_tracked" and getattr(self.module, name, None) is None:
            raise Unsupported("the class has no num_batches_tracked")
        getattr(self.module, name)[...] = values

    def assign(self, name: str, value: object, parameter: bool) -> None:  # noqa: ARG002
        """Assign to an attribute; an array class makes no difference of parameters."""
        if name == "num_batches_tracked" and isinstance(value, int):
            value = np.asarray(value, dtype=np.int64)
        setattr(self.module, name, value)

    def call(self, method: str) -> None:
        """Call a method without arguments, or go on with a deep copy."""
        if method == "deepcopy":
            self.module = copy.deepcopy(self.module)
        else:
            self._method(method)()

    def cast(self, name: str) -> None:
        """Call to(dtype)."""
        changed = self._method("to")(dtype(name))
        self.module = self.module if changed is None else changed

    def save(self) -> Mapping[str, Any]:
        """Return a deep copy of the state_dict."""
        saved: Mapping[str, Any] = copy.deepcopy(self._method("state_dict")())
        return saved

    def load(self, state: Mapping[str, Any], strict: bool) -> None:
        """Call load_state_dict."""
        self._method("load_state_dict")(state, strict=strict)

    def _method(self, name: str) -> Callable[..., Any]:
        method: Callable[..., Any] | None = getattr(self.module, name, None)
        if method is None:
            raise Unsupported(f"the class has no {name}")
        return method
