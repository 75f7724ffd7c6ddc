"""The report as one HTML file: the answer, targets by feature, errors, and every listed case."""

from __future__ import annotations

from collections.abc import Iterator

from harness.case.suite import Suite
from harness.report import plots
from harness.report.failing import kinds
from harness.report.features import features
from harness.report.listing import listing
from harness.report.model import CaseResult, Report
from harness.report.pages import page
from harness.report.text import answers

TITLE = "Conformance to torch.nn.BatchNorm2d"


def to_html(report: Report, suite: Suite | None = None) -> str:
    """Return the report as one HTML file that needs no other.

    Parameters
    ----------
    report : Report
    suite : Suite, optional
        The case files, for each case's YAML, reason and source.
    """
    listed = listing(report, suite)
    return page(
        "report.html",
        title=TITLE,
        report=report,
        answers=answers(report),
        kinds=kinds(report),
        wrong=list(own_mistakes(report)),
        features=features(report),
        plots=list(plots.plots(report)),
        scale=plots,
        listed=len(listed["rest"]),
        detailed=len(listed["details"]),
        data=listed,
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
