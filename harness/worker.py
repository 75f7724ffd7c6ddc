"""Runs and judges cases in one process."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from harness import known
from harness.case import needs
from harness.case.model import Case
from harness.compare import Comparison, Judge
from harness.environment import environment
from harness.errors import InvalidInput
from harness.report.collect import Collector, Origin
from harness.targets import Target, blinded, resolve
from harness.targets.base import Crashed
from harness.verdicts import FAILED, Verdict
from harness.versions import holds

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
    """

    targets: tuple[Any, ...]
    baseline: str = "torch"
    accuracy: str | None = None
    full: bool = False
    timeout: float = 60.0


@dataclass
class Batch:
    """What a process has found.

    Attributes
    ----------
    collector : Collector
    known : KnownDivergences
    failures : list of Comparison
        Comparisons that are held against a target, for the user to see at once.
    inapplicable : list of str
        Cases that do not hold for this version of torch.
    """

    collector: Collector
    known: known.KnownDivergences
    failures: list[Comparison] = field(default_factory=list)
    inapplicable: list[str] = field(default_factory=list)

    def merge(self, other: Batch) -> None:
        """Add what another process has found."""
        self.collector.merge(other.collector)
        self.known.merge(other.known)
        self.failures += other.failures
        self.inapplicable += other.inapplicable


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

    def batch(self) -> Batch:
        """Return an empty batch."""
        return Batch(Collector(self.plan.full), self.known.unmet())

    def about(self) -> About:
        """Return what the run's report says of this process."""
        return About(self.baseline.info.name, self.names, self.absent, self.environment, self.torch)

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
            batch.inapplicable.append(case.id)
            batch.known.excuse(case.id)
            return []
        given, name = blinded(case), self.baseline.info.name
        try:
            trace = self.baseline.execute(given)
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
            self.keep(batch, origin, own)
            comparisons += [own] if name in self.names else []
        for target in self.targets:
            if target.info.name in names and target.info.name != name:
                try:
                    found = target.execute(given)
                except Crashed as error:
                    batch.known.excuse(case.id)
                    comparison = without_trace(case, target.info.name, error.verdict, str(error))
                else:
                    info = target.info
                    comparison = judge.compare(info.name, found, info.declares, info.semantics)
                self.keep(batch, origin, comparison)
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
            self.keep(batch, origin, comparison)
            if name in self.names:
                comparisons.append(comparison)
        return comparisons

    def keep(self, batch: Batch, origin: Origin, comparison: Comparison) -> None:
        """Collect a comparison, known divergences taken note of."""
        batch.known.apply(comparison)
        name = self.baseline.info.name
        quiet = comparison.target == name and name not in self.names
        batch.collector.add(origin, comparison, baseline=quiet)
        # What a case publishes and the baseline does not hold shows with each target too.
        if comparison.verdict in FAILED and not (quiet and comparison.verdict == "diverge"):
            batch.failures.append(comparison)


@dataclass(frozen=True)
class About:
    """What a run's processes say of themselves.

    Attributes
    ----------
    baseline : str
        The baseline's name.
    names : list of str
        Of the targets, those that are absent included.
    absent : dict of str to str
        Targets that cannot run here, and why.
    environment : dict
    torch : str
        The baseline's version, which decides what cases hold.
    """

    baseline: str
    names: list[str]
    absent: dict[str, str]
    environment: dict[str, Any]
    torch: str


_here: list[Worker | InvalidInput] = []


def start(plan: Plan, folder: str) -> None:
    """Make the worker of this process; modules of targets are found from `folder`.

    What a target prints goes to standard error: standard output is for results.
    """
    os.dup2(2, 1)
    sys.stdout = sys.stderr  # its own buffer would be lost when the process is stopped
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        _here[:] = [Worker(plan)]
    except InvalidInput as error:  # told to the first who asks
        _here[:] = [error]


def _worker() -> Worker:
    (here,) = _here
    if isinstance(here, InvalidInput):
        raise here
    return here


def about() -> About:
    """Return what this process says of itself."""
    return _worker().about()


def judge(tasks: Sequence[Task], seconds: float) -> tuple[Batch, int]:
    """Execute and judge cases in this process until the time is over.

    Returns what was found, and how many of the cases were judged: at least one.
    """
    here, end = _worker(), time.monotonic() + seconds
    batch, done = here.batch(), 0
    for origin, case in tasks:
        here.judge(batch, origin, case)
        done += 1
        if time.monotonic() >= end:
            break
    return batch, done


def share(task: Task, name: str | None) -> Batch:
    """Execute a case by one target and judge it; None stands for the baseline alone."""
    here = _worker()
    batch = here.batch()
    here.share(batch, *task, [name or here.baseline.info.name])
    return batch


def lost(task: Task, names: dict[str | None, tuple[Verdict, str]]) -> Batch:
    """Return the batch of a case whose process some targets did not survive.

    Parameters
    ----------
    task : Task
    names : dict
        Verdict and reason of each of these targets; None stands for the baseline.
    """
    here = _worker()
    origin, case = task
    batch = here.batch()
    batch.known.excuse(case.id)
    for name, (verdict, reason) in names.items():
        target = name or here.baseline.info.name
        here.keep(batch, origin, without_trace(case, target, verdict, reason))
    return batch


def without_trace(case: Case, target: str, verdict: Verdict, reason: str) -> Comparison:
    """Return the comparison of a target that gave no trace, or to which there is none."""
    return Comparison(case.id, target, verdict, bitwise_equal=False, reason=reason)
