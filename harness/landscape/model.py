"""The landscape as typed values."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from harness.documented import Documented

State = Literal["crash", "diverges", "declared", "agree", "unreached", "unsupported"]
"""What a target makes of a feature, from the gravest."""


class _Part(Documented):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Cell(_Part):
    """What a target makes of a feature."""

    state: State
    """The gravest that any case comes to; unreached where an error ends each before the feature is
    met, unsupported where it supports none."""
    counts: dict[State, int]
    """Cases by what they come to."""
    case: str | None = None
    """The smallest case that comes to the state, where the state is not agreement."""
    file: str | None = None
    """Where that case is written."""
    shows: str | None = None
    """What is seen there: the difference, the declaration, or the reason."""
    reproduce: str | None = None
    """Where it diverges or crashes, the command that shows it."""


class Row(_Part):
    """A target and its cells."""

    target: str
    """The SPEC that names it."""
    versions: dict[str, str]
    """Of what it is made of."""
    declared: list[str]
    """Documented differences, which are not held against it."""
    cells: dict[str, Cell]
    """By feature."""


class Landscape(_Part):
    """What each target makes of each feature."""

    format: Annotated[Literal["bn-harness/landscape/1"], Field(alias="schema")] = (
        "bn-harness/landscape/1"
    )
    baseline: str
    torch: str
    features: list[str]
    rows: list[Row]

    def to_json(self) -> str:
        """Return it as strict JSON with sorted keys."""
        plain = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return (
            json.dumps(plain, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"
        )
