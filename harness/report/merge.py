"""Joins the reports of a run's shards into the report of the whole run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from harness.errors import InvalidInput
from harness.report.collect import Collector
from harness.report.model import Report


def merge(named: Sequence[tuple[str, Report]]) -> Report:
    """Return the report of the whole run, the same as that of a run in one piece.

    Parameters
    ----------
    named : sequence of (str, Report)
        Name, for messages, and report of each shard, in any order.

    Raises
    ------
    InvalidInput
        They are not all shards of one run: a shard is missing, twice there or interrupted, or
        environments, targets or selections differ.
    """
    parts = _numbered(named)
    reports = [report for _, report in parts.values()]
    for one, other in pairwise(parts.values()):
        _same_run(one, other)
    _disjoint(named)
    collector = Collector()
    for report in reports:
        collector.merge(Collector.of(report))
    if not collector.verdicts:
        raise InvalidInput("the shards have no case at all; check what the run selects")
    first = reports[0]
    return collector.report(
        first.environment,
        first.baseline,
        first.targets,
        absent=first.absent,
        selection=_unsharded(first),
    )


def _numbered(named: Sequence[tuple[str, Report]]) -> dict[int, tuple[str, Report]]:
    """Return the shards by their number, all there."""
    found: dict[int, tuple[str, Report]] = {}
    of: dict[int, str] = {}
    for name, report in named:
        part, parts = _shard(name, report)
        if report.partial:
            raise InvalidInput(f"{name}: the run was interrupted; run shard {part}/{parts} again")
        if part in found and parts in of:
            raise InvalidInput(
                f"{found[part][0]} and {name} are both shard {part}/{parts}; give each once"
            )
        found[part] = name, report
        of.setdefault(parts, name)
    if len(of) > 1:
        (one, first), (other, second) = list(of.items())[:2]
        raise InvalidInput(
            f"{first} is one of {one} shards, {second} one of {other}; merge shards of one run"
        )
    for parts in of:
        missing = [str(part) for part in range(1, parts + 1) if part not in found]
        if missing:
            noun = "shard" if len(missing) == 1 else "shards"
            shown = ", ".join(missing[:20]) + (", ..." if len(missing) > 20 else "")  # noqa: PLR2004
            raise InvalidInput(f"{noun} {shown} of {parts} missing; give the reports of all shards")
    return dict(sorted(found.items()))


def _shard(name: str, report: Report) -> tuple[int, int]:
    match report.selection.get("shard"):
        case [int(part), int(parts)] if 1 <= part <= parts:
            return part, parts
        case None:
            raise InvalidInput(
                f"{name}: the report of no shard; write it by 'bn-harness run --shard I/N --report'"
            )
        case other:
            raise InvalidInput(f"{name}: selection.shard is {other}, it should be [I, N]")


def _unsharded(report: Report) -> dict[str, Any]:
    return {key: value for key, value in report.selection.items() if key != "shard"}


def _same_run(one: tuple[str, Report], other: tuple[str, Report]) -> None:
    first, second = one[1], other[1]
    compared: list[tuple[str, Mapping[str, Any], Mapping[str, Any]]] = [
        ("environment", first.environment, second.environment),
        ("selection", _unsharded(first), _unsharded(second)),
        ("absent targets", first.absent, second.absent),
        ("run", _asked(first), _asked(second)),
    ]
    for what, mine, theirs in compared:
        for key in sorted({*mine, *theirs}):
            if mine.get(key) != theirs.get(key):
                raise InvalidInput(
                    f"{one[0]} and {other[0]} are of different runs: {what}: {key} is "
                    f"{mine.get(key)} in one, {theirs.get(key)} in the other"
                )


def _asked(report: Report) -> dict[str, Any]:
    return {"baseline": report.baseline, "targets": report.targets}


def _disjoint(named: Sequence[tuple[str, Report]]) -> None:
    counts = Counter(case.id for _, report in named for case in report.cases)
    for case, count in counts.items():
        if count > 1:
            holders = [name for name, r in named if any(each.id == case for each in r.cases)]
            raise InvalidInput(f"{' and '.join(holders[:2])} both have the case '{case}'")
