"""The report as one HTML file: the answer, targets by feature, errors, and every listed case."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.case.model import Case
from harness.case.suite import Suite
from harness.case.writer import to_yaml
from harness.report import plots
from harness.report.features import features
from harness.report.model import CaseResult, Report, Result
from harness.report.pages import page
from harness.report.text import PYTHON, describe, failures, reproduction

TITLE = "Conformance to torch.nn.BatchNorm2d"


def to_html(report: Report, suite: Suite | None = None) -> str:
    """Return the report as one HTML file that needs no other.

    Parameters
    ----------
    report : Report
    suite : Suite, optional
        The case files, for each case's YAML, reason and source.
    """
    return page(
        "report.html",
        title=TITLE,
        report=report,
        failed={target for _, target, _ in failures(report)},
        targets=[target for target in report.targets if target not in report.absent],
        wrong=list(own_mistakes(report)),
        features=features(report),
        plots=list(plots.plots(report)),
        scale=plots,
        data=_Compact(report, suite).data(),
    )


def own_mistakes(report: Report) -> Iterator[tuple[str, list[CaseResult], str]]:
    """Yield what the baseline itself got wrong: in words, its cases, and a link or nothing."""
    groups: dict[tuple[str, str], list[CaseResult]] = {}
    for case in report.cases:
        result = case.results.get(report.baseline)
        if result is None or result.verdict not in _WRONG:
            continue
        first = next(iter(result.divergences), None)
        words = result.reason or (f"{first.quantity}: {first.aspect}" if first else result.verdict)
        groups.setdefault((words, result.link or ""), []).append(case)
    for (words, link), cases in groups.items():
        yield words, cases, link if link.startswith(("https://", "http://")) else ""


_WRONG = ("baseline_inaccurate", "known", "diverge", "crash", "timeout")


class _Compact:
    """What the page's script shows, each repeated text once."""

    def __init__(self, report: Report, suite: Suite | None) -> None:
        self.report = report
        judged = (target for case in report.cases for target in case.results)
        self.targets = list(dict.fromkeys([*report.summary, *report.targets, *judged]))
        self.entries: list[dict[str, Any]] = []
        self.places: dict[tuple[str, int], int] = {}
        self.tags: dict[str, int] = {}
        self.cases = _written(report, suite)
        for entry in suite.entries if suite is not None else ():
            self.places[entry.file, entry.line] = len(self.entries)
            source = entry.item.source or ""
            self.entries.append({"f": entry.file, "l": entry.line, "w": entry.item.why})
            self.entries[-1].update({"s": source} if source else {})

    def data(self) -> dict[str, Any]:
        """Return it as JSON can be."""
        cases = [self._case(case) for case in self.report.cases]
        return {
            "targets": self.targets,
            "baseline": self.report.baseline,
            "entries": self._used(cases),
            "tags": list(self.tags),
            "cases": cases,
        }

    def _used(self, cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Keep the entries that a case has."""
        used = sorted({case["e"] for case in cases})
        moved = {old: new for new, old in enumerate(used)}
        for case in cases:
            case["e"] = moved[case["e"]]
        return [self.entries[old] for old in used]

    def _case(self, case: CaseResult) -> dict[str, Any]:
        place = case.file, case.line
        if place not in self.places:
            self.places[place] = len(self.entries)
            self.entries.append({"f": case.file, "l": case.line, "w": ""})
        found: dict[str, Any] = {
            "i": case.id,
            "e": self.places[place],
            "t": [self.tags.setdefault(tag, len(self.tags)) for tag in case.tags],
            "r": {
                str(self.targets.index(target)): self._result(case, target, result)
                for target, result in case.results.items()
            },
        }
        if case.id in self.cases:
            found["y"] = to_yaml([self.cases[case.id]])
        return found

    def _result(self, case: CaseResult, target: str, result: Result) -> dict[str, Any]:
        found: dict[str, Any] = {"v": result.verdict}
        if result.worst is not None:
            worst = result.worst
            found["w"] = [worst.quantity, worst.step + 1, worst.ratio, worst.ulp]
        if result.quantities:
            found["q"] = [
                [name, close.ratio, close.ulp, close.closer]
                for name, close in result.quantities.items()
            ]
        if result.divergences:
            found["d"] = [describe(each, self.report.baseline) for each in result.divergences]
        if result.reason:
            found["x"] = result.reason
        if result.bitwise_equal:
            found["b"] = 1
        if case.file != PYTHON and result.verdict != "agree":
            accuracy = self.report.selection.get("accuracy")
            found["c"] = reproduction(case, target, self.report.baseline, accuracy)
        return found


def _written(report: Report, suite: Suite | None) -> dict[str, Case]:
    """Return the listed cases; a matrix is expanded only where one of its cases is listed."""
    listed = {case.id for case in report.cases}
    places = {(case.file, case.line) for case in report.cases}
    return {
        case.id: case
        for entry in (suite.entries if suite is not None else ())
        if (entry.file, entry.line) in places
        for case in entry.cases()
        if case.id in listed
    }
