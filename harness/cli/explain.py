"""``bn-harness explain``: a case step by step, worked."""

from __future__ import annotations

import shlex
from contextlib import closing

import click

from harness.cli import options
from harness.errors import InvalidInput
from harness.plan import TIMEOUT, Plan


@click.command(name="explain")
@click.argument("case")
@click.option("--target", default="reference", show_default=True, help="What to show beside it.")
@click.option("--against", default="torch", show_default=True, help="The baseline.")
@click.option("--timeout", type=options.Number(min=0.1), default=TIMEOUT, help="Seconds it has.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "html"]),
    default="text",
    show_default=True,
)
@options.as_json
def command(  # noqa: PLR0917
    case: str, target: str, against: str, timeout: float, form: str, as_json: bool
) -> None:
    """Explain CASE: file.yaml::id, or an id in the suite, of a matrix case too.

    For each step: which statistics it normalises with, the arithmetic of one element, how the
    running statistics move, and what baseline and target computed beside the exact result.
    As JSON: every element that they computed, its exact value and its bound.

    Exit status: 0 explained; 2 wrong usage, or the case ends the process or takes too long.
    """
    from harness.engines.server import warm

    options.single_form(form, as_json)
    warm()  # while the case is looked for

    from harness.case.find import find
    from harness.engines.flow import Loss
    from harness.engines.pool import Pool
    from harness.explanation import written

    suite, entry, chosen = find(case)
    plan = Plan((target,), against, timeout=timeout, known=suite.known)
    with closing(Pool(plan, 1)) as pool:
        pool.about  # noqa: B018  # what is wrong with the targets is raised
        text = None
        while text is None:
            text = pool.result(pool.submit(written, chosen, "json" if as_json else form))
    if isinstance(text, Loss):
        asked = ["--target", target, "--against", against]
        command = shlex.join(["bn-harness", "run", f"{entry.file}::{chosen.id}", *asked])
        raise InvalidInput(
            f"there is nothing to explain: {text.reason}; who is to blame: {command}"
        )
    click.echo(text.strip("\n"))
