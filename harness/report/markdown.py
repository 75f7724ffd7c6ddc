"""The report as Markdown: the answer, the summary, and who is how accurate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.report.failing import kinds, listed, samples
from harness.report.model import Accuracy, CaseResult, Report, Summary
from harness.report.text import SHOWN, Sources, answers, describe, explained

COUNTS = tuple(name for name in Summary.model_fields if name != "accuracy")


def to_markdown(report: Report) -> str:
    """Return the report as a Markdown page."""
    return "\n".join(_lines(report)) + "\n"


def to_summary(report: Report, sources: Sources) -> str:
    """Return the answer, the counts and what failed, as Markdown for the summary of a job.

    Parameters
    ----------
    report : Report
    sources : Sources
        For the reason of each case that failed.
    """
    lines = list(_answer(report))
    for target, (cases, more) in samples(report, SHOWN).items():
        lines += ["", f"## What {_target(report, target)} does otherwise"]
        for case in cases:
            # Indented code has no fence that a line could end.
            text = "\n".join(explained(report, case, target, sources))
            lines += ["", *(f"    {line}" for line in text.splitlines())]
        if more:
            lines += ["", f"... and {more:,} more cases of {_target(report, target)}"]
    if report.partial:
        lines += ["", "The run was interrupted: this is a part of it."]
    return "\n".join(lines) + "\n"


def of_case(case: CaseResult) -> str:
    """Return what each target did with a case, as Markdown."""
    lines = [f"`{case.id}` ({case.file}:{case.line})", ""]
    for target, result in case.results.items():
        reason = f": {result.reason}" if result.reason else ""
        lines.append(f"- `{target}`: {result.verdict}{reason}")
        lines += [f"    - `{describe(each)}`" for each in result.divergences]
    return "\n".join(lines) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield from _answer(report)
    for target, rows in report.accuracy.items():
        yield ""
        yield f"## Accuracy of {_target(report, target)}"
        yield ""
        yield from _table(
            ["quantity", "mode", "dtype", "layout", "class", "error/bound", "ulp", "bitwise equal"],
            (_accuracy(row) for row in rows),
        )
    for target, reasons in report.declared.items():
        yield ""
        yield f"## Declared by {_target(report, target)}"
        yield ""
        yield from (f"- {reason}" for reason in reasons)
    known = sorted(
        {
            (target, result.reason or "", result.link or "")
            for case in report.cases
            for target, result in case.results.items()
            if result.verdict == "known"
        }
    )
    if known:
        yield ""
        yield "## Known divergences"
        yield ""
        yield from (f"- {target}: {reason} ({link})" for target, reason, link in known)


def _answer(report: Report) -> Iterator[str]:
    """Yield whether each target conforms, in what environment, and the counts."""
    yield "# Conformance to torch.nn.BatchNorm2d"
    yield ""
    found = kinds(report)
    for target, answer in answers(report).items():
        match answer:
            case "absent":
                words = f"absent, {report.absent[target]}"
            case "diverges":
                words = f"**diverges**, by {listed(found[target])}"
            case "incomplete":
                words = "incomplete, no case could be judged"
            case _:
                words = answer
        yield f"- `{target}`: {words}"
    yield ""
    yield ", ".join(f"{name} {_shown(value)}" for name, value in report.environment.items())
    yield ""
    used = [name for name in COUNTS if any(getattr(s, name) for s in report.summary.values())]
    yield from _table(
        ["target", *used],
        (
            [_target(report, target), *(f"{getattr(summary, name):,}" for name in used)]
            for target, summary in report.summary.items()
        ),
    )


def _target(report: Report, target: str) -> str:
    return f"`{target}` (baseline)" if target == report.baseline else f"`{target}`"


def _accuracy(row: Accuracy) -> list[str]:
    share = row.bitwise_equal / row.elements if row.elements else 1.0
    return [
        row.quantity,
        row.mode,
        row.dtype,
        row.layout,
        row.held,
        str(row.ratio),
        str(row.ulp),
        f"{share:.1%}",
    ]


def _table(head: list[str], rows: Iterable[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |"


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key} {item}" for key, item in value.items())
    return str(value)
