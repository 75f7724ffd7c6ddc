"""Gathers comparisons into a report; what matrices agree on is kept as counts alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.case.suite import Entry
from harness.compare import Agreement, Comparison, Holding, Measure
from harness.compare.together import NEAR
from harness.report.model import (
    Accuracy,
    CaseResult,
    Counts,
    Matrix,
    MatrixResult,
    Report,
    Result,
    Summary,
)
from harness.report.result import result, rounded
from harness.verdicts import HELD


@dataclass(frozen=True)
class Origin:
    """Where a case comes from.

    Attributes
    ----------
    file : str
    line : int
    tags : tuple of str
    matrix : str or None
        The id of its matrix.
    """

    file: str
    line: int
    tags: tuple[str, ...]
    matrix: str | None

    @classmethod
    def of(cls, entry: Entry) -> Origin:
        """Return the origin of an entry's cases."""
        return cls(entry.file, entry.line, entry.item.tags, entry.matrix)


def _shown(ratio: float) -> float:
    return float(rounded(ratio))


@dataclass
class _Matrix:
    verdicts: Counter[str] = field(default_factory=Counter)
    worst: dict[str, float] = field(default_factory=dict)

    def merge(self, other: _Matrix) -> None:
        self.verdicts += other.verdicts
        for quantity, ratio in other.worst.items():
            self.worst[quantity] = max(ratio, self.worst.get(quantity, 0.0))


