"""A case with exact running statistics: what every step starts from, and what is exact in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from harness.case.model import Case, ModuleConfig
from harness.compare.follow import Asked, follow
from harness.compare.question import question, real
from harness.oracle import RUNNING, Results, exact
from harness.reference import BatchNorm2d
from harness.targets import array_class, blinded
from harness.targets.driver import execute
from harness.trace import Array, Trace, same_bits


@dataclass(frozen=True)
class Exactly:
    """A case as it goes with exact running statistics.

    Attributes
    ----------
    trace : Trace
        What a module does whose running statistics are the exact ones, rounded to their type
        after every step. Counter, presence, types and errors are those of
        `harness.reference.BatchNorm2d`.
    asked : tuple of Asked
        For each step of the trace, the scalars that hold in it.
    results : tuple of Results or None
        For each step of the trace, what is exact in it; None where nothing is computed.
    before : tuple of mapping of str to array or None
        For each step of the trace, the state that its results follow from.
    """

    trace: Trace
    asked: tuple[Asked, ...]
    results: tuple[Results | None, ...]
    before: tuple[Mapping[str, Array | None], ...]


class _Subject(array_class.ArraySubject):
    """The reference, its running statistics made exact."""

    def __init__(self, case: Case, config: ModuleConfig) -> None:
        super().__init__(array_class.construct(BatchNorm2d, config).module)
        self.asked = (each for each in follow(case) if each.step.forward is not None)
        self.results: list[Results | None] = []

    def forward(self, given: Array, leaves: Collection[str]) -> Array:
        """Run the reference, and put the exact running statistics in place of its own."""
        before, _ = self.state()
        try:
            return super().forward(given, leaves)
        finally:
            self.results.append(_results(next(self.asked), before))
            self._correct(before, self.results[-1])

    def _correct(self, before: Mapping[str, Array | None], results: Results | None) -> None:
        if results is None:
            return
        after, _ = self.state()
        for name in RUNNING:
            old, new = before[name], after[name]
            if old is None or new is None or same_bits(old, new) or name not in results.quantities:
                continue
            with np.errstate(all="ignore"):
                self.fill(name, results.expected(name).values.astype(new.dtype))


def exactly(case: Case) -> Exactly:
    """Walk a case with exact running statistics.

    Parameters
    ----------
    case : Case
    """
    case = blinded(case)
    subjects: list[_Subject] = []

    def construct(config: ModuleConfig) -> _Subject:
        subjects.append(_Subject(case, config))
        return subjects[-1]

    trace = execute(case, construct)
    computed = iter(subjects[0].results if subjects else ())
    asked = tuple(follow(case)) if trace.steps else ()
    states = [trace.initial, *(done.state for done in trace.steps)]
    starts = dict(zip(asked, states, strict=False))
    before = tuple(starts[each.of or each] for each in asked)
    results = tuple(
        next(computed)
        if each.step.forward is not None
        else _results(each, start)
        if each.of is not None
        else None
        for each, start in zip(asked, before, strict=True)
    )
    return Exactly(trace, asked, results, before)


def _results(asked: Asked, before: Mapping[str, Array | None]) -> Results | None:
    for gradients in (True, False):
        # A gradient of another shape than the output's is refused; the output is none the worse.
        with suppress(ValueError):
            asks = question(asked, before, gradients=gradients)
            return exact(asks.step) if asks is not None and real(asks.step) else None
    return None
