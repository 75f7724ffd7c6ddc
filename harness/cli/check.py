"""``bn-harness check``: validate case files."""

from __future__ import annotations

import click

from harness.cli import options


@click.command(name="check")
@options.cases
def command(cases: tuple[str, ...]) -> None:
    """Validate CASES (files, folders; none: the suite) and say how many cases they hold."""
    from harness.case.suite import load
    from harness.known import load as load_known

    suite = load(cases)
    if not cases:
        load_known()
    count = sum(1 for _ in suite.cases())
    files = len({entry.file for entry in suite.entries})
    click.echo(f"{count:,} cases in {files} file{'s' if files != 1 else ''}: valid")
