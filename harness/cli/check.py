"""``bn-harness check``: validate case files."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import options
from harness.errors import InvalidCases, InvalidInput

if TYPE_CHECKING:
    from harness.case.suite import Suite


@click.command(name="check")
@options.cases
@options.known
@options.as_json
def command(cases: tuple[str, ...], known: tuple[Path, ...], as_json: bool) -> None:
    """Validate CASES (files, folders; none: the suite) and say how many cases they hold.

    Known divergences of the folders, and of --known, must each speak of a case of CASES, of the
    suite, or of the files beside the list.

    Exit status: 0 valid; 2 mistakes, each as file:line:column: message.
    """
    try:
        suite = _read(cases)
        _know(suite, known, whole=not cases)
    except InvalidInput as error:
        if as_json:
            found = error.mistakes if isinstance(error, InvalidCases) else (f"{error}",)
            click.echo(_json(mistakes=found))
        raise
    count = sum(1 for _ in suite.cases())
    files = len({entry.file for entry in suite.entries})
    if as_json:
        click.echo(_json(cases=count, files=files, mistakes=[]))
    else:
        click.echo(f"{_counted(count, 'case')} in {_counted(files, 'file')}: valid")


def _read(cases: tuple[str, ...]) -> Suite:
    """Read CASES, and say which files have none; where no file has any, that is a mistake."""
    suite = options.load(cases)
    empty = sorted(suite.globs.keys() - {entry.file for entry in suite.entries})
    lacking = [f"{name}:1:1: there are no cases; begin each with '- id:'" for name in empty]
    if not suite.entries:
        raise InvalidCases(lacking)
    for words in lacking:
        click.echo(words, err=True)
    return suite


def _know(suite: Suite, more: tuple[Path, ...], *, whole: bool) -> None:
    """Read known divergences, and see that each speaks of a case; the `whole` suite has all."""
    from harness.case.suite import load
    from harness.known import load as load_known

    known = load_known(dict.fromkeys([*suite.known, *more]))
    if known.entries:
        ids = {*suite.ids(), *(() if whole else load().ids())}
        if known.unmatched(ids):
            ids |= _beside({path.parent for path in suite.known})
        mistakes = known.unmatched(ids)
        if mistakes:
            raise InvalidCases(mistakes)


def _beside(folders: Iterable[Path]) -> set[str]:
    """Return the ids of the cases in folders, files with mistakes left out."""
    from harness.case.files import KNOWN, SUFFIX
    from harness.case.suite import load

    ids: set[str] = set()
    for folder in folders:
        for path in folder.glob(f"*{SUFFIX}"):
            if path.name != KNOWN:
                with suppress(InvalidInput):
                    ids.update(load([path]).ids())
    return ids


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' if count != 1 else ''}"


def _json(**found: object) -> str:
    return json.dumps(found, indent=2, sort_keys=True, ensure_ascii=False)
