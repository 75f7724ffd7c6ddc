"""``bn-harness run``: execute cases and judge the targets."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import options
from harness.errors import InvalidInput
from harness.plan import TIMEOUT

if TYPE_CHECKING:
    from harness.runner import Outcome


@click.command(name="run")
@options.cases
@click.option(
    "--target", "targets", multiple=True, default=("reference",), help="What to judge; repeatable."
)
@click.option("--against", default="torch", show_default=True, help="The baseline.")
@click.option(
    "--report",
    "report_file",
    type=options.ReportPath("--json prints the report"),
    help="Write the JSON report.",
)
@click.option("-j", "--jobs", type=options.jobs, metavar="N", help="Worker processes, or auto; 1.")
@options.selection
@options.accuracy("The class to hold them to.")
@options.known
@click.option("--timeout", type=options.Number(min=0.1), default=TIMEOUT, help="Seconds a case.")
@click.option("--memory", type=options.memory, metavar="SIZE", help="For targets, in each worker.")
@click.option("--resume", is_flag=True, help="Go on from the journal of a run that was stopped.")
@click.option("--dask", "address", metavar="ADDRESS", help="Run on a Dask cluster, not with -j.")
@click.option("--full", is_flag=True, help="List the agreeing cases of matrices too.")
@click.option("--html", "html_file", type=options.ReportPath(), help="Write the HTML report.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown"]),
    default="text",
    show_default=True,
    help="Of what is printed; markdown is for the summary of a job.",
)
@options.as_json
def command(  # noqa: PLR0917
    cases: tuple[str, ...],
    targets: tuple[str, ...],
    against: str,
    report_file: Path | None,
    jobs: int | None,
    expression: str,
    tags: tuple[str, ...],
    sample: int | None,
    shard: tuple[int, int] | None,
    accuracy: str | None,
    known: tuple[Path, ...],
    timeout: float,
    memory: int | None,
    resume: bool,
    address: str | None,
    full: bool,
    html_file: Path | None,
    form: str,
    as_json: bool,
) -> None:
    """Execute CASES (files, folders, file.yaml::glob; none: the suite) and judge the targets.

    Exit status: 0 conforms; 1 a divergence, crash or time-out; 2 wrong usage, or no case could be
    judged; 130 interrupted.
    """
    from harness.engines.server import warm

    options.single_form(form, as_json)
    if address is not None and jobs is not None:
        raise click.UsageError("--dask and -j exclude each other; leave one out")
    if address is None:
        warm()  # while the rest is imported and cases are read

    from harness.case.suite import Selection
    from harness.cli.progress import following
    from harness.engines.hired import cluster
    from harness.journal import beside
    from harness.plan import Plan
    from harness.report.document import to_json
    from harness.report.selection import selection, selectors
    from harness.report.text import Sources, show
    from harness.runner import run
    from harness.writing import write_whole

    suite = options.load(cases)
    files = {"--report": report_file, "--html": html_file}
    known = (*suite.known, *known)
    read = [*(entry.file for entry in suite.entries), *map(str, known)]
    _spare(files, read, (*targets, against))
    suite = suite.select(Selection(expression, tags, sample, shard))
    plan = Plan(tuple(dict.fromkeys(targets)), against, accuracy, full, timeout, memory, known)
    chosen = selection(
        selectors(suite),
        expression=expression,
        tags=list(tags),
        sample=sample,
        shard=list(shard) if shard else None,
        accuracy=accuracy,
    )
    with ExitStack() as stack:
        journal = stack.enter_context(beside(report_file, resume))
        executor = None
        if address is not None:
            executor, jobs = stack.enter_context(cluster(address))
        listener = stack.enter_context(following(sys.stderr))
        outcome = run(
            suite,
            plan,
            jobs=jobs or 1,
            listener=listener,
            selection=chosen,
            whole=not chosen,
            journal=journal,
            resume=resume,
            executor=executor,
        )
        if report_file is not None:
            write_whole(report_file, to_json(outcome.report))
        if journal is not None:
            journal.finish(outcome.report)
    if html_file is not None:
        from harness.report.html import to_html

        write_whole(html_file, to_html(outcome.report, suite))
    if as_json:
        click.echo(to_json(outcome.report), nl=False)
    elif form == "markdown":
        from harness.report.markdown import to_summary

        click.echo(to_summary(outcome.report, Sources(suite)), nl=False)
    else:
        show(outcome.report, Sources(suite), sys.stdout)
    status = _status(outcome)
    if outcome.report.partial:
        click.echo(_onward(kept=journal is not None), err=True)
    raise click.exceptions.Exit(status)


def _onward(*, kept: bool) -> str:
    """Return how a run that was interrupted goes on."""
    if not kept:
        return "nothing is kept to go on from; with --report FILE, --resume goes on"
    verb, *arguments = click.get_current_context().obj
    resume = () if "--resume" in arguments else ("--resume",)
    return f"go on with: {shlex.join(['bn-harness', verb, *resume, *arguments])}"


def _status(outcome: Outcome) -> int:
    """Say what else there is to say, and return the status."""
    from harness.report.text import nothing_judged
    from harness.report.unforeseen import unforeseen

    for refusal in unforeseen(outcome.report):
        click.echo(refusal, err=True)
    if outcome.inapplicable:
        does = "case does" if outcome.inapplicable == 1 else "cases do"
        click.echo(f"{outcome.inapplicable:,} {does} not hold for torch {outcome.torch}", err=True)
    for mistake in outcome.mistakes:
        click.echo(mistake, err=True)
    if outcome.report.partial:
        return 130
    nothing = nothing_judged(outcome.report)
    executed = any(each.cases for each in outcome.report.summary.values())
    if outcome.inapplicable and not executed and "shard" not in outcome.report.selection:
        nothing = "none holds for this version"
    if nothing is not None:
        click.echo(f"no case could be judged: {nothing}", err=True)
    if outcome.mistakes:
        return 2
    if outcome.failures:
        return 1
    return 0 if nothing is None else 2


def _spare(files: dict[str, Path | None], read: Iterable[str], specs: Iterable[str]) -> None:
    """Refuse to write over what is read, or over what is written too."""
    from harness.identity import files_of
    from harness.writing import special

    taken = {Path(name).resolve(): name for name in read}
    taken |= {path.resolve(): spec for spec in specs for path in files_of(spec)}
    for option, path in files.items():
        if path is None or special(path):
            continue
        if path.resolve() in taken:
            raise InvalidInput(
                f"{option} {path}: would be written over {taken[path.resolve()]}; name another file"
            )
        taken[path.resolve()] = option
