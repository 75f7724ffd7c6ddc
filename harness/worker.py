"""Runs and judges cases in one process."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from harness import known
from harness.case.model import Case
from harness.compare import Comparison, Judge
from harness.compare.findings import Verdict
from harness.environment import environment
from harness.errors import InvalidInput
from harness.report.collect import Collector, Origin
from harness.targets import Target, resolve
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
    """

    targets: tuple[Any, ...]
    baseline: str = "torch"
    accuracy: str | None = None
    full: bool = False


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


FAILED = ("diverge", "crash", "timeout")
"""Verdicts that are held against a target."""


class Worker:
    """Executes cases by the targets of a plan, and judges them.

    Parameters
    ----------
    plan : Plan

    Raises
    ------
    InvalidInput
        A target cannot be loaded, or the baseline cannot run here.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.baseline: Target = resolve(plan.baseline)
        resolved = [resolve(spec) for spec in plan.targets]
        self.targets = [target for target in resolved if target.info.absent is None]
        self.names = [target.info.name for target in resolved]
        self.absent = {
            target.info.name: target.info.absent
            for target in resolved
            if target.info.absent is not None
        }
        self.environment = environment()
        self.torch = self.baseline.info.versions["torch"]

    def batch(self) -> Batch:
        """Return an empty batch."""
        return Batch(Collector(self.plan.full), known.load())

    def run(self, tasks: Sequence[Task]) -> Batch:
        """Execute and judge cases."""
        batch = self.batch()
        for origin, case in tasks:
            self.judge(batch, origin, case)
        return batch

    def judge(self, batch: Batch, origin: Origin, case: Case) -> list[Comparison]:
        """Execute and judge one case; return the comparison of each target."""
        if not holds(self.torch, case.since, case.before):
            batch.inapplicable.append(case.id)
            return []
        trace = self.baseline.execute(case)
        judge = Judge(case, trace, self.torch, self.baseline.info.declares, self.plan.accuracy)
        name = self.baseline.info.name
        own = judge.compare(name, trace, self.baseline.info.declares)
        batch.known.apply(own)
        batch.collector.add(origin, own, baseline=name not in self.names)
        comparisons = []
        for target in self.targets:
            if target.info.name == name:
                comparisons.append(own)
                continue
            comparison = judge.compare(
                target.info.name, target.execute(case), target.info.declares
            )
            batch.known.apply(comparison)
            batch.collector.add(origin, comparison)
            comparisons.append(comparison)
        batch.failures += [each for each in comparisons if each.verdict in FAILED]
        return comparisons


@dataclass(frozen=True)
class About:
    """What a run's processes say of themselves.

    Attributes
    ----------
    names : list of str
        Of the targets, those that are absent included.
    absent : dict of str to str
        Targets that cannot run here, and why.
    environment : dict
    """

    names: list[str]
    absent: dict[str, str]
    environment: dict[str, Any]


_here: list[Worker | InvalidInput] = []


def start(plan: Plan, folder: str) -> None:
    """Make the worker of this process; modules of targets are found from `folder`."""
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
    here = _worker()
    return About(here.names, here.absent, here.environment)


def judge(tasks: Sequence[Task]) -> Batch:
    """Execute and judge cases in this process."""
    return _worker().run(tasks)


def lost(task: Task, verdict: Verdict, reason: str) -> Batch:
    """Return the batch of a case whose process did not survive it."""
    here = _worker()
    origin, case = task
    batch = here.batch()
    for target in here.targets:
        comparison = Comparison(case.id, target.info.name, verdict, bitwise_equal=False)
        comparison.reason = reason
        batch.collector.add(origin, comparison)
        batch.failures.append(comparison)
    return batch
