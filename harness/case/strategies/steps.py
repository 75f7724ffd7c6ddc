"""Strategies for steps, each drawn without a look at the others."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from hypothesis import strategies as st

from harness.case.strategies.arrays import (
    Spelled,
    fills,
    grad_outputs,
    inputs,
    rarely,
    vectors,
)
from harness.case.strategies.modules import (
    EPSILONS,
    INTEGERS,
    MOMENTA,
    ODD_EPSILONS,
    ODD_MOMENTA,
    pool,
)
from harness.dtypes import FLOATING
from harness.trace import LEAVES, STATE

KINDS = ("train", "eval", "backward", "set", "call", "cast", "save", "load")
"""The kinds of step, the simplest first."""

_NAMES = ("a", "a", "a", "b")
"""Names under which state dicts are saved, mostly the first: a load needs a save of its name."""


@st.composite
def forwards(draw: st.DrawFn, channels: int = 2, legal: bool = True) -> Spelled:
    """Return a strategy for forward passes, about half of them with gradients."""
    forward: Spelled = {"input": draw(inputs(channels, legal))}
    if draw(st.booleans()):
        forward["grad_output"] = draw(grad_outputs(len(forward["input"]["shape"]), legal))
        if draw(rarely(8)):
            # The input is among them, since what there are of parameters is not known here.
            forward["requires_grad"] = draw(st.sampled_from([LEAVES[:1], LEAVES[:2], LEAVES[::2]]))
        if draw(rarely(6)):
            forward["double_backward"] = draw(_seeds(channels))
    if draw(rarely(8)):
        forward["repeat"] = draw(st.integers(2, 3))
    return forward


@cache
def _seeds(channels: int) -> st.SearchStrategy[Spelled]:
    """Return a strategy for what a double backward pass begins with."""
    listed = vectors(max(channels, 0))
    given = {"grad_input": fills(), "grad_weight": listed, "grad_bias": listed}
    return st.fixed_dictionaries({}, optional=given).filter(bool)


@cache
def settings(channels: int = 2, legal: bool = True) -> st.SearchStrategy[Spelled]:
    """Return a strategy for assignments to attributes: numbers, flags, arrays, None."""
    flags = {name: st.booleans() for name in ("track_running_stats", "training", "affine")}
    scalars: dict[str, st.SearchStrategy[Any]] = {
        "momentum": st.sampled_from(MOMENTA if legal else ODD_MOMENTA),
        "eps": st.sampled_from(EPSILONS if legal else ODD_EPSILONS),
        "num_features": st.sampled_from([1, 2, 5]),
        **flags,
    }
    arrays = {name: _assigned(name, channels, legal) for name in STATE}
    statistics = {name: arrays[name] for name in ("running_mean", "running_var")}
    buffers = {name: arrays[name] for name in STATE[2:]}
    none = dict.fromkeys(statistics)
    choices = [st.fixed_dictionaries({name: value}) for name, value in scalars.items()]
    choices += [st.fixed_dictionaries({name: arrays[name]}) for name in ("weight", "bias")]
    choices += [st.fixed_dictionaries(statistics), st.fixed_dictionaries(buffers)]
    choices += [st.just({**none}), st.just({"num_batches_tracked": None})]
    choices += [st.fixed_dictionaries({}, optional=scalars).filter(bool)]
    if not legal:
        choices += [st.fixed_dictionaries({name: arrays[name]}) for name in STATE[2:]]
        parameters = {
            name: value.map(lambda listed: {"parameter": [0 if listed is None else 1] * channels})
            for name, value in statistics.items()
            if channels >= 0
        }
        choices += [st.fixed_dictionaries({}, optional=parameters).filter(bool)]
    return st.one_of(choices)


def _assigned(name: str, channels: int, legal: bool) -> st.SearchStrategy[Any]:
    if name == "num_batches_tracked":
        return st.sampled_from([0, 5] if legal else [0, 5, -1, None])
    values = vectors(channels, pool(name, legal))
    if legal:
        return st.one_of(values, st.none()) if name in ("weight", "bias") else values
    longer = vectors(max(channels, 0) + 1, pool(name, legal))
    return st.one_of(values, st.none(), longer, vectors(1))


@st.composite
def _later(draw: st.DrawFn, legal: bool) -> Spelled:
    return {"of": draw(st.integers(1, 4)), "grad_output": draw(grad_outputs(4, legal))}


@st.composite
def _loads(draw: st.DrawFn, channels: int, legal: bool) -> Spelled:
    load: Spelled = {"from": draw(st.sampled_from(_NAMES))}
    if draw(rarely(3)):
        load["drop"] = draw(st.lists(st.sampled_from(STATE[::-1]), unique=True, min_size=1))
    if draw(rarely(4)):
        name = draw(st.sampled_from(STATE[:4] if legal else [*STATE[:4], "extra"]))
        wide = draw(rarely(3)) and not legal
        load["add"] = {name: draw(vectors(channels + wide, pool("running_var", legal=True)))}
    if draw(rarely(3)):
        load["strict"] = False
    if draw(rarely(4)):
        load["versioned"] = False
    return load


@cache
def _kinds(channels: int, legal: bool) -> dict[str, st.SearchStrategy[Spelled]]:
    def keyed(kind: str) -> Callable[[object], Spelled]:
        return lambda value: {kind: value}

    methods = ["reset_running_stats", "deepcopy", "reset_parameters"]
    values: dict[str, st.SearchStrategy[Any]] = {
        "train": forwards(channels, legal),
        "eval": forwards(channels, legal),
        "backward": _later(legal),
        "set": settings(channels, legal),
        "call": st.sampled_from(methods),
        "cast": st.sampled_from(FLOATING if legal else (*FLOATING, *FLOATING, *INTEGERS)),
        "save": st.sampled_from(_NAMES),
        "load": _loads(channels, legal),
    }
    return {kind: value.map(keyed(kind)) for kind, value in values.items()}


@cache
def steps(
    channels: int = 2, kinds: tuple[str, ...] = KINDS, legal: bool = True
) -> st.SearchStrategy[Spelled]:
    """Return a strategy for steps.

    Parameters
    ----------
    channels : int
        Channels of the module.
    kinds : tuple of str
        Which of `KINDS` to draw, all as often.
    legal : bool
        Whether the values are such that a module in order takes them; whether the step is legal
        where it stands depends on those before it.
    """
    each = _kinds(channels, legal)
    return st.sampled_from(kinds).flatmap(each.__getitem__)
