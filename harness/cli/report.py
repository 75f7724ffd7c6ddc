"""``bn-harness report``: regenerate everything under reports/."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from harness.cli import options

TARGETS = ("reference", "torch:device=cuda")
"""What the committed report is about; absent targets are said to be absent."""


@click.command(name="report")
@options.output("The folder to write.")
@click.option(
    "-j", "--jobs", type=options.jobs, default="auto", metavar="N", help="Worker processes."
)
def command(output: Path, jobs: int) -> None:
    """Run the whole suite and write the report, its schema and its summary.

    Exit status: 0 conforms; 1 a divergence, crash or time-out; 2 wrong usage; 130 interrupted.
    """
    from harness.case.suite import load
    from harness.cli.progress import following
    from harness.cli.schema import schema_text
    from harness.plan import Plan
    from harness.report.badge import to_badge
    from harness.report.document import to_json
    from harness.report.html import to_html
    from harness.report.markdown import to_markdown
    from harness.report.text import Sources, show
    from harness.runner import run
    from harness.writing import write_whole

    suite = load()
    with following(sys.stderr) as listener:
        outcome = run(suite, Plan(TARGETS), jobs=jobs, listener=listener, whole=True)
    if outcome.report.partial:
        raise click.exceptions.Exit(130)
    for name, text in (
        ("conformance.json", to_json(outcome.report)),
        ("conformance.md", to_markdown(outcome.report)),
        ("report.schema.json", schema_text("report")),
        ("index.html", to_html(outcome.report, suite)),
        ("badge.svg", to_badge(outcome.report)),
    ):
        write_whole(output / name, text)
        click.echo(f"wrote {output / name}", err=True)
    show(outcome.report, Sources(suite), sys.stdout)
    for mistake in outcome.mistakes:
        click.echo(mistake, err=True)
    if outcome.mistakes:
        raise click.exceptions.Exit(2)
    raise click.exceptions.Exit(1 if outcome.failures else 0)
