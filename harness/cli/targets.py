"""``bn-harness targets``: list what can be judged."""

from __future__ import annotations

import json
from importlib.metadata import entry_points

import click

from harness.cli import options
from harness.errors import InvalidInput


@click.command(name="targets")
@options.as_json
def command(as_json: bool) -> None:
    """List the targets that --target knows by name, and how to name others."""
    from harness.targets import resolve
    from harness.targets.spec import GROUP

    described = {
        "torch": "torch.nn.BatchNorm2d; options via=, compile=, threads=, device=, cudnn=",
        "torch:device=cuda": "torch.nn.BatchNorm2d on a CUDA device",
        "reference": "the local reimplementation in NumPy",
    }
    for entry in entry_points(group=GROUP):
        described.setdefault(entry.name, entry.value)  # a name of the harness stays its own
    rows = []
    for name, text in described.items():
        try:
            absent = resolve(name).info.absent
        except InvalidInput as error:  # of someone's package, which the others are not held to
            absent = str(error).removeprefix(f"{name}: ")
        rows.append({"target": name, "description": text, "absent": absent})
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    width = max(len(name) for name in described)
    for row in rows:
        absent = f" (absent: {row['absent']})" if row["absent"] else ""
        click.echo(f"{row['target']:{width}}  {row['description']}{absent}")
    click.echo("\nOr your own class: path/to/file.py:Class or package.module:Class")
    click.echo("Or a worker process: exec:COMMAND")
