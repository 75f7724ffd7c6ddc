"""The changes from version to version: what, since when, shown by which case, to whose gain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.case.model import Case
from harness.case.suite import Suite
from harness.compare import Account, Comparison, Hearing, judge
from harness.errors import InvalidInput
from harness.history.differences import Difference, differences
from harness.report.collect import Collector, Origin
from harness.report.result import rounded
from harness.targets import Target, blinded
from harness.targets.base import Crashed
from harness.trace import Raised, Trace
from harness.versions import release

SCHEMA = "bn-harness/versions/1"


@dataclass
class Change:
    """What one version does otherwise than the one before.

    Attributes
    ----------
    before, since : str
        The two versions.
    difference : Difference
        As the smallest case shows it.
    case, file : str
        That case.
    size : (bool, int)
        Whether it computes on no elements, and on how many: a case of none shows least.
    cases : list of str
        All cases that show it.
    nearer, farther : int
        In how many of them the new version is nearer to the exact result, or farther from it.
    ratios : tuple of float
        Largest error over bound in these cases, before and since.
    """

    before: str
    since: str
    difference: Difference
    case: str
    file: str
    size: tuple[bool, int]
    cases: list[str] = field(default_factory=list)
    nearer: int = 0
    farther: int = 0
    ratios: tuple[float, float] = (0.0, 0.0)

    @property
    def accuracy(self) -> str:
        """Whether accuracy got "better" or "worse", or "-" where neither or not of numbers."""
        if self.nearer == self.farther:
            return "-"
        return "better" if self.nearer > self.farther else "worse"


@dataclass
class History:
    """The changes between versions, and how accurate each version is."""

    versions: dict[str, dict[str, str]]
    changes: dict[tuple[str, str], Change] = field(default_factory=dict)
    collector: Collector = field(default_factory=Collector)

    def document(self) -> dict[str, Any]:
        """Return all as plain values for strict JSON."""
        names = list(self.versions)
        report = self.collector.report({}, names[0], names)
        order = {name: place for place, name in enumerate(names)}
        changes = sorted(
            self.changes.values(),
            key=lambda each: (
                order[each.since],
                each.difference.what.endswith("digits"),
                -len(each.cases),
                each.difference.what,
            ),
        )
        return {
            "schema": SCHEMA,
            "versions": self.versions,
            "accuracy": {name: report.summary[name].accuracy for name in names},
            "inaccurate": {
                name: sum(
                    name in case.results and case.results[name].verdict == "baseline_inaccurate"
                    for case in report.cases
                )
                for name in names
            },
            "changes": [_plain(each) for each in changes],
        }


def history(suite: Suite, targets: Sequence[tuple[str, Target]]) -> History:
    """Run a suite through versions of torch, and compare each with the one before.

    Parameters
    ----------
    suite : Suite
    targets : sequence of str and Target
        Name and target of each version; compared in the order of their versions of torch, those
        of one version as they are given.

    Raises
    ------
    InvalidInput
        There are fewer than two.
    """
    if len(targets) < 2:  # noqa: PLR2004  # a change is between two
        raise InvalidInput("name at least two versions, as --worker 1.8.1=COMMAND")
    targets = sorted(targets, key=lambda each: release(each[1].info.versions.get("torch", "")))
    found = History({name: dict(target.info.versions) for name, target in targets})
    for entry, case in suite.cases():
        given = blinded(case)
        origin = Origin.of(entry)
        before: tuple[str, Trace, Comparison] | None = None
        for name, target in targets:
            trace = _trace(target, given)
            torch = target.info.versions.get("torch", "0")
            account = Account(name, trace, target.info.declares)
            ((own,),) = judge([Hearing(given, torch, account)])
            found.collector.add(origin, own)
            if before is not None:
                old, old_trace, old_own = before
                first: dict[str, Difference] = {}
                for each in differences(old_trace, trace):
                    first.setdefault(each.what, each)
                for each in first.values():
                    _note(found, (old, name), origin, case, each, (old_own, own))
            before = name, trace, own
    return found


def _trace(target: Target, case: Case) -> Trace:
    """Return what a version does; that it crashes, too, may change from one to the next."""
    try:
        return target.execute(case)
    except Crashed as error:
        return Trace(raised=Raised("construct", error.verdict, str(error)))


def _note(  # noqa: PLR0917  # one difference with all that it is of
    found: History,
    versions: tuple[str, str],
    origin: Origin,
    case: Case,
    difference: Difference,
    own: tuple[Comparison, Comparison],
) -> None:
    size = not case.elements, case.elements
    key = (versions[1], difference.what)
    change = found.changes.get(key)
    if change is None:
        change = Change(*versions, difference, case.id, origin.file, size)
        found.changes[key] = change
    elif size < change.size:
        change.difference, change.case, change.file, change.size = (
            difference,
            case.id,
            origin.file,
            size,
        )
    change.cases.append(f"{origin.file}::{case.id}")
    old, new = (_ratio(each, difference.quantity) for each in own)
    change.nearer += new < old
    change.farther += new > old
    change.ratios = max(change.ratios[0], old), max(change.ratios[1], new)


def _ratio(own: Comparison, quantity: str) -> float:
    held = own.measures.items()
    return max((each.ratio for holding, each in held if holding.quantity == quantity), default=0.0)


def _plain(change: Change) -> dict[str, Any]:
    return {
        "before": change.before,
        "since": change.since,
        "what": change.difference.what,
        "case": f"{change.file}::{change.case}",
        "step": change.difference.step + 1,
        "old": change.difference.old,
        "new": change.difference.new,
        "cases": len(change.cases),
        "shown_by": sorted(change.cases),
        "nearer": change.nearer,
        "farther": change.farther,
        "accuracy": change.accuracy,
        "ratio": [rounded(each) for each in change.ratios],
    }
