"""``bn-harness fuzz``: search for a case in which a target diverges."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import options

if TYPE_CHECKING:
    from harness.fuzz import Find, Search


@click.command(name="fuzz")
@click.option("--target", "targets", multiple=True, required=True, help="What to test; repeatable.")
@click.option("--against", default="torch", show_default=True, help="The baseline.")
@click.option(
    "--time", "seconds", type=options.Number(0), default=60.0, help="Seconds to search; 60."
)
@click.option(
    "--save",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("cases/regressions"),
    show_default=True,
    help="Where a failure is written, and where the search begins.",
)
@click.option("--legal", is_flag=True, help="Only cases in which torch raises no error.")
@options.known
@click.option("--seed", type=click.IntRange(0), help="Try the cases of an earlier search again.")
@options.as_json
def command(  # noqa: PLR0917
    targets: tuple[str, ...],
    against: str,
    seconds: float,
    folder: Path,
    legal: bool,
    known: tuple[Path, ...],
    seed: int | None,
    as_json: bool,
) -> None:
    """Search for a case in which a target diverges, shrink it, and save it as YAML.

    Begins with the cases that are saved already, then with what Hypothesis remembers under
    .bn-harness/fuzz (not with --seed), then with new ones, simple and complex, legal and illegal.
    Ends at the first failure. The targets run in this process: one that crashes or hangs takes
    the search with it.

    Exit status: 0 nothing diverges; 1 a failure was found; 2 wrong usage; 130 interrupted.
    """
    # Hypothesis keeps more than what it found, and asks for the place when it is imported.
    os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(Path(".bn-harness", "hypothesis")))

    from harness.case.files import known_below
    from harness.cli.output import targets_apart
    from harness.cli.progress import following
    from harness.fuzz import Search, save
    from harness.runner import Progress

    start = time.monotonic()
    with targets_apart(), following(sys.stderr) as listener:
        search = Search(
            targets,
            against,
            known=(*known_below(folder), *known),
            seed=seed,
            memory=None if seed is not None else _memory([*targets, against]),
            listener=lambda tried: listener(Progress(tried, 0)),
            legal=legal,
        )
        find = search.saved(folder)
        if find is None:
            found = search.run(seconds)
            find = None if found is None else save(found, folder)
    spent = time.monotonic() - start
    if as_json:
        click.echo(json.dumps(_plain(search, find, spent), indent=2, sort_keys=True))
    else:
        for line in _lines(search, find, spent):
            click.echo(line)
    raise click.exceptions.Exit(1 if find else 0)


def _memory(specs: list[str]) -> Path:
    """Return the folder of what was found with these targets; others fail in other cases."""
    import hashlib

    from harness.fuzz import MEMORY

    return MEMORY / hashlib.blake2b(repr(specs).encode(), digest_size=4).hexdigest()


def _reproduction(find: Find) -> str:
    command = ["bn-harness", "run", f"{find.file}", "--target", find.comparison.target]
    if find.baseline != "torch":
        command += ["--against", find.baseline]
    return shlex.join(command)


def _lines(search: Search, find: Find | None, spent: float) -> list[str]:
    lines = []
    if find is not None:
        lines += [
            f"{find.comparison.verdict.upper()} {find.comparison.target}: {find.case.id}",
            f"  {find.words}",
            f"  saved: {find.file}",
            f"  reproduce: {_reproduction(find)}",
        ]
    rate = search.tried / spent
    lines.append(
        f"tried {search.tried:,} distinct cases in {spent:.0f} s ({rate:.0f} a second), "
        f"seed {search.seed}" + ("" if find else ": nothing diverges")
    )
    return lines


def _plain(search: Search, find: Find | None, spent: float) -> dict[str, object]:
    found = None
    if find is not None:
        found = {
            "id": find.case.id,
            "file": str(find.file),
            "target": find.comparison.target,
            "verdict": find.comparison.verdict,
            "words": find.words,
            "reproduce": _reproduction(find),
        }
    return {
        "tried": search.tried,
        "seconds": round(spent, 3),
        "seed": search.seed,
        "find": found,
    }
