"""Options that several verbs share."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from harness.verdicts import CLASSES

if TYPE_CHECKING:
    from harness.case.suite import Suite

Command = TypeVar("Command", bound=Callable[..., Any])

cases = click.argument("cases", nargs=-1, metavar="[CASES]...")
known = click.option(
    "--known",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    metavar="FILE",
    help="Known divergences, beside those of the suite and of folders that are given; repeatable.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


def load(cases: tuple[str, ...]) -> Suite:
    """Read CASES, and say of which the suite has another of the same name."""
    from harness.case import suite
    from harness.case.files import hidden

    found = suite.load(cases)
    for name in cases:
        shipped = hidden(name)
        if shipped is not None:
            click.echo(f"{name}: read from this folder; the suite's own is {shipped}", err=True)
    return found


def jobs(value: str) -> int:
    """Return a number of processes; "auto" stands for that of the processors."""
    if value == "auto":
        from harness.runner import processors

        return processors()
    if not value.isdecimal() or not int(value):
        raise click.BadParameter(f"'{value}' is neither a number from 1 nor 'auto'.")
    return int(value)


def memory(value: str) -> int:
    """Return a size in bytes, as 500MiB or 2GB."""
    from harness.memory import size

    return size(value)


def shard(value: str) -> tuple[int, int]:
    """Return one part of several, I/N, as I and N."""
    part, _, parts = value.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise click.BadParameter(f"'{value}' should be I/N with I from 1 to N, as 1/8.")
    return int(part), int(parts)


def selection(command: Command) -> Command:
    """Add the options that choose cases."""
    for option in (
        click.option("-k", "expression", default="", help="Words in ids, joined by and, or, not."),
        click.option("--tag", "tags", multiple=True, help="Only cases with one of these tags."),
        click.option("--sample", type=click.IntRange(1), help="At most N cases, chosen by id."),
        click.option("--shard", type=shard, metavar="I/N", help="Part I of N, chosen by id."),
    ):
        command = option(command)
    return command


def output(words: str) -> Callable[[Command], Command]:
    """Add the option of the folder that a verb writes, with these words of help."""
    return click.option(
        "-o",
        "--output",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path("reports"),
        show_default=True,
        help=words,
    )


def accuracy(words: str) -> Callable[[Command], Command]:
    """Add the option of an accuracy class, with these words of help."""
    return click.option("--accuracy", type=click.Choice(CLASSES), help=words)


class Number(click.FloatRange):
    """A number in a range; nan, which compares with nothing, is in none."""

    def convert(
        self,
        value: Any,  # noqa: ANN401  # whatever was given
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        """Return the number."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail("nan is not a number.", param, ctx)
        return number


class ReportPath(click.Path):
    """A file to write; its folder is made.

    Parameters
    ----------
    instead : str
        What to say to who gives ``-``, which would be a file of that name.
    """

    def __init__(self, instead: str = "name a file") -> None:
        super().__init__(dir_okay=False, path_type=Path)
        self.instead = instead

    def convert(
        self,
        value: Any,  # noqa: ANN401  # whatever was given
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401  # as click.Path says
        """Return the path."""
        if value == "-":
            self.fail(f"'-' is not standard output here; {self.instead}.", param, ctx)
        return super().convert(value, param, ctx)


def single_form(form: str, as_json: bool) -> None:
    """Refuse ``--json`` beside another form."""
    if as_json and form not in ("text", "json"):
        raise click.UsageError(f"--json and --format {form} exclude each other; leave one out")
