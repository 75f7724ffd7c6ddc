"""What a module has returned, which nothing that it does later may change."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import chain
from typing import Any

from harness.case.layouts import describe
from harness.trace import DOUBLE, LEAVES, Array, same_bits

_GRADIENTS = {leaf: f"grad_{leaf}" for leaf in LEAVES}


class Returned:
    """The latest results of a module by name, each beside a copy that the module never sees."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[Array, Array]] = {}
        self._now: dict[str, tuple[Array, Array]] = {}

    def keep(self, name: str, result: Array, copied: Array) -> None:
        """Keep a result of this step, and its copy."""
        self._now[name] = result, copied

    def overwritten(self) -> frozenset[str]:
        """Return those that have changed, as a step ends: what it returned, or one before it."""
        changed, left = set(), {}
        for name, pair in chain(self._before.items(), self._now.items()):
            if same_bits(*pair):
                left[name] = pair
            else:
                changed.add(name)
        self._before, self._now = left, {}
        return frozenset(changed)


class Results:
    """What one step returns, on its way into the trace.

    Parameters
    ----------
    record : dict
        Of the step; gets `results` and `layouts`.
    returned : Returned or None
        What watches over the module's own arrays; None where nothing writes into them again, so
        that they need no copy.
    """

    def __init__(self, record: dict[str, Any], returned: Returned | None) -> None:
        self._results: dict[str, Array | None] = {}
        self._layouts: dict[str, frozenset[str]] = {}
        self._returned = returned
        record["results"], record["layouts"] = self._results, self._layouts

    def keep(self, name: str, value: Array | None) -> None:
        """Keep a result, with the strides that it has."""
        self._results[name] = value
        if value is None:
            return
        if value.ndim == 4 and name not in DOUBLE:  # noqa: PLR2004  # formats are of 4-D arrays
            self._layouts[name] = describe(value)
        if self._returned is not None:
            self._results[name] = copied = value.copy(order="K")
            self._returned.keep(name, value, copied)

    def keep_gradients(
        self, gradients: Mapping[str, Array | None], leaves: Collection[str]
    ) -> None:
        """Keep the gradients by some of `LEAVES`."""
        for leaf in leaves:
            name = _GRADIENTS[leaf]
            self.keep(name, gradients[name])

    def keep_double(self, found: Mapping[str, Array | None], leaves: Collection[str]) -> None:
        """Keep what a double backward pass gives, by some of `LEAVES` and by grad_output."""
        for name in DOUBLE:
            if name.removeprefix("double_grad_") in (*leaves, "grad_output"):
                self.keep(name, found[name])
