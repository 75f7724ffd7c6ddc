"""What changed between two reports, and whether it got worse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any, TypeVar

from harness.errors import InvalidInput
from harness.report.diff_model import Change, Diff, Kind
from harness.report.model import (
    Accuracy,
    CaseResult,
    Counts,
    Matrix,
    Real,
    Report,
)
from harness.verdicts import HELD

BADNESS: Mapping[str, int] = {
    "agree": 0,
    "baseline_inaccurate": 0,
    "known": 1,
    "unjudged": 2,
    "unsupported": 2,
    "diverge": 3,
    "timeout": 4,
    "crash": 4,
}
"""How bad a verdict is; a target that is right where the baseline is not is as good as any."""

NEGLIGIBLE = 0.01
"""Ratios below this hundredth of the bound are as good as exact: they are one for a comparison."""

UNLISTED = "unlisted"
"""In place of a verdict, for a case of a matrix that one report does not list."""


def diff(old: Report, new: Report, factor: float = 2.0) -> Diff:
    """Return what changed between two reports.

    Parameters
    ----------
    old, new : Report
    factor : float
        Errors over bound that moved by more than this factor are changes.

    Raises
    ------
    InvalidInput
        The baselines differ, no target is in both, a report names a case or a matrix twice, or the
        factor is none.
    """
    if not factor > 1:
        raise InvalidInput(f"a factor of {factor}; choose a number above 1")
    if old.baseline != new.baseline:
        raise InvalidInput(
            f"the old report is against {old.baseline}, the new one against {new.baseline}; "
            "compare reports against the same baseline"
        )
    if old.targets and not {*old.targets} & {*new.targets}:
        raise InvalidInput(
            f"the reports have no target in common: {', '.join(old.targets)} in the old one, "
            f"{', '.join(new.targets) or 'none'} in the new one"
        )
    changes = [
        *_run(old, new),
        *_mapping("environment", old.environment, new.environment),
        *_cases(old, new),
        *_matrices(old, new),
        *_accuracy(old, new),
        *_ratios(old, new, factor),
        *_mapping("declared", old.declared, new.declared),
    ]
    return Diff(same=old == new, changes=changes)


def _run(old: Report, new: Report) -> Iterator[Change]:
    if old.partial != new.partial:
        words = {True: "interrupted", False: "complete"}
        yield Change(
            kind="run",
            subject="run",
            old=words[old.partial],
            new=words[new.partial],
            worse=new.partial,
        )
    yield from _mapping("run", old.selection, new.selection)
    for target in sorted({*old.targets, *new.targets}):
        before, after = _presence(old, target), _presence(new, target)
        if before != after:
            # Evidence that there was is lost, as by a case that became unsupported.
            lost = before == "judged" and after.startswith("absent")
            yield Change(
                kind="run", subject="target", target=target, old=before, new=after, worse=lost
            )


def _presence(report: Report, target: str) -> str:
    if target in report.absent:
        return f"absent: {report.absent[target]}"
    return "judged" if target in report.targets else "not asked for"


def _mapping(kind: Kind, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            yield Change(kind=kind, subject=key, old=old.get(key), new=new.get(key))


class _Cases:
    """The cases of a report by id; agreeing cases of matrices are there without being listed."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.listed = _by_id(report.cases)
        self.matrices = _by_id(report.matrices)
        self.places = {(matrix.file, matrix.line): matrix for matrix in report.matrices}

    def matrix(self, case: CaseResult) -> Matrix | None:
        """Return the matrix that a case of this report belongs to."""
        return self.places.get((case.file, case.line))

    def verdict(self, case: str, target: str, matrix: Matrix | None) -> str | None:
        """Return a verdict; None if the case was not judged.

        Parameters
        ----------
        case, target : str
        matrix : Matrix or None
            The case's matrix, as the other report has it.
        """
        listed = self.listed.get(case)
        if listed is not None and target in listed.results:
            return listed.results[target].verdict
        if target not in self.report.summary:
            return None
        if matrix is None:
            # Of the baseline, only what it is inaccurate in is listed.
            return "agree" if listed is not None and target == self.report.baseline else None
        mine = self.matrices.get(matrix.id)
        if mine is None or target not in mine.results or target not in matrix.results:
            return None
        same = mine.results[target].counts.cases == matrix.results[target].counts.cases
        return "agree" if same else UNLISTED


Named = TypeVar("Named", CaseResult, Matrix)


def _by_id(named: Iterable[Named]) -> dict[str, Named]:
    found: dict[str, Named] = {}
    for each in named:
        if found.setdefault(each.id, each) is not each:
            raise InvalidInput(f"a report names '{each.id}' twice; it is not as a run writes it")
    return found


