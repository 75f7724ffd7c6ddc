"""Versions of torch, and what holds in which."""

from __future__ import annotations

from functools import cache


@cache
def release(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, "2.13.0+cpu" as (2, 13, 0)."""
    numbers = []
    for part in version.partition("+")[0].split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)


def holds(version: str, since: str | None, before: str | None) -> bool:
    """Whether a version is neither older than `since` nor as new as `before`."""
    current = release(version)
    if since is not None and current < release(since):
        return False
    return before is None or current < release(before)
