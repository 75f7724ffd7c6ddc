"""The cases of a report as columns, so that a page of a hundred thousand is small and quick."""

from __future__ import annotations

import os.path
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from harness.case.model import Case
from harness.case.suite import Suite
from harness.case.writer import to_yaml
from harness.report.model import CaseResult, Report, Result
from harness.report.text import PYTHON, describe, reproduction
from harness.verdicts import FAILED, Verdict

LISTED = 100_000
"""Most cases that a page lists; those that agree go first."""

DETAILED = 1_000
"""Most cases that a page has differences, all quantities and YAML of."""

SHOWN_FIRST: tuple[Verdict, ...] = (
    "crash",
    "timeout",
    "diverge",
    "unsupported",
    "unjudged",
    "known",
    "baseline_inaccurate",
    "agree",
)
"""Verdicts by how much a reader wants to see them."""


def listing(report: Report, suite: Suite | None = None) -> dict[str, Any]:
    """Return what the page's script shows, as JSON can be.

    Each column has an element for each listed case, in the order of the report. What a target
    has no result of is None.

    Parameters
    ----------
    report : Report
    suite : Suite, optional
        The case files, for each case's YAML, reason and source.
    """
    order = foremost(report.cases)
    cases = [report.cases[index] for index in sorted(order[:LISTED])]
    detailed = {report.cases[index].id for index in order[:DETAILED]}
    judged = (target for case in report.cases for target in case.results)
    targets = list(dict.fromkeys([*report.summary, *report.targets, *judged]))
    places, tags = _Numbers(), _Numbers()
    written = _written(suite, [case for case in cases if case.id in detailed])
    shared, rest = front_coded([case.id for case in cases])
    return {
        "baseline": report.baseline,
        "targets": targets,
        "commands": [_options(report, target) for target in targets],
        "verdicts": SHOWN_FIRST,
        "failed": FAILED,
        "shared": shared,
        "rest": rest,
        "entry": [places[case.file, case.line] for case in cases],
        "tagged": [tags[tuple(case.tags)] for case in cases],
        "entries": _entries(suite, places),
        "tags": list(tags),
        "results": [_columns([case.results.get(target) for case in cases]) for target in targets],
        "details": {
            str(place): _detail(case, report, targets, written.get(case.id))
            for place, case in enumerate(cases)
            if case.id in detailed
        },
        "python": PYTHON,
        "total": len(report.cases),
    }


def foremost(cases: Sequence[CaseResult]) -> list[int]:
    """Return the indices of cases, the worst verdicts first, and of a verdict each entry in turn.

    So that what is cut off is the hundredth case of a matrix, not the first of another.
    """
    turns: Counter[tuple[str, int, int]] = Counter()
    keys = []
    for index, case in enumerate(cases):
        worst = min(
            (SHOWN_FIRST.index(each.verdict) for each in case.results.values()),
            default=len(SHOWN_FIRST),
        )
        keys.append((worst, turns[case.file, case.line, worst], index))
        turns[case.file, case.line, worst] += 1
    return sorted(range(len(cases)), key=keys.__getitem__)


def front_coded(names: Iterable[str]) -> tuple[list[int], list[str]]:
    """Return how much of each name is the start of the one before, in UTF-16 units, and the rest.

    Matrix cases differ from their neighbours in the last axes: front coding makes their names a
    fifteenth of what they are by compression alone.
    """
    shared, rest, before = [], [], ""
    for name in names:
        prefix = os.path.commonprefix([before, name])  # noqa: RUF071  # characters are meant
        shared.append(len(prefix.encode("utf-16-le")) // 2)
        rest.append(name[len(prefix) :])
        before = name
    return shared, rest


class _Numbers(dict[Any, int]):
    """Numbers from 0 for values, in the order in which they are first asked for."""

    def __missing__(self, value: Any) -> int:  # noqa: ANN401  # whatever can be a key
        self[value] = len(self)
        return self[value]


def _entries(suite: Suite | None, places: Iterable[tuple[str, int]]) -> list[list[Any]]:
    """Return file, line, reason and source of each place."""
    known = {(each.file, each.line): each.item for each in (suite.entries if suite else ())}
    return [
        [*place, known[place].why, known[place].source or ""]
        if place in known
        else [*place, "", ""]
        for place in places
    ]


def _options(report: Report, target: str) -> str:
    """Return what follows ``bn-harness run FILE::ID`` in a command that shows a case again."""
    accuracy = report.selection.get("accuracy")
    return reproduction("f::i", target, report.baseline, accuracy).removeprefix(
        "bn-harness run f::i"
    )


def _columns(results: Sequence[Result | None]) -> dict[str, list[Any]]:
    quantities = _Numbers()
    worst = [result.worst if result else None for result in results]
    return {
        "verdict": [SHOWN_FIRST.index(result.verdict) if result else None for result in results],
        "equal": [int(result.bitwise_equal) if result else None for result in results],
        "ratio": [each.ratio if each else None for each in worst],
        "step": [each.step + 1 if each else None for each in worst],
        "quantity": [quantities[each.quantity] if each else None for each in worst],
        "quantities": list(quantities),
    }


def _detail(
    case: CaseResult, report: Report, targets: Sequence[str], written: Case | None
) -> dict[str, Any]:
    return {
        "yaml": to_yaml([written]) if written is not None else "",
        "results": {
            str(targets.index(target)): [
                result.reason or "",
                [describe(each, report.baseline) for each in result.divergences],
                [
                    [name, close.ratio, close.ulp, close.closer]
                    for name, close in result.quantities.items()
                ],
            ]
            for target, result in case.results.items()
        },
    }


def _written(suite: Suite | None, cases: Sequence[CaseResult]) -> dict[str, Case]:
    """Return cases by id; a matrix is expanded only where one of its cases is asked for."""
    wanted = {case.id for case in cases}
    places = {(case.file, case.line) for case in cases}
    return {
        case.id: case
        for entry in (suite.entries if suite is not None else ())
        if (entry.file, entry.line) in places
        for case in entry.cases()
        if case.id in wanted
    }
