"""``bn-harness schema``: print a JSON Schema."""

from __future__ import annotations

import json

import click


@click.command(name="schema")
@click.argument("what", type=click.Choice(["case", "report"]))
def command(what: str) -> None:
    """Print the JSON Schema of case files or of reports."""
    click.echo(schema_text(what), nl=False)


def schema_text(what: str) -> str:
    """Return the JSON Schema of "case" or "report" files, as it is committed."""
    if what == "case":
        from harness.case.suite import schema
    else:
        from harness.report.document import schema
    return json.dumps(schema(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
