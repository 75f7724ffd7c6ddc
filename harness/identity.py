"""What makes two runs the same: all that their reports depend on."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from harness import known
from harness.batch import About
from harness.case.suite import Suite
from harness.plan import Plan


def identity(
    suite: Suite, plan: Plan, about: About, selection: dict[str, Any] | None
) -> dict[str, Any]:
    """Return what a run is of, as plain JSON.

    Cases, and the files that name targets, are there by digests. A target's file is the one that
    its SPEC names, not what that imports.

    Parameters
    ----------
    suite : Suite
    plan : Plan
    about : About
    selection : dict, optional
        What the report says of which cases were chosen.
    """
    found = {
        "targets": list(map(str, plan.targets)),
        "baseline": str(plan.baseline),
        "accuracy": plan.accuracy,
        "full": plan.full,
        "timeout": plan.timeout,
        "memory": plan.memory,
        "selection": {**(selection or {}), "by": repr(suite.selection)},
        "cases": _digest([repr(suite.globs), *map(repr, suite.entries)]),
        "known divergences": _digest(path.read_bytes().hex() for path in known.files(plan.known)),
        "files": {
            str(path): _digest([path.read_bytes().hex()])
            for spec in (plan.baseline, *plan.targets)
            for path in files_of(spec)
        },
        "environment": about.environment,
        "absent": about.absent,
    }
    plain: dict[str, Any] = json.loads(json.dumps(found))
    return plain


def difference(there: object, here: dict[str, Any]) -> str | None:
    """Return the first of what differs between two runs, for the user; None if nothing does."""
    if not isinstance(there, dict):
        return "its first line says nothing of its run"
    key, one, other = next(_unlike(there, here), (None, None, None))
    if key is None:
        return None
    if isinstance(one, dict) and isinstance(other, dict):
        name, one, other = next(_unlike(one, other))
        key = f"{key}: {name}"
    if key == "cases" or key.startswith(("known", "files")):
        return f"{key}: changed since"
    return f"{key}: {_shown(one)} there, {_shown(other)} here"


def _unlike(one: dict[str, Any], other: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for key in {**other, **one}:
        if one.get(key) != other.get(key):
            yield key, one.get(key), other.get(key)


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _digest(texts: Iterable[str]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for text in texts:
        digest.update(f"{len(text)} {text}".encode())
    return digest.hexdigest()


def files_of(spec: object) -> list[Path]:
    """Return the files that a SPEC names: a class's, or those among the words of a command."""
    kind, _, rest = str(spec).partition(":")
    try:
        words = shlex.split(rest) if kind == "exec" else [str(spec).rpartition(":")[0]]
    except ValueError:  # the target refuses it with a message
        words = []
    return [Path(word) for word in words if word and Path(word).is_file()]
