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
    callback=_worker,
    metavar="VERSION=COMMAND",
    help="A worker process of one version of torch; repeatable.",
)
@click.option(
    "--record",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Only keep what each worker does in DIR, for a comparison later.",
)
@click.option(
    "--recorded",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Compare the versions in DIR too.",
)
@click.option("--sample", type=click.IntRange(1), help="At most N cases, chosen by id.")
@options.output("The folder of versions.json and versions.md.")
def command(  # noqa: PLR0917
    cases: tuple[str, ...],
    workers: dict[str, str],
    record: Path | None,
    recorded: Path | None,
    sample: int | None,
    output: Path,
) -> None:
    """Run CASES by each version, and write what changed in which and whether accuracy gained.

    Versions are compared in the order of their numbers. Where they do not fit on a disk together,
    --record them one after the other.

    Exit status: 0 written; 2 wrong usage, or a worker that cannot be started.
    """
    from harness import history
    from harness.case.suite import Selection
    from harness.targets import resolve
    from harness.writing import write_whole

    if record is not None and not workers:
        raise click.UsageError("--record needs a --worker to record.")
    if record is not None and recorded is not None:
        raise click.UsageError("--record compares nothing: leave it out, or --recorded.")
    suite = options.load(cases).select(Selection(sample=sample))
    targets = [(name, resolve(f"exec:{command}")) for name, command in workers.items()]
    if record is not None:
        for name, target in targets:
            path = record / f"{name}{history.SUFFIX}"
            count = history.record(suite, target, path)
            click.echo(f"wrote {path}: {count} cases", err=True)
        return
    if recorded is not None:
        targets += history.recordings(recorded)
    document = history.history(suite, targets).document()
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_whole(output / "versions.json", text + "\n")
    write_whole(output / "versions.md", "\n".join(history.markdown(document)))
    for name in ("versions.json", "versions.md"):
        click.echo(f"wrote {output / name}", err=True)
    click.echo(f"{len(document['changes'])} changes", file=sys.stdout)
