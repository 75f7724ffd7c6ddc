"""``bn-harness new``: append a scaffolded case to a YAML file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

FILE = Path("cases/edge/new.yaml")


class Sizes(click.ParamType["tuple[int, ...]"]):
    """Sizes of dimensions, as 4,2,3,3 or 4x2x3x3."""

    name = "N,C,H,W"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Return the sizes."""
        parts = str(value).replace("x", ",").strip("[]").split(",")
        if not all(part.strip().isdecimal() for part in parts):
            self.fail(f"'{value}' should be sizes as 4,2,3,3", param, ctx)
        return tuple(int(part) for part in parts)


def _factor(value: str) -> float | None:
    if value.lower() in ("none", "null"):
        return None
    try:
        return float(value)
    except ValueError:
        raise click.BadParameter(f"'{value}' is neither a number nor 'none'.") from None


@click.command(name="new")
@click.argument("case_id", metavar="ID")
@click.option("--why", required=True, help="Which fact it shows, which mistake it catches.")
@click.option(
    "--file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=FILE,
    show_default=True,
    help="Where to append it.",
)
@click.option("--from", "origin", metavar="CASE", help="Start from this case; see explain.")
@click.option("--source", help="Where the fact is documented.")
@click.option("--tag", "tags", multiple=True, help="Repeatable.")
@click.option("--num-features", type=click.IntRange(0), help="Channels; else the shape's.")
@click.option("--shape", type=Sizes(), default="4,2,3,3", show_default=True)
@click.option("--fill", default="normal", show_default=True, help="What the inputs hold.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of fills that draw.")
@click.option("--eps", type=float)
@click.option(
    "--momentum",
    type=_factor,
    metavar="FLOAT",
    default="0.1",
    show_default=True,
    help="Or none.",
)
@click.option("--affine/--no-affine", default=True)
@click.option("--track/--no-track", default=True, help="track_running_stats.")
@click.option("--dtype", help="Of module and inputs.")
@click.option("--layout", help="Of the inputs.")
@click.option(
    "--steps", default="T", show_default=True, help="T a train step, E an eval step, as TTE."
)
@click.option("--grad", is_flag=True, help="Ask for the gradients.")
def command(case_id: str, file: Path, origin: str | None, **given: Any) -> None:  # noqa: ANN401
    """Append the case ID to a YAML file, and run it by torch and the reference.

    What stands in the file stays. Nothing is written unless the case is valid.

    Exit status: 0 written, and it agrees; 1 written, and it diverges; 2 nothing is written.
    """
    from harness.case.files import shown_name
    from harness.case.scaffold import appended
    from harness.case.scaffolded import copied, made
    from harness.case.suite import Entry, Suite
    from harness.plan import Plan
    from harness.report.failing import failures
    from harness.report.text import PYTHON, Sources, reproduction, show
    from harness.report.unforeseen import unforeseen
    from harness.runner import run
    from harness.writing import write_whole

    context = click.get_current_context()
    spelled = {name for name in given if not _default(context, name)}
    if origin is not None:
        extra = spelled - {"why", "source", "tags"}
        if extra:
            words = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(extra))
            raise click.UsageError(f"--from takes the whole case; edit the file, not by {words}")
        case = copied(case_id, origin, given)
    else:
        case = made(case_id, given, spelled)
    text = appended(file, case)
    suite = Suite((Entry(case, PYTHON, 1),), {})
    report = run(suite, Plan(("reference",), full=True), jobs=0).report
    write_whole(file, text)
    name = shown_name(file)
    click.echo(f"appended to {name}; run it by: {reproduction(f'{name}::{case_id}')}", err=True)
    show(report, Sources(suite), sys.stdout)
    for refusal in unforeseen(report):
        click.echo(refusal, err=True)
    raise click.exceptions.Exit(1 if any(failures(report)) else 0)


def _default(context: click.Context, name: str) -> bool:
    from click.core import ParameterSource

    return context.get_parameter_source(name) is ParameterSource.DEFAULT
