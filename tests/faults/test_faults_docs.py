"""docs/faults.md shows the table of faults."""

from __future__ import annotations

import re
from pathlib import Path

import table
import torch  # noqa: F401  # its settings are put back too

from harness.targets.guard import settings

DOCS = (Path(__file__).parents[2] / "docs" / "faults.md").read_text(encoding="utf-8")
GROUPS = ("GLOBAL", "LEFT", "RAISED", "ENDED", "HELD", "WORKERS", "COMMANDS")


def test_the_documentation_shows_the_table():
    """Its rows are those of the table, in its order, and no others."""
    cells = [
        tuple(cell.strip() for cell in row)
        for row in re.findall(r"^\|(.*)\|(.*)\|(.*)\|$", DOCS, re.M)
    ]
    rows = [row for row in cells if row[0] != "done" and not row[0].startswith("-")]

    assert rows == [
        (each.done, each.outcome, each.reason) for name in GROUPS for each in getattr(table, name)
    ]


def test_the_documentation_names_what_is_put_back():
    """Each setting of the guard is in the list."""
    (listed,) = re.findall(r"^Put back, if it has changed: (.*?); and", DOCS, re.M)

    assert listed.split(", ") == [each.name for each in settings()]
