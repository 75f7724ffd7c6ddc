"""The arrays that a case gives a module."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from harness.case.arrays import ArraySpec
from harness.case.drawn import SMALL
from harness.case.layouts import arrange
from harness.case.model import Load, ModuleConfig, Parameter, Seeds, State
from harness.dtypes import name_of
from harness.trace import STATE, Array


def state_arrays(state: State, module: ModuleConfig) -> Sequence[tuple[str, Array]]:
    """Return name and values, read-only, of each array that a case's initial state names."""
    channels, dtype = module.num_features, module.dtype
    found = state.drawn.get((channels, dtype))
    if found is None:
        found = tuple(_drawn(state, (channels,), dtype))
        if channels <= SMALL:
            state.drawn[channels, dtype] = found
    return found


def _drawn(state: State, shape: tuple[int, ...], dtype: str) -> Iterator[tuple[str, Array]]:
    for name in STATE:
        value = getattr(state, name)
        if value is None:
            continue
        if isinstance(value, int):
            array = np.asarray(value, dtype=np.int64)
        else:
            make = value.dense if value.layout == "contiguous" else value.array
            array = make(shape, dtype)
        array.flags.writeable = False
        yield name, array


def given_arrays(
    spec: ArraySpec, shape: tuple[int, ...], dtype: str, like: Array | None = None
) -> tuple[Array, Array]:
    """Return an input twice: to give away, and to keep (read-only)."""
    dense = spec.dense(shape, dtype, like)
    if spec.layout == "contiguous":
        return dense.copy(), dense
    given = arrange(dense, spec.layout)
    # Only an expanded array has other values than the dense one.
    return given, given.copy() if spec.layout == "expanded" else dense


def given_seeds(
    given: Seeds, gradients: Mapping[str, Array | None], like: Array, own: str
) -> dict[str, tuple[Array, Array]]:
    """Return where a double backward pass begins, each array to give away and to keep.

    A loss cannot depend on a gradient that there is not, as its parameter was taken away.
    """
    kinds = {"grad_input": name_of(like.dtype)}
    there = ((name, spec, gradients[name]) for name, spec in given.items())
    return {
        name: given_arrays(spec, gradient.shape, kinds.get(name, own), like)
        for name, spec, gradient in there
        if gradient is not None
    }


def assigned(name: str, value: object, channels: int, dtype: str) -> tuple[object, bool]:
    """Return what a `set` step assigns to an attribute, and whether it is a parameter."""
    parameter = isinstance(value, Parameter)
    spec = value.parameter if isinstance(value, Parameter) else value
    if isinstance(spec, ArraySpec):
        spec = spec.array(*_form(name, channels, "int64" if name == _COUNTER else dtype))
    return spec, parameter or name in ("weight", "bias")


def added(load: Load, channels: int, dtype: str) -> dict[str, Array]:
    """Return the arrays that a `load` step puts into the state_dict, by their keys."""
    return {name: spec.array(*_form(name, channels, dtype)) for name, spec in load.add.items()}


_COUNTER = "num_batches_tracked"


def _form(name: str, channels: int, dtype: str) -> tuple[tuple[int, ...], str]:
    return () if name == _COUNTER else (channels,), dtype


def edited(saved: Mapping[str, Any], load: Load, added: Mapping[str, Array]) -> Mapping[str, Any]:
    """Return a changed copy of a saved state_dict; its version is an attribute of the dict."""
    changed: Any = copy.deepcopy(saved)
    for key in load.drop:
        changed.pop(key, None)
    changed.update(added)
    return changed if load.versioned else dict(changed)
