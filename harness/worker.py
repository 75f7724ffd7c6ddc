"""Runs and judges cases in one process."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from harness import known
from harness.batch import About, Batch, without_trace
from harness.case import needs
from harness.case.model import Case
from harness.compare import Account, Comparison, Hearing, judge
from harness.memory import Limit
from harness.plan import Loaded, Plan
from harness.report.collect import Collector, Origin
from harness.targets import Target, blinded
from harness.targets.base import Crashed
from harness.trace import Trace
from harness.verdicts import Verdict
from harness.versions import holds

__all__ = ["About", "Batch", "Plan", "Task", "Worker"]

Task = tuple[Origin, Case]


_TOGETHER = 2**18
"""Elements of results after which cases are judged, so that memory does not grow with them."""


_PATIENCE = 5000
"""Objects that are made before Python looks which of them are left."""


@contextmanager
def _patient() -> Iterator[None]:
    """Look seldom for what nobody holds: what a case leaves is kept until it is judged."""
    before = gc.get_threshold()
    gc.set_threshold(_PATIENCE, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@dataclass
class _Executed:
    """A case on its way to judgement.

    Attributes
    ----------
    origin : Origin
    case : Case
    names : sequence of str
        The baseline and targets whose comparisons are kept.
    applies : bool
        The case holds for the baseline's version of torch.
    hearing : Hearing or None
        None where there is nothing to judge.
    lost : dict of str to Comparison
        Of those that gave no trace, or to which there is none.
    """

    origin: Origin
    case: Case
    names: Sequence[str]
    applies: bool = True
    hearing: Hearing | None = None
    lost: dict[str, Comparison] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Elements of the baseline's results."""
        steps = self.hearing.baseline.trace.steps if self.hearing is not None else ()
        arrays = (array for step in steps for array in step.results.values())
        return sum(array.size for array in arrays if array is not None)

    def lose(self, name: str, verdict: Verdict, reason: str) -> None:
        """Give up on a target."""
        self.lost[name] = without_trace(self.case, name, verdict, reason)


class Worker:
    """Executes cases by the targets of a plan, and judges them.

    Parameters
    ----------
    plan : Plan

    Raises
    ------
    InvalidInput
        A target cannot be loaded, two have the same name, or the baseline cannot run here.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        loaded = Loaded(plan)
        self.baseline, self.targets = loaded.baseline, loaded.targets
        self.names, self.absent = loaded.names, loaded.absent
        self._about = loaded.about()
        self.torch = self._about.torch
        self.known = known.load()
        self._has_everything = holds(self.torch, needs.EVERYTHING, None)
        self._interrupted = False
        self._limit = Limit(plan.memory) if plan.memory is not None else None

    def batch(self) -> Batch:
        """Return an empty batch."""
        return Batch(Collector(self.plan.full), self.known.unmet())

    def about(self) -> About:
        """Return what the run's report says of this process."""
        return self._about

    def run(self, tasks: Sequence[Task]) -> Batch:
        """Execute and judge cases."""
        return self.take(tasks, math.inf)[0]

    def take(self, tasks: Sequence[Task], seconds: float) -> tuple[Batch, int]:
        """Execute cases until the time is over, and judge them together.

        Returns what was found, and how many of the cases were executed: at least one.
        """
        end = time.monotonic() + seconds
        batch, names = self.batch(), [self.baseline.info.name, *self.names]
        done, size = 0, 0
        waiting: list[_Executed] = []
        if self._interrupted:
            self._interrupted = False
            raise KeyboardInterrupt
        with _patient():
            for origin, case in tasks:
                try:
                    waiting.append(self._executed(origin, case, names))
                except KeyboardInterrupt:
                    if not done:
                        raise
                    # What was executed is judged first; the next call raises.
                    self._interrupted = True
                    break
                size += waiting[-1].size
                done += 1
                if size > _TOGETHER:
                    self._judge(batch, waiting)
                    waiting, size = [], 0
                if time.monotonic() >= end:
                    break
            self._judge(batch, waiting)
        return batch, done

    def judge(self, batch: Batch, origin: Origin, case: Case) -> list[Comparison]:
        """Execute and judge one case; return the comparison of each target."""
        return self.share(batch, origin, case, [self.baseline.info.name, *self.names])

    def share(
        self, batch: Batch, origin: Origin, case: Case, names: Sequence[str]
    ) -> list[Comparison]:
        """Execute and judge one case by the baseline and those of the targets that are named.

        The baseline's own comparison, which any other needs, is kept where it is named.
        """
        (comparisons,) = self._judge(batch, [self._executed(origin, case, names)])
        return comparisons

    def _executed(self, origin: Origin, case: Case, names: Sequence[str]) -> _Executed:
        done = _Executed(origin, case, names)
        known = self._has_everything or holds(self.torch, needs.since(case), None)
        if not known or not holds(self.torch, case.since, case.before):
            done.applies = False
            return done
        given, baseline = blinded(case), self.baseline.info
        try:
            trace = self._execute(self.baseline, given)
        except Crashed as error:
            self._lose_all(done, error.verdict, str(error))
            return done
        if trace.unsupported is not None:
            # What it cannot construct says nothing of what the others construct.
            self._lose_all(done, "unsupported", trace.unsupported)
            return done
        heard = []
        for target in self.targets:
            info = target.info
            if info.name not in names or info.name == baseline.name:
                continue
            try:
                found = self._execute(target, given)
            except Crashed as error:
                done.lose(info.name, error.verdict, str(error))
            else:
                heard.append(Account(info.name, found, info.declares, info.semantics))
        own = Account(baseline.name, trace, baseline.declares, baseline.semantics)
        done.hearing = Hearing(case, self.torch, own, tuple(heard))
        return done

    def _lose_all(self, done: _Executed, verdict: Verdict, reason: str) -> None:
        """Say of a case that the baseline has not run what becomes of each target."""
        baseline = self.baseline.info.name
        done.lose(baseline, verdict, reason)
        for name in self.names:
            if name not in self.absent and name != baseline:
                done.lose(name, "unjudged", f"of {baseline}, {reason}")

    def _judge(self, batch: Batch, waiting: Sequence[_Executed]) -> list[list[Comparison]]:
        """Judge what was executed, and keep what is found; return the targets' comparisons."""
        hearings = [done.hearing for done in waiting if done.hearing is not None]
        judged = judge(hearings, self.plan.accuracy)
        found = []
        for done in waiting:
            comparisons = dict(done.lost)
            if done.hearing is not None:
                comparisons |= {each.target: each for each in next(judged)}
            if not done.applies:
                batch.inapplicable += 1
            if done.lost or not done.applies:
                batch.known.excuse(done.case.id)
            order = dict.fromkeys((self.baseline.info.name, *self.names))
            kept = [comparisons[name] for name in order if name in comparisons.keys() & done.names]
            for comparison in kept:
                batch.keep(done.origin, comparison, self._about)
            found.append([each for each in kept if each.target in self.names])
        return found

    def _execute(self, target: Target, case: Case) -> Trace:
        # A command is a process of its own, which is not limited by this one's memory.
        if self._limit is None or target.info.name.startswith("exec:"):
            return target.execute(case)
        return self._limit.execute(target, case)
