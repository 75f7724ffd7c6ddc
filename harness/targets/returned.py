"""What a module has returned, which nothing that it does later may change."""

from __future__ import annotations

from itertools import chain

from harness.trace import Array, same_bits


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
