"""``bn-harness vectors``: cases as test vectors, for implementations in any language."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from harness.cli import options


@click.command(name="vectors")
@options.cases
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="The folder to write; an earlier export in it is replaced.",
)
@options.selection
@options.accuracy("The class of the bounds; by default that which verdicts ask for.")
def command(  # noqa: PLR0917  # as click passes them
    cases: tuple[str, ...],
    output: Path,
    expression: str,
    tags: tuple[str, ...],
    sample: int | None,
    shard: tuple[int, int] | None,
    accuracy: str | None,
) -> None:
    """Export CASES (as in 'run') with inputs, exact results and bounds, as JSON and safetensors.

    docs/vectors.md describes the files.

    Exit status: 0 written; 2 wrong usage, or DIR holds something else.
    """
    from harness.case.suite import Selection
    from harness.cli.progress import Lines
    from harness.vectors import export

    suite = options.load(cases).select(Selection(expression, tags, sample, shard))
    count = export(suite, output, accuracy, Lines(sys.stderr).tell)
    click.echo(f"wrote {output}: {count:,} cases", err=True)
