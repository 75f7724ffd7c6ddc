"""Targets by feature: how the cases of each tag went."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from harness.report.model import Report
from harness.verdicts import FAILED

Mark = Literal["conforms", "diverges", "inaccurate", "unsupported", "none"]


@dataclass(frozen=True)
class Cell:
    """A target's cases of one tag.

    Attributes
    ----------
    mark : str
    text : str
        How many there are, and how many of them are not right.
    """

    mark: Mark
    text: str


def features(report: Report) -> list[tuple[str, list[Cell]]]:
    """Return for each tag a cell for each target of the summary, in its order."""
    counts: dict[str, dict[str, Counter[str]]] = {}

    def add(tags: list[str], target: str, verdicts: Counter[str]) -> None:
        for tag in tags:
            counts.setdefault(tag, {}).setdefault(target, Counter()).update(verdicts)

    counted = {(matrix.file, matrix.line) for matrix in report.matrices}
    for case in report.cases:
        if (case.file, case.line) in counted:
            continue
        for target in report.summary:
            result = case.results.get(target)
            # Of the baseline, what agrees is not listed.
            if result is not None or target == report.baseline:
                add(case.tags, target, Counter([result.verdict if result else "agree"]))
    for matrix in report.matrices:
        for target, found in matrix.results.items():
            plain = found.counts.model_dump(exclude={"cases", "bitwise_equal"})
            add(matrix.tags, target, Counter(plain))
    return [
        (
            tag,
            [
                _cell(by_target.get(target, Counter()), own=target == report.baseline)
                for target in report.summary
            ],
        )
        for tag, by_target in sorted(counts.items())
    ]


def _cell(verdicts: Counter[str], *, own: bool) -> Cell:
    total = sum(verdicts.values())
    failed = sum(verdicts[verdict] for verdict in FAILED)
    if failed:
        return Cell("diverges", f"{failed:,} of {total:,} diverge")
    if not total:
        return Cell("none", "no cases")
    if verdicts["unsupported"] == total:
        return Cell("unsupported", f"{total:,} unsupported")
    parts = {"unsupported", "unjudged", "known"} | ({"baseline_inaccurate"} if own else set())
    less = {part: verdicts[part] for part in sorted(parts) if verdicts[part]}
    text = f"{total - sum(less.values()):,} of {total:,} conform" if less else f"{total:,} conform"
    words = [f"{count:,} {_WORDS.get(part, part)}" for part, count in less.items()]
    mark: Mark = "inaccurate" if less.keys() & {"known", "baseline_inaccurate"} else "conforms"
    return Cell(mark, ", ".join([text, *words]))


_WORDS = {"baseline_inaccurate": "outside the bound"}
