"""A badge that says in a word whether the targets conform."""

from __future__ import annotations

from harness.report.failing import failures
from harness.report.model import Report
from harness.report.pages import page
from harness.report.text import answers

LABEL = "BatchNorm2d"
_GREEN, _RED, _GREY = "#1a7f37", "#b3162a", "#57606a"
_CHARACTER = 6.6


def to_badge(report: Report) -> str:
    """Return an SVG badge: conforms, diverges, or incomplete where the run or all targets were."""
    if any(failures(report)):
        word, colour = "diverges", _RED
    elif report.partial or "conforms" not in answers(report).values():
        word, colour = "incomplete", _GREY
    else:
        word, colour = "conforms", _GREEN
    label, value = (round(_CHARACTER * len(text) + 14) for text in (LABEL, word))
    return page("badge.svg", label=LABEL, word=word, colour=colour, left=label, right=value)
