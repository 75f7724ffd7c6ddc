"""Strategies for constructor arguments and the initial state."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from harness.case.model import ModuleConfig
from harness.case.strategies.arrays import Spelled, rarely, vectors

INTEGERS = ("bool", "uint8", "int32", "int64")
"""Types that no parameter can have. Complex ones it can: torch makes of them what NumPy lacks."""

MOMENTA: tuple[Any, ...] = (0.5, None, 0, 1, 0.37, True, 2, -0.5)
"""Legal values of momentum: there is no check of its range."""

ODD_MOMENTA: tuple[Any, ...] = (*MOMENTA, math.nan, math.inf, False)

EPSILONS: tuple[Any, ...] = (1e-3, 0.5, 1, 1e-12, True)
"""Legal values of eps."""

ODD_EPSILONS: tuple[Any, ...] = (*EPSILONS, 0, -1, math.nan, math.inf, -1e-5, 1e-300, 1e300)

_WEIGHTS = (1, 0.5, -2, 0, 100)
_BIASES = (0, 1, -0.5, 100)
_MEANS = (0, 1, -3, 100)
_VARIANCES = (1, 0.5, 4, 1e-5, 1000)
_ODD = (0, -1, math.nan, math.inf, -math.inf)
_POOLS = {"weight": _WEIGHTS, "bias": _BIASES, "running_mean": _MEANS, "running_var": _VARIANCES}


def pool(name: str, legal: bool) -> tuple[float, ...]:
    """Return the numbers that an array of the state, by its name, is made of."""
    return _POOLS[name] if legal else (*_POOLS[name], *_ODD)


@st.composite
def modules(draw: st.DrawFn, legal: bool = True) -> Spelled:
    """Return a strategy for constructor arguments.

    Parameters
    ----------
    legal : bool
        Whether the constructor and a train step accept them.
    """
    channels = st.sampled_from([2, 1, 3, 3, 4, 8] if legal else [2, 1, 3, 4, 0, -1])
    module: Spelled = {"num_features": draw(channels)}
    if draw(rarely(2)):
        module["momentum"] = draw(st.sampled_from(MOMENTA if legal else ODD_MOMENTA))
    if draw(rarely(5)):
        module["eps"] = draw(st.sampled_from(EPSILONS if legal else ODD_EPSILONS))
    for flag in ("affine", "track_running_stats", "bias"):
        if draw(rarely(5)):
            module[flag] = False
    if draw(rarely(3)):
        module["dtype"] = draw(st.sampled_from(["float64", "float16", "bfloat16"]))
    if not legal and draw(rarely(40)):
        module["dtype"] = draw(st.sampled_from(INTEGERS))
    return module


@st.composite
def states(draw: st.DrawFn, module: Spelled, legal: bool = True) -> Spelled:
    """Return a strategy for the initial state of a module; often it is empty.

    Parameters
    ----------
    module : dict
        Its constructor arguments.
    legal : bool
        Whether all numbers are finite and variances positive.
    """
    state: Spelled = {}
    present = ModuleConfig.model_validate(module).present
    for name in _POOLS:
        if name in present and draw(rarely(3)):
            state[name] = draw(vectors(module["num_features"], pool(name, legal)))
    if "num_batches_tracked" in present and draw(rarely(10)):
        odd = [-1, 2**31, 2**53 + 1]
        state["num_batches_tracked"] = draw(st.sampled_from([1, 7] if legal else [1, *odd]))
    return state
