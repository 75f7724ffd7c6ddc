"""``bn-harness adequacy``: test the suite on implementations that are wrong on purpose."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from harness.cli import options


@click.command(name="adequacy")
@options.cases
@click.option("--sample", type=click.IntRange(1), help="At most N cases of matrices.")
@click.option("--matrices-only", is_flag=True, help="Leave the hand-written cases out.")
@click.option(
    "-j", "--jobs", type=options.jobs, default="1", metavar="N", help="Processes, or auto."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write adequacy.json and adequacy.md to this folder.",
)
@options.as_json
def command(  # noqa: PLR0917
    cases: tuple[str, ...],
    sample: int | None,
    matrices_only: bool,
    jobs: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Run CASES (files, folders, file.yaml::glob; none: the suite) on planted mistakes.

    Each planted mistake must be caught by some case, and no variant that only computes
    differently may be blamed by any.

    Exit status: 0 adequate; 1 a mistake survives or a sound variant is blamed; 2 wrong usage.
    """
    from harness.adequacy.campaign import run, select
    from harness.adequacy.text import show, to_markdown
    from harness.writing import write_whole

    chosen = select(options.load(cases), sample, matrices_only=matrices_only)
    scores = run(chosen, jobs=jobs, listener=lambda words: click.echo(words, err=True))
    if output is not None:
        write_whole(output / "adequacy.json", scores.to_json())
        write_whole(output / "adequacy.md", to_markdown(scores))
    if as_json:
        click.echo(scores.to_json(), nl=False)
    else:
        show(scores, sys.stdout)
    raise click.exceptions.Exit(1 if scores.survivors or scores.blamed else 0)
