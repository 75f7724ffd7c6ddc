"""Runs and judges cases in one process."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from harness import known
from harness.batch import About, Batch
from harness.case import needs
from harness.case.model import Case
from harness.compare import Account, Comparison, Hearing, agreements, judge
from harness.executed import Executed, at_once
from harness.loaded import Loaded
from harness.memory import Limit
from harness.patience import look, patient
from harness.plan import Plan, in_own_process
from harness.report.collect import Collector, Origin
from harness.targets import Target, blinded
from harness.targets.base import Crashed, RunAll
from harness.targets.guard import session
from harness.trace import Trace
from harness.verdicts import Verdict

Task = tuple[Origin, Case]


_TOGETHER = 2**20
"""Elements of results after which cases are judged, so that memory does not grow with them."""


_TURN = 0.02
"""Seconds that the baseline executes cases before they are the targets' turn: what runs for a
while stays in the processor's caches."""


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
        self.baseline, self.targets = loaded.baseline, loaded.others
        self.names, self.absent = loaded.names, loaded.absent
        self._about = loaded.about()
        self.torch = self._about.torch
        self.known = known.load(known.files(plan.known))
        self._interrupted = False
        self._limit = self._limited(plan.memory) if plan.memory is not None else None

    @staticmethod
    def _limited(memory: int) -> Limit:
        if "torch" in sys.modules:
            from harness.targets.native import import_autograd

            import_autograd()
        return Limit(memory)

    def close(self) -> None:
        """End the processes that targets have of their own."""
        for target in (self.baseline, *self.targets):
            if hasattr(target, "close"):
                target.close()

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
        pending = (Executed(origin, case, names) for origin, case in tasks)
        done, size = 0, 0
        waiting: list[Executed] = []
        if self._interrupted:
            self._interrupted = False
            raise KeyboardInterrupt
        with patient():
            look()
            while True:
                try:
                    executed = self._executed(pending, end)
                except KeyboardInterrupt:
                    if not done:
                        raise
                    # What was executed is judged first; the next call raises.
                    self._interrupted = True
                    break
                if not executed:
                    break
                waiting += executed
                size += sum(each.size for each in executed)
                done += len(executed)
                if size > _TOGETHER:
                    self._judge_all(batch, waiting)
                    waiting, size = [], 0
                    look()
                if self._interrupted or time.monotonic() >= end:
                    break
            self._judge_all(batch, waiting)
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
        executed = self._executed([Executed(origin, case, names)])
        (comparisons,) = self._judge(batch, executed)
        return comparisons

    def _executed(self, pending: Iterable[Executed], end: float = math.inf) -> list[Executed]:
        """Execute the next cases by the baseline, then those by each target in turn.

        Returns those that all had time for; raises an interruption where not even one was.
        """
        turn = min(end, time.monotonic() + _TURN)
        executed = self._turn(self.baseline, self._by_baseline, pending, turn)
        for target in self.targets:
            executed = self._turn(target, partial(self._by, target), executed, end)
        return executed

    def _turn(
        self,
        target: Target,
        execute: Callable[[Sequence[Executed]], None],
        cases: Iterable[Executed],
        end: float,
    ) -> list[Executed]:
        """Execute cases, at least one, until the time is over; return those."""
        executed: list[Executed] = []
        try:
            with session():
                groups = at_once(cases) if self._run_all(target) else ([each] for each in cases)
                for some in groups:
                    execute(some)
                    executed += some
                    if time.monotonic() >= end:
                        break
        except KeyboardInterrupt:
            if not executed:
                raise
            self._interrupted = True
        return executed

    def _by_baseline(self, some: Sequence[Executed]) -> None:
        baseline = self.baseline.info
        for done in some:
            done.applies = needs.applies(done.case, self.torch)
        apply = [done for done in some if done.applies]
        for done, trace in zip(apply, self._traces(self.baseline, apply), strict=True):
            if isinstance(trace, Crashed):
                self._lose_all(done, trace.verdict, str(trace))
            elif trace.unsupported is not None:
                # What it cannot construct says nothing of what the others construct.
                self._lose_all(done, "unsupported", trace.unsupported)
            else:
                account = Account(baseline.name, trace, baseline.declares, baseline.semantics)
                done.baseline = account

    def _by(self, target: Target, some: Sequence[Executed]) -> None:
        info = target.info
        asked = [done for done in some if done.baseline is not None and info.name in done.names]
        for done, trace in zip(asked, self._traces(target, asked), strict=True):
            if isinstance(trace, Crashed):
                done.lose(info.name, trace.verdict, str(trace))
            else:
                done.heard.append(Account(info.name, trace, info.declares, info.semantics))

    def _lose_all(self, done: Executed, verdict: Verdict, reason: str) -> None:
        """Say of a case that the baseline has not run what becomes of each target."""
        baseline = self.baseline.info.name
        done.lose(baseline, verdict, reason)
        for name in self.names:
            if name not in self.absent and name != baseline:
                done.lose(name, "unjudged", f"of {baseline}, {reason}")

    def _judge_all(self, batch: Batch, waiting: Sequence[Executed]) -> None:
        """Judge what was executed: together where all agree and need not be listed."""
        if not self.plan.full:
            heard = [
                self._hearing(done, done.baseline, done.origin.matrix)
                for done in waiting
                if done.baseline is not None and not done.lost
            ]
            origins = {done.origin.matrix: done.origin for done in waiting}
            told: set[str] = set()
            for agreement in agreements(heard, self.plan.accuracy):
                batch.keep_agreement(origins[agreement.matrix], agreement)
                told.update(agreement.cases)
            waiting = [done for done in waiting if done.case.id not in told]
        self._judge(batch, waiting)

    def _hearing(self, done: Executed, baseline: Account, matrix: str | None = None) -> Hearing:
        return Hearing(done.case, self.torch, baseline, tuple(done.heard), matrix)

    def _judge(self, batch: Batch, waiting: Sequence[Executed]) -> list[list[Comparison]]:
        """Judge what was executed, and keep what is found; return the targets' comparisons."""
        hearings = [
            self._hearing(done, done.baseline) for done in waiting if done.baseline is not None
        ]
        judged = judge(hearings, self.plan.accuracy)
        found = []
        for done in waiting:
            comparisons = dict(done.lost)
            if done.baseline is not None:
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

    def _traces(self, target: Target, some: Sequence[Executed]) -> list[Trace | Crashed]:
        cases = [blinded(done.case) for done in some]
        run_all = self._run_all(target)
        return [*run_all(cases)] if run_all else [self._execute(target, case) for case in cases]

    def _run_all(self, target: Target) -> RunAll | None:
        """Return what executes cases side by side; a limit of memory is each case's own."""
        return None if self._limit is not None else getattr(target, "run_all", None)

    def _execute(self, target: Target, case: Case) -> Trace | Crashed:
        try:
            # A limit of this process's memory does not hold for another's.
            if self._limit is None or in_own_process(target.info.name):
                return target.execute(case)
            return self._limit.execute(target, case)
        except Crashed as error:
            return error
