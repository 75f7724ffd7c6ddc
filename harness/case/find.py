"""One case by its name, as a person or a test's output spells it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from harness.case.model import Case
from harness.case.suite import Entry, Suite, load
from harness.errors import InvalidInput

_ID = re.compile(r"[^\s:*?\[\]]+")


def find(name: str) -> tuple[Suite, Entry, Case]:
    """Return a case, where it stands, and the suite that was read for it.

    Parameters
    ----------
    name : str
        ``file.yaml::id``, or an id in the shipped suite; of a matrix case too. ``*`` and ``?``
        stand for what is left out, where one case alone has such an id. What pytest puts behind an
        id, in brackets, is left out.

    Raises
    ------
    InvalidInput
        There is no such case; the nearest ids are named.
    """
    file, separator, wanted = name.rpartition("::")
    globbed = "*" in wanted or "?" in wanted
    match = _ID.match(wanted)
    if (match is None and not globbed) or (not separator and Path(wanted).is_file()):
        raise InvalidInput(f"{name}: name one case, as file.yaml::id or by its id in the suite")
    suite = load([file] if separator else [])
    case_id = match.group() if match and not globbed else _only(suite, wanted, name)
    found = next(_cases(suite, case_id), None)
    if found is not None:
        return suite, *found
    for entry in suite.entries:
        if entry.matrix == case_id:
            raise InvalidInput(f"{name}: a matrix; name one of its cases, as {next(entry.ids())}")
    near = difflib.get_close_matches(case_id, [entry.item.id for entry in suite.entries], 3)
    hint = f"; the nearest: {', '.join(near)}" if near else ""
    where = file or "the suite"
    raise InvalidInput(f"{name}: no case of {where} has the id '{case_id}'{hint}")


def _only(suite: Suite, glob: str, name: str) -> str:
    """Return the one id that a glob matches."""
    found = [each for entry in suite.entries for each in entry.ids() if fnmatchcase(each, glob)]
    if len(found) == 1:
        return found[0]
    some = f"{len(found):,} cases match; name one, as {found[0]}" if found else "no case matches"
    raise InvalidInput(f"{name}: {some}")


def _cases(suite: Suite, case_id: str) -> Iterator[tuple[Entry, Case]]:
    for entry in suite.entries:
        if entry.item.id == case_id or (entry.matrix and case_id.startswith(f"{entry.matrix}/")):
            yield from ((entry, case) for case in entry.cases() if case.id == case_id)
