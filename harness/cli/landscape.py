"""``bn-harness landscape``: put the reports of several frameworks beside each other."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli import options


@click.command(name="landscape")
@click.argument("reports", nargs=-1, required=True, type=click.Path(path_type=Path))
@options.output("The folder to write.")
def command(reports: tuple[Path, ...], output: Path) -> None:
    """Write landscape.json and landscape.md from REPORTS, written by 'run --full --report'.

    Exit status: 0 written; 2 the reports do not go together.
    """
    from harness.case.suite import load
    from harness.landscape import landscape, to_markdown
    from harness.report.document import read
    from harness.writing import write_whole

    read_reports = [(str(path), read(path)) for path in reports]
    wanted = {case.id for _, report in read_reports for case in report.cases}
    cases = {case.id: case for _, case in load().cases() if case.id in wanted}
    made = landscape(read_reports, cases)
    for name, text in (("landscape.json", made.to_json()), ("landscape.md", to_markdown(made))):
        write_whole(output / name, text)
        click.echo(f"wrote {output / name}", err=True)
