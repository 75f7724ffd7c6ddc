"""``bn-harness merge``: join the reports of shards."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli import options


@click.command(name="merge")
@click.argument("reports", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=options.ReportPath("/dev/stdout is"),
    help="File to write.",
)
def command(reports: tuple[Path, ...], output: Path) -> None:
    """Join REPORTS, written by 'run --shard I/N --report', to the report of the whole run.

    It is the same, byte for byte, as that of a run in one piece.

    Exit status: 0 joined; 2 they are not all the shards of one run.
    """
    from harness.report.document import read, to_json
    from harness.report.merge import merge
    from harness.writing import write_whole

    whole = merge([(str(path), read(path)) for path in reports])
    write_whole(output, to_json(whole))
    click.echo(f"wrote {output}: {len(reports)} shards", err=True)
