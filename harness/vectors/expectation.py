"""What is expected of a quantity, so that a few lines in any language can judge by it."""

from __future__ import annotations

import numpy as np

from harness.dtypes import precision
from harness.oracle import Expected
from harness.oracle.doubledouble import DoubleDouble
from harness.trace import Array
from harness.vectors.store import Store

OR_NAN, NO_NUMBER, OR_INFINITY, EITHER_INFINITY = 1, 2, 3, 4
"""What conforms beside the exact value: nan too; any nan or infinity; of its sign; either."""

_RULES = {"same": 0, "or-nan": OR_NAN, "non-finite": NO_NUMBER}


def expectation(expected: Expected, store: Store) -> dict[str, str]:
    """Return the exact value of a quantity and its bound, by the names of their arrays.

    `bound` is infinite where no value can be held against the exact one. `low` is there where
    float64 does not hold the exact value: what is missing. `special` is there where more conforms
    than the exact value: the codes above.

    Parameters
    ----------
    expected : Expected
    store : Store
    """
    exact, bound = expected.values, np.array(expected.bound)
    number = np.isfinite(exact)
    special = np.zeros(exact.shape, np.uint8)
    largest = precision(expected.dtype).max
    with np.errstate(all="ignore"):
        special[number & (largest - np.abs(exact) <= bound)] = OR_INFINITY
        special[number & (largest + np.abs(exact) <= bound)] = EITHER_INFINITY
    if expected.special is not None:
        special[expected.special & ~number] = _RULES[expected.rule]
    bound[~number] = 0.0
    if expected.unjudged is not None:
        bound[expected.unjudged] = np.inf
    found = {"dtype": expected.dtype, "exact": store.add(exact), "bound": store.add(bound)}
    low = _low(expected)
    if low.any():
        found["low"] = store.add(low)
    if special.any():
        found["special"] = store.add(special)
    return found


def _low(expected: Expected) -> Array:
    """Return what of the exact values float64 cannot hold."""
    exact = expected.exact
    with np.errstate(all="ignore"):
        low = exact.low if isinstance(exact, DoubleDouble) else exact - expected.values
    return np.where(np.isfinite(expected.values), low, 0.0).astype(np.float64)
