"""Saving and loading state, as `torch.nn.Module` does it (`torch/nn/modules/module.py`)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from harness.reference.checks import size
from harness.reference.mathematics import Array

VERSION = 2
"""Version of the state: since 2 it counts the batches."""

COUNTER = "num_batches_tracked"


class StateDict(OrderedDict[str, Array]):
    """Arrays by name; `_metadata` carries the version, as in a state_dict of torch."""

    _metadata: OrderedDict[str, dict[str, int]]


class IncompatibleKeys(NamedTuple):
    """What a loaded state lacked and what it had in excess."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def save(arrays: Mapping[str, Array | None]) -> StateDict:
    """Return the arrays that are present, themselves and not copies, under the version."""
    state = StateDict((name, array) for name, array in arrays.items() if array is not None)
    state._metadata = OrderedDict({"": {"version": VERSION}})
    return state


def load(
    arrays: Mapping[str, Array | None],
    state: Mapping[str, Array],
    owner: str,
    *,
    strict: bool,
    counts: bool,
) -> IncompatibleKeys:
    """Copy `state` into the arrays of the same names, cast to their types.

    Parameters
    ----------
    arrays
        The arrays of the module by name, None where absent.
    state
        A mapping from names to arrays. Without `_metadata`, or of a version below 2, it may lack
        the counter of batches, which is then kept.
    owner
        Name of the class, for messages.
    strict
        Refuse missing and unexpected names.
    counts
        Whether the module counts its batches.

    Raises
    ------
    TypeError
        `state` is not a mapping.
    RuntimeError
        Everything that does not fit, in one message; what fits is loaded all the same.
    """
    if not isinstance(state, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(state)}.")
    metadata = getattr(state, "_metadata", None)
    version = None if metadata is None else metadata.get("", {}).get("version")
    given: dict[str, object] = dict(state)
    if counts and (version is None or version < VERSION) and COUNTER not in given:
        kept = arrays[COUNTER]
        given[COUNTER] = np.array(0) if kept is None else kept
    present = {name: array for name, array in arrays.items() if array is not None}
    missing = [name for name in present if name not in given]
    unexpected = [name for name in given if name not in present]
    errors = []
    if strict and missing:
        errors.append(f"Missing key(s) in state_dict: {_quoted(missing)}. ")
    if strict and unexpected:
        errors.append(f"Unexpected key(s) in state_dict: {_quoted(unexpected)}. ")
    for name, array in present.items():
        if name in given:
            errors.extend(_copy(name, given[name], array))
    if errors:
        lines = "\n\t".join(errors)
        raise RuntimeError(f"Error(s) in loading state_dict for {owner}:\n\t{lines}")
    return IncompatibleKeys(missing, unexpected)


def _copy(name: str, source: object, target: Array) -> list[str]:
    """Copy `source` into `target` and return what is wrong with it, if anything."""
    if not isinstance(source, np.ndarray):
        return [
            f'While copying the parameter named "{name}", expected torch.Tensor or Tensor-like'
            f" object from checkpoint but received {type(source)}"
        ]
    # States saved before scalars existed hold them as arrays of one element.
    if target.ndim == 0 and source.shape == (1,):
        source = source.reshape(())
    if source.shape != target.shape:
        return [
            f"size mismatch for {name}: copying a param with shape {size(source.shape)} from"
            f" checkpoint, the shape in current model is {size(target.shape)}."
        ]
    with np.errstate(all="ignore"):
        np.copyto(target, source, casting="unsafe")
    return []


def _quoted(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
