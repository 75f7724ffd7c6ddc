"""Strategies for arrays: shapes, fills, types, layouts."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

from hypothesis import strategies as st

from harness.case.layouts import LAYOUTS
from harness.dtypes import FLOATING, OTHERS

Spelled = dict[str, Any]
"""A part of a case as YAML spells it."""

IMAGES = 4
"""Rank of an input: (N, C, H, W)."""

_SEED = {"seed": st.integers(0, 2**16)}
_LOCATION = {"mean": st.sampled_from([0, 3, -100, 1000]), "std": st.sampled_from([1, 2, 0.01, 0])}
_SIZE = st.sampled_from([5, 1e8, 0.1, -1, 0])
_SPECIAL = st.sampled_from([math.nan, math.inf, -math.inf])
_FILLS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "arange": {"start": _SIZE, "step": st.sampled_from([1, -0.5, 0.1])},
    "small_integers": _SEED,
    "exact": _SEED,
    "normal": _SEED | _LOCATION,
    "uniform": _SEED,
    "ones": {},
    "zeros": {},
    "constant": {"value": _SIZE},
    "ramp": {"low": _SIZE, "high": _SIZE},
    "alternating": {},
    "two_valued": _SEED,
    "offset": _SEED | {"mean": st.sampled_from([100, 1000, 1e5])},
    "relu": _SEED,
    "sorted": _SEED | _LOCATION,
    "lognormal": _SEED,
    "outlier": _SEED | {"amplitude": st.sampled_from([1e4, 1e2, 1e6])},
    "few_ulps": _SEED | {"precision": st.sampled_from(FLOATING)},
    "near_eps": _SEED | {"factor": st.sampled_from([1, 0.1, 10])},
    "tiny": _SEED,
    "huge": _SEED,
    "subnormal": _SEED | {"precision": st.sampled_from(FLOATING)},
    "special": _SEED | {"value": _SPECIAL},
}
_GRADIENTS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "normal": _SEED,
    "arange": {},
    "ones": {},
    "one_hot": {},
    "zero_sum": _SEED,
    "proportional": {"factor": st.sampled_from([1, -2, 0.1])},
    "zeros": {},
    "offset": _SEED,
    "special": _SEED | {"value": _SPECIAL},
    "huge": _SEED,
}


@cache
def rarely(one_in: int) -> st.SearchStrategy[bool]:
    """Return a strategy for a flag that is seldom true; it shrinks to false."""
    return st.integers(1, one_in).map(lambda number: number == one_in)


def _drawn(table: dict[str, dict[str, st.SearchStrategy[Any]]]) -> st.SearchStrategy[Spelled]:
    """Return a strategy for a fill of a table, with some of its parameters."""
    return st.sampled_from(list(table)).flatmap(
        lambda name: st.fixed_dictionaries({"fill": st.just(name)}, optional=table[name])
    )


@cache
def fills() -> st.SearchStrategy[Spelled]:
    """Return a strategy for the fill of an input, parameters beside its name."""
    return _drawn(_FILLS)


@cache
def shapes(channels: int = 2, legal: bool = True) -> st.SearchStrategy[list[int]]:
    """Return a strategy for the shape of an input: small ones, seldom an empty or a large one.

    Parameters
    ----------
    channels : int
        C.
    legal : bool
        Whether the shape has four axes and that many channels.
    """
    size = st.sampled_from([2, 1, 3, 5])
    samples = st.sampled_from([2, 1, 3, 4, 8])
    large, empty = st.sampled_from([16, 33, 64]), st.sampled_from([0, 2])

    def images(count: int) -> st.SearchStrategy[list[int]]:
        here = st.just(count)
        usual = [st.tuples(samples, here, width, width) for width in (st.just(1), size, size, size)]
        unusual = [st.tuples(st.just(2), here, large, large), st.tuples(empty, here, empty, size)]
        return st.one_of(*usual, *unusual).map(list)

    if legal:
        return images(max(channels, 0))
    ranks = st.lists(size, max_size=5).filter(lambda shape: len(shape) != IMAGES)
    others = st.sampled_from([1, 2, 3, 4, 0]).flatmap(images)
    odd = st.one_of(others, ranks)
    return rarely(6).flatmap(lambda wrong: odd if wrong else images(max(channels, 0)))


@st.composite
def inputs(draw: st.DrawFn, channels: int = 2, legal: bool = True) -> Spelled:
    """Return a strategy for inputs.

    Parameters
    ----------
    channels : int
        Channels of the module.
    legal : bool
        Whether shape and type are such that a float32 module takes the input.
    """
    shape = draw(shapes(channels, legal))
    spelled: Spelled = {"shape": shape, **draw(fills())}
    if draw(rarely(6)):
        spelled["dtype"] = draw(_types(legal))
    spelled |= draw(_layout(len(shape)))
    return spelled


@cache
def _types(legal: bool) -> st.SearchStrategy[str]:
    low = st.sampled_from(["float16", "bfloat16"])
    return low if legal else st.one_of(low, st.sampled_from([*FLOATING, *OTHERS]))


@cache
def _layout(rank: int) -> st.SearchStrategy[Spelled]:
    fitting = LAYOUTS if rank == IMAGES else LAYOUTS[:1]
    some = st.sampled_from(fitting[1:] or fitting).map(lambda layout: {"layout": layout})
    return rarely(4).flatmap(lambda other: some if other else st.just({}))


@st.composite
def grad_outputs(draw: st.DrawFn, rank: int = IMAGES, legal: bool = True) -> Spelled:
    """Return a strategy for gradients of an output of so many axes; shape and type follow it."""
    spelled: Spelled = {**draw(_drawn(_GRADIENTS)), **draw(_layout(rank))}
    if not legal and draw(rarely(20)):
        spelled["dtype"] = draw(_types(legal))
    return spelled


@cache
def vectors(channels: int = 2, pool: tuple[float, ...] = (1, 0.5, -2)) -> st.SearchStrategy[Any]:
    """Return a strategy for arrays of a value for each channel: lists, or now and then a fill."""
    count = max(channels, 0)
    listed = st.lists(st.sampled_from(pool), min_size=count, max_size=count)
    # Positive, and so fit for a variance too.
    drawn = st.fixed_dictionaries({"fill": st.just("lognormal")}, optional=_SEED)
    return st.one_of(listed, listed, drawn)
