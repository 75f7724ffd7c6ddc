"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

cases = click.argument("cases", nargs=-1, metavar="[CASES]...")
as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


class Jobs(click.ParamType):
    """A number of processes, or "auto"."""

    name = "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        if value == "auto":
            from harness.runner import processors  # noqa: PLC0415

            return processors()
        try:
            number = int(value)
        except ValueError:
            number = 0
        if number < 1:
            self.fail(f"'{value}' is neither a number from 1 nor 'auto'.", param, ctx)
        return number


class Shard(click.ParamType):
    """One part of several, as I/N."""

    name = "I/N"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Return I and N."""
        part, _, parts = str(value).partition("/")
        if part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts):
            return int(part), int(parts)
        return self.fail(f"'{value}' should be I/N with I from 1 to N, as 1/8.", param, ctx)


def selection(command: Command) -> Command:
    """Add the options that choose cases."""
    for option in (
        click.option("-k", "expression", default="", help="Words in ids, joined by and, or, not."),
        click.option("--tag", "tags", multiple=True, help="Only cases with one of these tags."),
        click.option("--sample", type=click.IntRange(1), help="At most N cases, chosen by id."),
        click.option("--shard", type=Shard(), help="Part I of N, chosen by id."),
    ):
        command = option(command)
    return command


class ReportPath(click.Path):
    """A file to write; its folder is made."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, path_type=Path)
