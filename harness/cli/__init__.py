"""The command line: a verb each, loaded when it is asked for."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

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
    "vectors": "Export cases with exact results as test vectors for any language.",
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

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.obj = [*args]  # for verbs that say how to call them again
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  # what a verb returns
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            # Left to click, it would exit with 1, which says that a target diverges.
            raise _unwritten(error) from None


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bn-harness")
def cli() -> None:
    """Test whether an implementation of batch normalisation conforms to torch.nn.BatchNorm2d."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 conforms, 1 diverges, 2 wrong usage, 130 interrupted."""
    try:
        with _ended_as_interrupted():
            # Not standalone, click returns what a verb exits with, None where it ends.
            code = cli.main(args=arguments, prog_name="bn-harness", standalone_mode=False)
            sys.stdout.flush()
        sys.exit(code or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except InvalidInput as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
    except OSError as error:
        # Verbs speak of their files themselves: this is a disk that is full.
        click.echo(str(_unwritten(error)), err=True)
        sys.exit(2)
    except Exception:  # status 1 would say that a target diverges
        traceback.print_exc()
        click.echo("this is a mistake of bn-harness itself; please report it", err=True)
        sys.exit(2)


@contextmanager
def _ended_as_interrupted() -> Iterator[None]:
    """Have what asks the process to end do as Ctrl-C does: results are kept, workers stop."""
    before = {}
    for number in (signal.SIGTERM, signal.SIGHUP):
        # What a shell has told a process to ignore stays ignored; only the main thread may ask.
        if (
            signal.getsignal(number) is signal.SIG_DFL
            and threading.current_thread() is threading.main_thread()
        ):
            before[number] = signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _unwritten(error: OSError) -> InvalidInput:
    """Return what to say, and drop what standard output holds: it would fail again at the end."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    return InvalidInput(f"the output cannot be written: {error.strerror or error}")