def _cases(old: Report, new: Report) -> Iterator[Change]:
    before, after = _Cases(old), _Cases(new)
    for name in sorted({*before.listed, *after.listed}):
        was, now = before.listed.get(name), after.listed.get(name)
        matrix = (was and before.matrix(was)) or (now and after.matrix(now)) or None
        targets = sorted({*(was.results if was else ()), *(now.results if now else ())})
        for target in targets:
            one, other = (side.verdict(name, target, matrix) for side in (before, after))
            if one != other:
                yield _verdict(name, target, one, other)


def _verdict(case: str, target: str, old: str | None, new: str | None) -> Change:
    kind: Kind = "added" if old is None else "removed" if new is None else "verdict"
    worse = kind == "verdict" and BADNESS.get(str(new), 0) >= BADNESS["unjudged"]
    worse = worse and BADNESS[str(new)] > BADNESS.get(str(old), 0)
    return Change(kind=kind, subject=case, target=target, old=old, new=new, worse=worse)


def _matrices(old: Report, new: Report) -> Iterator[Change]:
    before, after = _by_id(old.matrices), _by_id(new.matrices)
    for name in sorted({*before, *after}):
        was, now = (side[name].results if name in side else {} for side in (before, after))
        for target in sorted({*was, *now}):
            one, other = (
                _counts(side[target].counts) if target in side else None for side in (was, now)
            )
            if one != other:
                kind: Kind = "added" if one is None else "removed" if other is None else "counts"
                worse = kind == "counts" and _worse_counts(one or {}, other or {})
                yield Change(
                    kind=kind, subject=name, target=target, old=one, new=other, worse=worse
                )


def _counts(counts: Counts) -> dict[str, int]:
    plain = counts.model_dump(exclude={"bitwise_equal"})
    return {name: count for name, count in plain.items() if count}


def _worse_counts(old: Mapping[str, int], new: Mapping[str, int]) -> bool:
    """Whether there are more cases than before of some rank, or worse."""

    def at_least(counts: Mapping[str, int]) -> list[int]:
        ranks = range(max(BADNESS.values()), 1, -1)
        return list(
            accumulate(
                sum(counts.get(v, 0) for v in BADNESS if BADNESS[v] == rank) for rank in ranks
            )
        )

    return any(now > was for was, now in zip(at_least(old), at_least(new), strict=True))


Row = tuple[str, str, str, str]


def _rows(rows: Iterable[Accuracy]) -> dict[Row, Accuracy]:
    return {(row.quantity, row.mode, row.dtype, row.layout): row for row in rows}


def _accuracy(old: Report, new: Report) -> Iterator[Change]:
    for target in sorted({*old.summary} & {*new.summary}):
        was, now = (side.summary[target].accuracy for side in (old, new))
        rows = [
            {", ".join(key): row.held for key, row in _rows(side.accuracy.get(target, ())).items()}
            for side in (old, new)
        ]
        for before, after in ((was, now), rows):
            for name in sorted({*before} & {*after}):
                one, other = before[name], after[name]
                if one != other:
                    worse = HELD.index(other) > HELD.index(one)
                    yield Change(
                        kind="class", subject=name, target=target, old=one, new=other, worse=worse
                    )


def _ratios(old: Report, new: Report, factor: float) -> Iterator[Change]:
    before, after = _measured(old), _measured(new)
    for key in sorted({*before} & {*after}):
        if _moved(before[key], after[key], factor):
            subject, target = key
            yield Change(
                kind="ratio", subject=subject, target=target, old=before[key], new=after[key]
            )


def _measured(report: Report) -> dict[tuple[str, str], Real]:
    """Return the errors over bound by what they are of, and target."""
    found: dict[tuple[str, str], Real] = {}
    for target, rows in report.accuracy.items():
        found.update({(", ".join(key), target): row.ratio for key, row in _rows(rows).items()})
    for matrix in report.matrices:
        for target, counted in matrix.results.items():
            for quantity, ratio in counted.worst.items():
                found[f"{matrix.id}: {quantity}", target] = ratio
    for case in report.cases:
        for target, result in case.results.items():
            for quantity, close in result.quantities.items():
                found[f"{case.id}: {quantity}", target] = close.ratio
    return found


def _moved(old: Real, new: Real, factor: float) -> bool:
    if old == new:
        return False
    low, high = sorted(max(float(ratio), NEGLIGIBLE) for ratio in (old, new))
    return high > factor * low
