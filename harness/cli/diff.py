"""``bn-harness diff``: what changed between two reports."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli import options

_REPORT = click.Path(path_type=Path)


@click.command(name="diff")
@click.argument("old", type=_REPORT)
@click.argument("new", type=_REPORT)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "json", "html"]),
    default="text",
    show_default=True,
)
@click.option(
    "--factor",
    type=options.Number(min=1, min_open=True),
    default=2.0,
    show_default=True,
    help="By how much an error over bound must move to be shown.",
)
@options.as_json
def command(old: Path, new: Path, form: str, factor: float, as_json: bool) -> None:
    """Say what changed between the reports OLD and NEW.

    A regression is a verdict or a matrix's counts that got worse, an accuracy class that is no
    longer held, or a target that cannot be judged any more.

    Exit status: 0 nothing is worse; 1 a regression; 2 wrong usage.
    """
    options.single_form(form, as_json)

    from harness.report.diff import diff
    from harness.report.document import read

    found = diff(read(old), read(new), factor)
    if as_json or form == "json":
        text = found.to_json() + "\n"
    elif form == "html":
        from harness.report.diff_page import diff_to_html

        text = diff_to_html(found)
    else:
        from harness.report import diff_words

        text = diff_words.to_markdown(found) if form == "markdown" else diff_words.to_text(found)
    click.echo(text, nl=False)
    raise click.exceptions.Exit(1 if found.regressions else 0)
