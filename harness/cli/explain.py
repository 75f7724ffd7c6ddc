"""``bn-harness explain``: a case step by step, worked."""

from __future__ import annotations

import click

from harness.cli import options


@click.command(name="explain")
@click.argument("case")
@click.option("--target", default="reference", show_default=True, help="What to show beside it.")
@click.option("--against", default="torch", show_default=True, help="The baseline.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "html"]),
    default="text",
    show_default=True,
)
@options.as_json
def command(case: str, target: str, against: str, form: str, as_json: bool) -> None:
    """Explain CASE: file.yaml::id, or an id in the suite, of a matrix case too.

    For each step: which statistics it normalises with, the arithmetic of one element, how the
    running statistics move, and what baseline and target computed beside the exact result.
    As JSON: every element that they computed, its exact value and its bound.

    Exit status: 0 explained; 2 wrong usage.
    """
    options.single_form(form, as_json)

    from harness.cli.output import targets_apart
    from harness.explanation import explain
    from harness.explanation.forms import to_html, to_markdown, to_text

    forms = {"text": to_text, "markdown": to_markdown, "html": to_html}
    with targets_apart():
        explanation = explain(case, target, against=against)
        text = explanation.to_json() if as_json else forms[form](explanation.blocks)
    click.echo(text.strip("\n"))
