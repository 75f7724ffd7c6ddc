"""Steps that look alike: nothing differs in them but numbers, so that they are one table's rows."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from harness.case.model import Case, Eval, ModuleConfig, Train
from harness.compare.executions import same
from harness.compare.follow import Asked, follow
from harness.compare.judged import Account, Hearing
from harness.compare.transfer import Arrays
from harness.semantics import TORCH
from harness.trace import STATE, StepTrace


class Row(NamedTuple):
    """A step of a case, executed by each of some implementations.

    Attributes
    ----------
    place : int
        The case's.
    asked : Asked
    before : tuple of (mapping of str to array or None)
        The state that each had before it.
    done : tuple of StepTrace
    """

    place: int
    asked: Asked
    before: tuple[Arrays, ...]
    done: tuple[StepTrace, ...]


class Alike:
    """Sorts the steps of cases by what they look like.

    Parameters
    ----------
    names : sequence of str
        The implementations whose accounts a case needs, in this order.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.rows: dict[Hashable, list[Row]] = {}
        """By what steps have in common: their rows."""
        self._names = names
        self._asked: dict[tuple[int, str], list[tuple[Hashable, Asked]] | None] = {}

    def add(self, hearing: Hearing, place: int) -> bool:
        """Add the steps of a case, or return that there is more to them than numbers."""
        case, accounts = hearing.case, hearing.accounts
        key = id(case.steps), case.module.dtype
        if key not in self._asked:
            self._asked[key] = _asked(case)
        asked = self._asked[key]
        if asked is None or case.expect or case.raises is not None:
            return False
        looks = _looks(hearing.baseline)
        if looks is None or [each.name for each in accounts] != self._names:
            return False
        start = hearing.baseline.trace.initial
        counter = start.get("num_batches_tracked")
        if counter is not None and (counter.ndim or counter.dtype.kind not in "iuf"):
            return False
        for target in hearing.targets:
            if _looks(target) != looks or not same(STATE, target.trace.initial, start):
                return False
        self._add(place, case.module, asked, looks, accounts)
        return True

    def _add(
        self,
        place: int,
        module: ModuleConfig,
        asked: Sequence[tuple[Hashable, Asked]],
        looks: Sequence[_Look],
        accounts: Sequence[Account],
    ) -> None:
        traces = [account.trace for account in accounts]
        before = tuple(trace.initial for trace in traces)
        held = _held(before[0], module)
        for (form, each), (results, _), *done in zip(
            asked, looks, *(trace.steps for trace in traces), strict=False
        ):
            key = form, held[each.mode], results
            row = Row(place, each.by(module), before, tuple(done))
            self.rows.setdefault(key, []).append(row)
            before = tuple(step.state for step in done)


def _asked(case: Case) -> list[tuple[Hashable, Asked]] | None:
    """Return what the steps of a case ask, each with its form; None if they do more than ask."""
    found: list[tuple[Hashable, Asked]] = []
    for asked in follow(case):
        step = asked.step
        if not isinstance(step, Train | Eval) or step.expected_error is not None:
            return None
        if step.forward.double_backward is not None or asked.seeds or asked.input is None:
            return None
        form = asked.input.dtype, asked.input.shape, asked.grad_output is None
        found.append((form, asked))
    return found


def _held(state: Arrays, module: ModuleConfig) -> dict[str, Hashable]:
    """Return by mode what decides which statistics are used, and what is computed from them."""
    weight, bias, mean, variance = (
        None if (array := state.get(name)) is None else (array.dtype, array.shape)
        for name in STATE[:4]
    )
    absent = mean is None and variance is None
    tracked = (mean, variance) if module.track_running_stats else (None, None)
    return {
        "train": (True, weight, bias, *tracked, not absent),
        "eval": (absent, weight, bias, mean, variance, False),
    }


_Look = tuple[Hashable, Hashable]
"""The types and shapes of what a step returned; what of the state it moved, and its layouts."""


def _looks(account: Account) -> list[_Look] | None:
    """Return what each step of a trace looks like, None where it has more than numbers."""
    trace = account.trace
    if trace.raised is not None or trace.unsupported is not None or account.semantics != TORCH:
        return None
    before, found = trace.initial, list[_Look]()
    for _, _, results, layouts, state, _, raised, unsupported, changed, _, written in trace.steps:
        if raised is not None or unsupported is not None or changed or written:
            return None
        if results.get("output") is None:
            return None
        look: list[Hashable] = []
        for name, array in results.items():
            look += (name, None) if array is None else (name, array.dtype, array.shape)
        moved = []
        for name in STATE:
            old, new = before.get(name), state.get(name)
            if old is new:
                continue
            if old is None or new is None or old.dtype != new.dtype or old.shape != new.shape:
                return None
            moved.append(name)
        found.append((tuple(look), (*moved, *layouts.items())))
        before = state
    return found
