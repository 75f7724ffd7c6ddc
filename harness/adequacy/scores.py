"""How often each variant was caught or blamed, and the report of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from harness.adequacy.catalogue import Variant
from harness.adequacy.trial import Finding

SCHEMA = "bn-harness/adequacy/1"


@dataclass(slots=True)
class Score:
    """What the suite found of one variant.

    Attributes
    ----------
    variant : Variant
    by_hand, by_matrix : int
        Cases, hand-written and of matrices, that caught or blamed it.
    met : int
        Cases that it met.
    smallest : (int, str, str) or None
        Cost, id and file of the smallest case that caught or blamed it.
    """

    variant: Variant
    by_hand: int = 0
    by_matrix: int = 0
    met: int = 0
    smallest: tuple[int, str, str] | None = None

    @property
    def found(self) -> int:
        """Cases that caught or blamed it."""
        return self.by_hand + self.by_matrix

    def add(self, finding: Finding, file: str, *, matrix: bool) -> None:
        """Count a case that found it."""
        if matrix:
            self.by_matrix += 1
        else:
            self.by_hand += 1
        this = finding.cost, finding.id, file
        self.smallest = this if self.smallest is None else min(self.smallest, this)

    def to_dict(self) -> dict[str, Any]:
        """Return the score as plain data."""
        variant = self.variant
        plain: dict[str, Any] = {
            "name": variant.name,
            "topic": variant.topic,
            "target": variant.spec,
            "about": variant.about,
            "cases": {"met": self.met, "by_hand": self.by_hand, "by_matrix": self.by_matrix},
            "smallest": None,
        }
        if variant.met:
            plain["met"] = variant.met
        if self.smallest is not None:
            cost, case, file = self.smallest
            plain["smallest"] = {"id": case, "file": file, "cost": cost}
        return plain


@dataclass
class Scores:
    """What the suite found of all variants.

    Attributes
    ----------
    planted, sound : dict of str to Score
        By name, in order of the catalogue.
    by_hand, by_matrix : int
        Cases that were run.
    """

    planted: dict[str, Score] = field(default_factory=dict)
    sound: dict[str, Score] = field(default_factory=dict)
    by_hand: int = 0
    by_matrix: int = 0

    @classmethod
    def of(cls, planted: Iterable[Variant], sound: Iterable[Variant]) -> Scores:
        """Return the scores before the first case."""
        return cls(
            {each.name: Score(each) for each in planted},
            {each.name: Score(each) for each in sound},
        )

    @property
    def survivors(self) -> list[Score]:
        """The planted mistakes that no case caught."""
        return [each for each in self.planted.values() if not each.found]

    @property
    def blamed(self) -> list[Score]:
        """The sound variants that some case blamed."""
        return [each for each in self.sound.values() if each.found]

    def wanted(self, enough: int | None) -> frozenset[str]:
        """Return the names to go on with: without mistakes that `enough` cases have caught."""
        going = [
            each.variant.name
            for each in self.planted.values()
            if enough is None or each.found < enough
        ]
        return frozenset((*going, *self.sound))

    def add(self, finding: Finding, file: str, *, matrix: bool, wanted: frozenset[str]) -> None:
        """Add what a case found of the variants in `wanted`."""
        self.by_matrix += matrix
        self.by_hand += not matrix
        for names, scores in ((finding.caught, self.planted), (finding.blamed, self.sound)):
            for name, score in scores.items():
                score.met += name in wanted
            for name in names:
                scores[name].add(finding, file, matrix=matrix)

    def summary(self) -> str:
        """Return the state of things in words."""
        words = [
            f"{len(self.planted) - len(self.survivors)} of {len(self.planted)} mistakes caught",
            f"{len(self.blamed)} of {len(self.sound)} sound variants blamed",
        ]
        return ", ".join(words)

    def to_json(self) -> str:
        """Return the report as strict JSON with sorted keys."""
        plain = {
            "schema": SCHEMA,
            "cases": {"by_hand": self.by_hand, "by_matrix": self.by_matrix},
            "planted": [each.to_dict() for each in self.planted.values()],
            "sound": [each.to_dict() for each in self.sound.values()],
            "survivors": [each.variant.name for each in self.survivors],
            "blamed": [each.variant.name for each in self.blamed],
        }
        return json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
