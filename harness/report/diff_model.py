"""What a comparison of two reports finds."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import Field

from harness.report.model import Part

Kind = Literal[
    "run", "environment", "verdict", "counts", "class", "ratio", "added", "removed", "declared"
]


class Change(Part):
    """One thing that differs between two reports."""

    kind: Kind
    """What differs: the run, its environment, a verdict, a matrix's counts, an accuracy class,
    an error over bound, a case that only one report has, a declaration of accuracy."""
    subject: str
    """The case, the matrix, the quantity or the key of the environment."""
    target: str | None = None
    old: Any = None
    new: Any = None
    worse: bool = False
    """It is a regression."""


class Diff(Part):
    """What changed between two reports."""

    format: Annotated[Literal["bn-harness/diff/1"], Field(alias="schema")] = "bn-harness/diff/1"
    same: bool
    """The reports are equal in all that they say."""
    changes: list[Change]

    @property
    def regressions(self) -> list[Change]:
        """The changes for the worse."""
        return [change for change in self.changes if change.worse]

    def to_json(self) -> str:
        """Return the changes as strict JSON."""
        plain = {**self.model_dump(mode="json", by_alias=True), "regressions": 0}
        plain["regressions"] = len(self.regressions)
        return json.dumps(plain, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
