"""Saving and loading."""

# ruff: noqa: D102, ANN401 - a method is documented where it is first defined

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np

from harness.adequacy.base import OpenBatchNorm2d
from harness.reference.mathematics import Array
from harness.reference.state import COUNTER, IncompatibleKeys, StateDict


class StateWithoutCounter(OpenBatchNorm2d):
    """state_dict lacks num_batches_tracked.

    Met in states of torch before 0.4.1, and in ports made for them.
    """

    def state_dict(self) -> StateDict:
        found = super().state_dict()
        found.pop(COUNTER, None)
        return found


class StateOfNothing(OpenBatchNorm2d):
    """state_dict has running statistics even where the module has none.

    Could be met where absent arrays are saved as empty.
    """

    def state_dict(self) -> StateDict:
        found = super().state_dict()
        for name in ("running_mean", "running_var"):
            found.setdefault(name, np.zeros(0, np.float32))
        return found


class StateInOtherOrder(OpenBatchNorm2d):
    """state_dict has the statistics before the parameters.

    Could be met where buffers are registered first.
    """

    def state_dict(self) -> StateDict:
        found = super().state_dict()
        for name in ("weight", "bias"):
            if name in found:
                found.move_to_end(name)
        return found


class StateInKerasNames(OpenBatchNorm2d):
    """state_dict speaks of gamma, beta, moving_mean and moving_variance.

    Met in Keras, whose arrays have these names.
    """

    def state_dict(self) -> StateDict:
        names = {
            "weight": "gamma",
            "bias": "beta",
            "running_mean": "moving_mean",
            "running_var": "moving_variance",
        }
        found = super().state_dict()
        return StateDict((names.get(name, name), array) for name, array in found.items())


class StateInFloat32(OpenBatchNorm2d):
    """state_dict is float32 whatever the module is.

    Met in checkpoints that keep a float32 copy.
    """

    def state_dict(self) -> StateDict:
        found = super().state_dict()
        for name in set(found) - {COUNTER}:
            found[name] = found[name].astype(np.float32)
        return found


class StateWithoutVersion(OpenBatchNorm2d):
    """A saved state has no version, so that a missing counter is not noticed when it is loaded.

    Met where a state_dict is copied into a plain dict.
    """

    def state_dict(self) -> StateDict:
        found = super().state_dict()
        found._metadata.clear()
        return found


class _Loads(OpenBatchNorm2d):
    """Loads an edited state."""

    def load_state_dict(
        self, state_dict: Mapping[str, Array], strict: bool = True
    ) -> IncompatibleKeys:
        copy: Any = deepcopy(state_dict)
        return super().load_state_dict(self.edited(copy), strict)

    def edited(self, state: Any) -> Any:
        """Return the state that is loaded in place of the given one."""
        return state


class LoadForgetsVariance(_Loads):
    """load_state_dict leaves running_var alone.

    Could be met with a list of names that lacks one.
    """

    def edited(self, state: Any) -> Any:
        if self.running_var is not None and "running_var" in state:
            state["running_var"] = self.running_var
        return state


class LoadForgetsCounter(_Loads):
    """load_state_dict leaves num_batches_tracked alone.

    Could be met with a list of names that lacks one.
    """

    def edited(self, state: Any) -> Any:
        if self.num_batches_tracked is not None and COUNTER in state:
            state[COUNTER] = self.num_batches_tracked
        return state


class LoadForgetsBias(_Loads):
    """load_state_dict leaves the bias alone.

    Could be met with a list of names that lacks one.
    """

    def edited(self, state: Any) -> Any:
        if self.bias is not None and "bias" in state:
            state["bias"] = self.bias
        return state


class LoadIgnoresStrict(OpenBatchNorm2d):
    """load_state_dict never refuses missing or unexpected names.

    Could be met in ports that have no such argument.
    """

    def load_state_dict(
        self,
        state_dict: Mapping[str, Array],
        strict: bool = True,  # noqa: ARG002
    ) -> IncompatibleKeys:
        return super().load_state_dict(state_dict, strict=False)


class LoadAlwaysStrict(OpenBatchNorm2d):
    """load_state_dict refuses missing and unexpected names though it is not to be strict.

    Could be met in ports that have no such argument.
    """

    def load_state_dict(
        self,
        state_dict: Mapping[str, Array],
        strict: bool = True,  # noqa: ARG002
    ) -> IncompatibleKeys:
        return super().load_state_dict(state_dict, strict=True)


class LoadBroadcasts(_Loads):
    """load_state_dict stretches arrays of one element.

    Could be met in any port whose arrays broadcast.
    """

    def edited(self, state: Any) -> Any:
        for name, own in self._arrays().items():
            if own is not None and name in state and np.size(state[name]) == 1:
                state[name] = np.broadcast_to(state[name].reshape(-1)[0], own.shape)
        return state


class LoadSkipsMisfits(_Loads):
    """load_state_dict passes over arrays of another shape.

    Met in scripts that load what fits.
    """

    def edited(self, state: Any) -> Any:
        for name, own in self._arrays().items():
            if own is not None and name in state and state[name].shape not in (own.shape, (1,)):
                state[name] = own
        return state


class LoadIsAllOrNothing(OpenBatchNorm2d):
    """load_state_dict loads nothing where anything does not fit.

    Could be met in ports that validate first.
    """

    def load_state_dict(
        self, state_dict: Mapping[str, Array], strict: bool = True
    ) -> IncompatibleKeys:
        before = deepcopy(self._arrays())
        try:
            return super().load_state_dict(state_dict, strict)
        except RuntimeError:
            for name, array in before.items():
                setattr(self, name, array)
            raise


class LoadTakesTypes(OpenBatchNorm2d):
    """load_state_dict takes over the types of what it loads.

    Met in torch with assign=True.
    """

    def load_state_dict(
        self, state_dict: Mapping[str, Array], strict: bool = True
    ) -> IncompatibleKeys:
        found = super().load_state_dict(state_dict, strict)
        for name, array in self._arrays().items():
            given = state_dict.get(name)
            if array is not None and given is not None:
                setattr(self, name, array.astype(given.dtype))
        return found


class LoadResetsCounter(_Loads):
    """A state without version and counter sets the counter to 0.

    Met in torch until 2.1 (pytorch/pytorch#110850).
    """

    def edited(self, state: Any) -> Any:
        if getattr(state, "_metadata", None) is None and COUNTER not in state:
            state[COUNTER] = np.array(0)
        return state


class LoadNeedsCounter(OpenBatchNorm2d):
    """A state without version must have a counter.

    Could be met in ports that know version 2 only.
    """

    def load_state_dict(
        self, state_dict: Mapping[str, Array], strict: bool = True
    ) -> IncompatibleKeys:
        if strict and self.num_batches_tracked is not None and COUNTER not in state_dict:
            raise RuntimeError(f'Missing key(s) in state_dict: "{COUNTER}".')
        return super().load_state_dict(state_dict, strict)


class LoadForgivesCounter(_Loads):
    """A state of version 2 may lack the counter.

    Could be met in ports that do not look at the version.
    """

    def edited(self, state: Any) -> Any:
        if self.num_batches_tracked is not None:
            state.setdefault(COUNTER, self.num_batches_tracked)
        return state
