"""What changed between two reports, as a page."""

from __future__ import annotations

from harness.report.diff_model import Diff
from harness.report.diff_words import answer, groups, words
from harness.report.pages import page


def diff_to_html(diff: Diff) -> str:
    """Return the changes as one HTML file that needs no other."""
    return page(
        "diff.html",
        title="What changed in conformance to BatchNorm2d",
        diff=diff,
        answer=answer(diff),
        groups=groups(diff),
        words=words,
    )
