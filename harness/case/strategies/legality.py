"""Which steps torch takes without an error, followed from step to step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from harness.case.backward import TWICE
from harness.case.model import ModuleConfig
from harness.trace import LEAVES

_STATISTICS = {"running_mean", "running_var"}
_COUNTER = "num_batches_tracked"
_LOW = ("float16", "bfloat16")


@dataclass
class Sketch:
    """What the legality of a step depends on.

    Attributes
    ----------
    present : set of str
        Which arrays of the state there are.
    affine, tracks : bool
        The flags.
    dtype : str
        Type of parameters and statistics.
    constructed : frozenset of str
        Which arrays of the state the constructor has made.
    saved : dict of str to set of str
        The keys of each saved state_dict.
    parameters : bool
        Whether a statistic has become a parameter. An array class, which knows none, cannot tell;
        only forward passes without gradients show no difference.
    steps : int
        How many there are so far.
    open : dict of int to str
        The kinds of those, counted from 1, whose gradients may still be taken: torch refuses where
        weight or statistics have been written over since, and is wrong where an eval step's
        statistics have been moved by a train step.
    """

    present: set[str]
    affine: bool
    tracks: bool
    dtype: str
    constructed: frozenset[str]
    saved: dict[str, set[str]] = field(default_factory=dict)
    parameters: bool = False
    steps: int = 0
    open: dict[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, module: dict[str, Any]) -> Sketch:
        """Return the sketch of a new module, from its constructor arguments."""
        config = ModuleConfig.model_validate(module)
        tracks, present = config.track_running_stats, config.present
        return cls(set(present), config.affine, tracks, config.dtype, present)

    def placed(self, step: dict[str, Any]) -> dict[str, Any]:
        """Return the step as it can stand here.

        A backward pass is of a step that has one to take if there is any, and gradients are
        differentiated that there are, of types that this is judged for.
        """
        ((kind, value),) = step.items()
        if kind == "backward" and self.open:
            open_ = sorted(self.open)
            return {"backward": {**value, "of": open_[value["of"] % len(open_)]}}
        if kind in ("train", "eval") and "double_backward" in value:
            return {kind: self._differentiated(value)}
        return step

    def _differentiated(self, forward: dict[str, Any]) -> dict[str, Any]:
        rest = {name: value for name, value in forward.items() if name != "double_backward"}
        there = {f"grad_{name}" for name in ("input", *self.constructed)}
        there &= {f"grad_{name}" for name in forward.get("requires_grad", LEAVES)}
        if "weight" not in self.present:  # torch is wrong there, or fails
            there.discard("grad_bias")
        seeds = {name: seed for name, seed in forward["double_backward"].items() if name in there}
        dtype = forward["input"].get("dtype", self.dtype)
        judged = dtype in TWICE and forward["grad_output"].get("dtype", dtype) == dtype
        return {**rest, "double_backward": seeds} if seeds and judged else rest

    def goes_on(self, step: dict[str, Any], legal: bool) -> bool:
        """Whether the step may stand here; if so, what follows stands after it.

        Parameters
        ----------
        step : dict
            As a case file spells it.
        legal : bool
            Whether torch must take it without an error; else it need only be well-formed, and
            mean the same to every target.
        """
        ((kind, value),) = step.items()
        if kind == "load" and value["from"] not in self.saved:
            return False
        if self.parameters and (kind not in ("train", "eval") or "grad_output" in value):
            return False
        if kind == "backward" and (not legal or value["of"] not in self.open):
            return False
        if legal and not self._takes(kind, value):
            return False
        self._apply(kind, value)
        self._pass(kind, value)
        return True

    def _takes(self, kind: str, value: Any) -> bool:  # noqa: ANN401  # a value by the kind
        match kind:
            case "train" | "eval":
                return self._passes(kind, value["input"])
            case "call":
                return value == "deepcopy" or self._resets(value)
            case "load":
                return self._loads(value)
            case _:
                return True

    def _passes(self, kind: str, given: dict[str, Any]) -> bool:
        count, _, *sizes = given["shape"]
        by_batch = kind == "train" or not _STATISTICS & self.present
        dtype = given.get("dtype", self.dtype)
        fits = dtype == self.dtype or (dtype in _LOW and self.dtype == "float32")
        return fits and not (by_batch and count * math.prod(sizes) == 1)

    def _resets(self, method: str) -> bool:
        buffers = {*_STATISTICS, _COUNTER}
        statistics = not self.tracks or buffers <= self.present
        if method == "reset_running_stats":
            return statistics
        return statistics and (not self.affine or "weight" in self.present)

    def _loads(self, load: dict[str, Any]) -> bool:
        keys = self._keys(load)
        return not load.get("strict", True) or keys == self.present

    def _keys(self, load: dict[str, Any]) -> set[str]:
        keys = self.saved[load["from"]] - set(load.get("drop", ())) | set(load.get("add", ()))
        # An unversioned state_dict is given the count that it cannot have.
        return keys | {_COUNTER} if self.tracks and not load.get("versioned", True) else keys

    def _apply(self, kind: str, value: Any) -> None:  # noqa: ANN401
        match kind:
            case "set":
                self._assign(value.items())
            case "cast":
                self.dtype = value
            case "save":
                self.saved[value] = set(self.present)

    def _pass(self, kind: str, value: Any) -> None:  # noqa: ANN401
        self.steps += 1
        match kind:
            case "backward":
                del self.open[value["of"]]
            case "train" | "eval":
                if kind == "train":
                    self.open = {of: each for of, each in self.open.items() if each == "train"}
                if "grad_output" not in value:
                    self.open[self.steps] = kind
            case "save":
                pass
            case _:
                self.open.clear()

    def _assign(self, settings: Iterable[tuple[str, Any]]) -> None:
        for name, value in settings:
            if name == "affine":
                self.affine = value
            elif name == "track_running_stats":
                self.tracks = value
            elif name in {"weight", "bias", *_STATISTICS, _COUNTER}:
                (self.present.discard if value is None else self.present.add)(name)
                self.parameters |= isinstance(value, dict) and "parameter" in value
