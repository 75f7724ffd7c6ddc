"""What a report says of which cases were chosen, alike however a user named them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from harness.case.files import KNOWN, shipped, shown_name
from harness.case.suite import Suite


def selectors(suite: Suite) -> list[str]:
    """Return the files of a suite, or their globs of ids where it has not all; as `spelled`."""
    return spelled(
        file if glob == "*" else f"{file}::{glob}"
        for file, globs in suite.globs.items()
        for glob in (["*"] if "*" in globs else globs)
    )


def spelled(chosen: Iterable[str]) -> list[str]:
    """Return selectors sorted, none where they are all files of the shipped suite."""
    found = set(chosen)
    whole = {shown_name(path) for path in shipped().rglob("*.yaml") if path.name != KNOWN}
    return [] if found == whole else sorted(found)


def selection(cases: list[str], **options: object) -> dict[str, Any]:
    """Return what a report says of its selection: all that is not the default."""
    named = {"cases": cases, **options}
    return {key: value for key, value in named.items() if value not in (None, "", [])}
