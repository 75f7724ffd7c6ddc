"""Runs and judges cases in one process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness import known
from harness.batch import About, Batch, without_trace
from harness.case import needs
from harness.case.model import Case
from harness.compare import Comparison, Judge
from harness.environment import environment
from harness.errors import InvalidInput
from harness.memory import Limit
from harness.report.collect import Collector, Origin
from harness.targets import Target, blinded, resolve
from harness.targets.base import Crashed
from harness.trace import Trace
from harness.verdicts import Verdict
from harness.versions import holds

__all__ = ["About", "Batch", "Plan", "Task", "Worker"]

Task = tuple[Origin, Case]


@dataclass(frozen=True)
class Plan:
    """What a run asks of each of its processes.

    Attributes
    ----------
    targets : tuple of str or class
        SPECs, in the order that they were asked for.
    baseline : str
        SPEC of the target that defines the expected behaviour.
    accuracy : str or None
        The class whose bound is the standard; None for that of the input's type.
    full : bool
        Keep the agreeing cases of matrices.
    timeout : float
        Seconds that a target which keeps its own time (a worker process) has for one case.
    memory : int or None
        Bytes that targets may take beside what the process has once they are loaded.
    """

    targets: tuple[Any, ...]
    baseline: str = "torch"
    accuracy: str | None = None
    full: bool = False
    timeout: float = 60.0
    memory: int | None = None


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
        self.baseline: Target = resolve(plan.baseline, plan.timeout)
        if self.baseline.info.absent is not None:
            raise InvalidInput(
                f"--against {plan.baseline}: it cannot run here: {self.baseline.info.absent}"
            )
        # A baseline that is judged too is one worker process, not two.
        resolved = [
            self.baseline if spec == plan.baseline else resolve(spec, plan.timeout)
            for spec in dict.fromkeys(plan.targets)
        ]
        self.targets = [target for target in resolved if target.info.absent is None]
        self.names = [target.info.name for target in resolved]
        repeated = [name for name, count in Counter(self.names).items() if count > 1]
        if repeated:
            raise InvalidInput(f"two targets have the name {repeated[0]}; give them different ones")
        self.absent = {
            target.info.name: target.info.absent
            for target in resolved
            if target.info.absent is not None
        }
        self.environment = environment()
        self.torch = self.baseline.info.versions.get("torch", str(self.environment["torch"]))
        workers = {
            target.info.name: dict(target.info.versions)
            for target in (self.baseline, *self.targets)
            if target.info.name.startswith("exec:")
        }
        if workers:
            self.environment["workers"] = workers
        frameworks = {
            target.info.name: dict(target.info.versions)
            for target in self.targets
            if target.info.name not in workers and set(target.info.versions) - {"torch"}
        }
        if frameworks:
            self.environment["frameworks"] = frameworks
        self.known = known.load()
        self._about = About(
            self.baseline.info.name, self.names, self.absent, self.environment, self.torch
        )
        self._limit = Limit(plan.memory) if plan.memory is not None else None

    def batch(self) -> Batch:
        """Return an empty batch."""
        return Batch(Collector(self.plan.full), self.known.unmet())

    def about(self) -> About:
        """Return what the run's report says of this process."""
        return self._about

    def run(self, tasks: Sequence[Task]) -> Batch:
        """Execute and judge cases."""
        batch = self.batch()
        for origin, case in tasks:
            self.judge(batch, origin, case)
        return batch

    def judge(self, batch: Batch, origin: Origin, case: Case) -> list[Comparison]:
        """Execute and judge one case; return the comparison of each target."""
        return self.share(batch, origin, case, [self.baseline.info.name, *self.names])

    def share(
        self, batch: Batch, origin: Origin, case: Case, names: Sequence[str]
    ) -> list[Comparison]:
        """Execute and judge one case by the baseline and those of the targets that are named.

        The baseline's own comparison, which any other needs, is kept where it is named.
        """
        known = holds(self.torch, needs.since(case), None)
        if not known or not holds(self.torch, case.since, case.before):
            batch.inapplicable += 1
            batch.known.excuse(case.id)
            return []
        given, name = blinded(case), self.baseline.info.name
        try:
            trace = self._execute(self.baseline, given)
        except Crashed as error:
            return self._unjudged(batch, origin, case, names, error.verdict, str(error))
        if trace.unsupported is not None:
            # What it cannot construct says nothing of what the others construct.
            return self._unjudged(batch, origin, case, names, "unsupported", trace.unsupported)
        judge = Judge(
            case,
            trace,
            self.torch,
            self.baseline.info.declares,
            self.plan.accuracy,
            self.baseline.info.semantics,
        )
        comparisons = []
        if name in names:
            info = self.baseline.info
            own = judge.compare(name, trace, info.declares, info.semantics)
            batch.keep(origin, own, self._about)
            comparisons += [own] if name in self.names else []
        for target in self.targets:
            if target.info.name in names and target.info.name != name:
                try:
                    found = self._execute(target, given)
                except Crashed as error:
                    batch.known.excuse(case.id)
                    comparison = without_trace(case, target.info.name, error.verdict, str(error))
                else:
                    info = target.info
                    comparison = judge.compare(info.name, found, info.declares, info.semantics)
                batch.keep(origin, comparison, self._about)
                comparisons.append(comparison)
        return comparisons

    def _unjudged(  # noqa: PLR0917  # a case, and what the baseline said to it
        self,
        batch: Batch,
        origin: Origin,
        case: Case,
        names: Sequence[str],
        verdict: Verdict,
        reason: str,
    ) -> list[Comparison]:
        """Keep the comparisons of a case that the baseline has not run."""
        batch.known.excuse(case.id)
        baseline = self.baseline.info.name
        comparisons = []
        for name in dict.fromkeys((baseline, *self.names)):
            if name not in names or name in self.absent:
                continue
            comparison = (
                without_trace(case, name, verdict, reason)
                if name == baseline
                else without_trace(case, name, "unjudged", f"of {baseline}, {reason}")
            )
            batch.keep(origin, comparison, self._about)
            if name in self.names:
                comparisons.append(comparison)
        return comparisons

    def _execute(self, target: Target, case: Case) -> Trace:
        # A command is a process of its own, which is not limited by this one's memory.
        if self._limit is None or target.info.name.startswith("exec:"):
            return target.execute(case)
        return self._limit.execute(target, case)
