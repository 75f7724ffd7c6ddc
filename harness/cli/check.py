"""``bn-harness check``: validate case files."""

from __future__ import annotations

import json

import click

from harness.cli import options
from harness.errors import InvalidCases


@click.command(name="check")
@options.cases
@options.as_json
def command(cases: tuple[str, ...], as_json: bool) -> None:
    """Validate CASES (files, folders; none: the suite) and say how many cases they hold.

    Exit status: 0 valid; 2 mistakes, each as file:line:column: message.
    """
    from harness.case.suite import load
    from harness.known import load as load_known

    try:
        suite = load(cases)
        if not cases:
            load_known()
    except InvalidCases as error:
        if as_json:
            click.echo(_json(mistakes=list(error.mistakes)))
        raise
    count = sum(1 for _ in suite.cases())
    files = len({entry.file for entry in suite.entries})
    if as_json:
        click.echo(_json(cases=count, files=files, mistakes=[]))
    else:
        click.echo(f"{count:,} cases in {files} file{'s' if files != 1 else ''}: valid")


def _json(**found: object) -> str:
    return json.dumps(found, indent=2, sort_keys=True, ensure_ascii=False)