@dataclass
class Collector:
    """Comparisons so far; parts of a run are collected apart and merged in any order.

    Attributes
    ----------
    full : bool
        Keep the agreeing cases of matrices too.
    """

    full: bool = False
    verdicts: dict[str, Counter[str]] = field(default_factory=dict)
    measures: dict[tuple[str, Holding], Measure] = field(default_factory=dict)
    declared: dict[str, set[str]] = field(default_factory=dict)
    cases: dict[str, tuple[Origin, dict[str, Result]]] = field(default_factory=dict)
    matrices: dict[str, tuple[Origin, dict[str, _Matrix]]] = field(default_factory=dict)

    def add(self, origin: Origin, comparison: Comparison, *, baseline: bool = False) -> None:
        """Add a comparison.

        Parameters
        ----------
        origin : Origin
        comparison : Comparison
        baseline : bool
            It is the baseline's own: counted, and listed only where it is inaccurate.
        """
        target, case = comparison.target, comparison.id
        tallies = [self.verdicts.setdefault(target, Counter())]
        worst: dict[str, float] = {}
        if origin.matrix is not None:
            matrix = self._matrix(origin).setdefault(target, _Matrix())
            tallies.append(matrix.verdicts)
            worst = matrix.worst
        for tally in tallies:
            tally["cases"] += 1
            tally[comparison.verdict] += 1
            tally["bitwise_equal"] += comparison.bitwise_equal
        if comparison.declared:
            self.declared.setdefault(target, set()).update(comparison.declared)
        measures = self.measures
        for each in comparison.measured:
            holding, ratio = each.holding, each.figures.ratio
            mine = measures.get((target, holding))
            if mine is None:
                mine = measures[target, holding] = Measure()
            # As a report shows it, so that shards and the whole agree on whose is the largest.
            near = ratio >= NEAR * mine.ratio or not mine.ratio_at
            mine.add(each, case, _shown(ratio) if near else ratio)
            if ratio > worst.get(holding.quantity, -1.0):
                worst[holding.quantity] = ratio
        quiet = baseline or (origin.matrix is not None and not self.full)
        if comparison.verdict != "agree" or not quiet:
            _, results = self.cases.setdefault(comparison.id, (origin, {}))
            results[comparison.target] = result(comparison, by_hand=origin.matrix is None)

    def add_agreement(self, origin: Origin, agreement: Agreement) -> None:
        """Add cases of a matrix that agree, and are not listed."""
        target, cases = agreement.target, len(agreement.cases)
        matrix = self._matrix(origin).setdefault(target, _Matrix())
        for tally in (self.verdicts.setdefault(target, Counter()), matrix.verdicts):
            tally["cases"] += cases
            tally["agree"] += cases
            tally["bitwise_equal"] += agreement.bitwise_equal
        if agreement.declared:
            self.declared.setdefault(target, set()).update(agreement.declared)
        mine = self.measures

        def known(holding: Holding) -> float:
            measure = mine.get((target, holding))
            return 0.0 if measure is None else measure.ratio

        for together in agreement.measured:
            for holding, measure, ratio in together.measures(_shown, known):
                mine.setdefault((target, holding), Measure()).merge(measure)
                matrix.worst[holding.quantity] = max(
                    ratio, matrix.worst.get(holding.quantity, ratio)
                )

    def _matrix(self, origin: Origin) -> dict[str, _Matrix]:
        return self.matrices.setdefault(origin.matrix or "", (origin, {}))[1]

    def merge(self, other: Collector) -> None:
        """Add what another part of the run has collected."""
        for target, counts in other.verdicts.items():
            self.verdicts.setdefault(target, Counter()).update(counts)
        for key, measure in other.measures.items():
            self.measures.setdefault(key, Measure()).merge(measure)
        for target, reasons in other.declared.items():
            self.declared.setdefault(target, set()).update(reasons)
        for name, (origin, results) in other.cases.items():
            self.cases.setdefault(name, (origin, {}))[1].update(results)
        for origin, matrices in other.matrices.values():
            mine = self._matrix(origin)
            for target, matrix in matrices.items():
                mine.setdefault(target, _Matrix()).merge(matrix)

    @classmethod
    def of(cls, report: Report) -> Collector:
        """Return what a report was made from, as far as another can be made from it again."""
        made = cls()
        places = {(matrix.file, matrix.line): matrix.id for matrix in report.matrices}

        def origin(of: CaseResult | Matrix) -> Origin:
            return Origin(of.file, of.line, tuple(of.tags), places.get((of.file, of.line)))

        for target, summary in report.summary.items():
            made.verdicts[target] = Counter(summary.model_dump(exclude={"accuracy"}))
        for target, rows in report.accuracy.items():
            for row in rows:
                holding = Holding(row.quantity, row.mode, row.dtype, row.layout)
                made.measures[target, holding] = _measure(row)
        made.declared = {target: set(reasons) for target, reasons in report.declared.items()}
        for case in report.cases:
            made.cases[case.id] = origin(case), dict(case.results)
        for matrix in report.matrices:
            by_target = made._matrix(origin(matrix))
            for target, shown in matrix.results.items():
                worst = {name: float(ratio) for name, ratio in shown.worst.items()}
                by_target[target] = _Matrix(Counter(shown.counts.model_dump()), worst)
        return made

    def report(
        self,
        environment: Mapping[str, Any],
        baseline: str,
        targets: Sequence[str],
        **more: Any,  # noqa: ANN401  # the rest of the fields
    ) -> Report:
        """Return the report of all that was collected.

        Parameters
        ----------
        environment : mapping
        baseline : str
        targets : sequence of str
            In the order that they were asked for.
        **more
            The report's `absent`, `selection` and `partial`.
        """
        names = [baseline, *(name for name in targets if name != baseline)]
        return Report(
            environment=dict(environment),
            baseline=baseline,
            targets=list(targets),
            summary={name: self._summary(name) for name in names if name in self.verdicts},
            accuracy={name: self._accuracy(name) for name in names if name in self.verdicts},
            declared={name: sorted(reasons) for name, reasons in sorted(self.declared.items())},
            cases=[
                CaseResult(
                    id=name,
                    file=origin.file,
                    line=origin.line,
                    tags=list(origin.tags),
                    results=dict(sorted(results.items())),
                )
                for name, (origin, results) in sorted(self.cases.items())
            ],
            matrices=[
                Matrix(
                    id=name,
                    file=origin.file,
                    line=origin.line,
                    tags=list(origin.tags),
                    results={target: _matrix_result(found) for target, found in sorted(by.items())},
                )
                for name, (origin, by) in sorted(self.matrices.items())
            ],
            **more,
        )

    def _summary(self, target: str) -> Summary:
        held: dict[str, int] = {}
        for (name, holding), measure in self.measures.items():
            if name == target:
                held[holding.quantity] = max(measure.held, held.get(holding.quantity, 0))
        accuracy = {quantity: HELD[index] for quantity, index in sorted(held.items())}
        return Summary(**dict(self.verdicts[target]), accuracy=accuracy)

    def _accuracy(self, target: str) -> list[Accuracy]:
        return [
            Accuracy(
                **holding._asdict(),
                **{"class": HELD[measure.held]},
                broken_by=measure.held_at or None,
                ratio=rounded(measure.ratio),
                ratio_at=measure.ratio_at,
                ulp=rounded(measure.ulp),
                elements=measure.elements,
                bitwise_equal=measure.bitwise,
                unjudged=measure.unjudged,
                vacuous=measure.vacuous,
            )
            for (name, holding), measure in sorted(self.measures.items())
            if name == target
        ]


def _measure(row: Accuracy) -> Measure:
    return Measure(
        elements=row.elements,
        unjudged=row.unjudged,
        vacuous=row.vacuous,
        bitwise=row.bitwise_equal,
        ratio=float(row.ratio),
        ulp=float(row.ulp),
        ratio_at=row.ratio_at,
        held=HELD.index(row.held),
        held_at=row.broken_by or "",
    )


def _matrix_result(found: _Matrix) -> MatrixResult:
    return MatrixResult(
        counts=Counts(**dict(found.verdicts)),
        worst={name: rounded(ratio) for name, ratio in sorted(found.worst.items())},
    )
