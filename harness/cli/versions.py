"""``bn-harness versions``: what changed in BatchNorm2d from one version of torch to the next."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from harness.cli import options


def _worker(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    workers: dict[str, str] = {}
    for value in values:
        name, separator, command = value.partition("=")
        if not (separator and name and command) or name in workers:
            raise click.BadParameter(f"'{value}' should be one of its kind, as 1.8.1=COMMAND.")
        workers[name] = command
    return workers


@click.command(name="versions")
@options.cases
@click.option(
    "--worker",
    "workers",
    multiple=True,
    required=True,
    callback=_worker,
    metavar="VERSION=COMMAND",
    help="A worker process of one version of torch; repeatable, the oldest first.",
)
@click.option("--sample", type=click.IntRange(1), help="At most N cases, chosen by id.")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("reports"),
    show_default=True,
    help="The folder of versions.json and versions.md.",
)
def command(
    cases: tuple[str, ...], workers: dict[str, str], sample: int | None, output: Path
) -> None:
    """Run CASES by each version, and write what changed in which and whether accuracy gained."""
    from harness.case.suite import Selection, load
    from harness.history import history, markdown
    from harness.report.document import write_whole
    from harness.targets import resolve

    suite = load(cases).select(Selection(sample=sample))
    targets = [(name, resolve(f"exec:{command}")) for name, command in workers.items()]
    document = history(suite, targets).document()
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_whole(output / "versions.json", text + "\n")
    write_whole(output / "versions.md", "\n".join(markdown(document)))
    for name in ("versions.json", "versions.md"):
        click.echo(f"wrote {output / name}", err=True)
    click.echo(f"{len(document['changes'])} changes", file=sys.stdout)
