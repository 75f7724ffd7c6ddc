"""The command line: a verb each, loaded when it is asked for."""

from __future__ import annotations

import importlib
import sys
from typing import NoReturn

import click

from harness import __version__
from harness.errors import InvalidInput

VERBS = {
    "run": "Execute cases and judge the targets.",
    "report": "Regenerate everything under reports/.",
    "diff": "Say what changed between two reports; fail on a regression.",
    "merge": "Join the reports of shards.",
    "explain": "Show a case step by step, worked.",
    "new": "Append a scaffolded case to a YAML file.",
    "check": "Validate case files.",
    "fuzz": "Search for a case in which a target diverges.",
    "adequacy": "Test the suite on implementations that are wrong on purpose.",
    "versions": "Say what changed between versions of torch.",
    "landscape": "Put the reports of several frameworks beside each other.",
    "targets": "List the targets.",
    "schema": "Print the JSON Schema of case files or reports.",
}


class _Verbs(click.Group):
    """Verbs whose modules, and what these import, load only when called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        if name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"harness.cli.{name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bn-harness")
def cli() -> None:
    """Test whether an implementation of batch normalisation conforms to torch.nn.BatchNorm2d."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 conforms, 1 diverges, 2 wrong usage, 130 interrupted."""
    try:
        # Not standalone, click returns the code that a verb exits with, None where it ends.
        sys.exit(cli.main(args=arguments, prog_name="bn-harness", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except InvalidInput as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
