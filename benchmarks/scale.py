"""What a run costs as the number of cases grows: ``python benchmarks/scale.py``.

For each number of cases a suite of one matrix is written into a temporary folder and run by the
command line, with a report. Printed are the cases a second, the processor time of the process that
hands out cases and gathers results, and the most memory that it had (its peak resident set).

The target is by default one that refuses every module in the words of the baseline: so the time is
that of the harness around a case, with nothing executed and no number judged. ``--target
reference`` measures what users have, against torch.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import click

COUNTS = (1_000, 10_000, 100_000, 1_000_000)

TARGETS = '''
class Baseline:
    """Refuses every module."""

    def __init__(self, *arguments, **named):
        raise ValueError("refused")

    def __call__(self, given):
        return given

class Target(Baseline):
    """Refuses every module too."""
'''

ONE = """
import json, resource, sys, time
from harness.cli import main
start = time.perf_counter()
try:
    main(json.loads(sys.argv[1]))
except SystemExit as ended:
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = time.perf_counter() - start
    cpu = used.ru_utime + used.ru_stime
    print(json.dumps([ended.code, seconds, cpu, used.ru_maxrss]), file=sys.stderr)
"""


def matrix(count: int) -> str:
    """Return a suite of so many cases, on a small shape.

    Most differ in their modules, of which the matrix keeps some thousands: as many from 10,000
    cases on, so that what is kept does not pass for what grows.
    """
    momenta = [index / 1000 for index in range(250)]
    item = {
        "id": "scale",
        "why": "as many cases as are asked for.",
        "matrix": {
            "shape": [[2, 2, 2, 1]],
            "eps": [index / 1000 for index in range(count // 1000)],
            "momentum": momenta,
            "affine": [True, False],
            "sequence": ["T", "E"],
            "fill": "normal",
        },
    }
    return json.dumps([item])  # which is YAML too


def measure(folder: Path, count: int, jobs: int, target: str | None) -> tuple[float, float, int]:
    """Run so many cases; return seconds, seconds of the parent's processor, and its peak in KiB."""
    (folder / "cases.yaml").write_text(matrix(count), encoding="utf-8")
    (folder / "targets.py").write_text(TARGETS, encoding="utf-8")
    spec = [f"{folder}/targets.py:{name}" for name in ("Target", "Baseline")]
    chosen = ["--target", target] if target else ["--target", spec[0], "--against", spec[1]]
    command = ["run", f"{folder}/cases.yaml", "-j", str(jobs), *chosen]
    ended = subprocess.run(  # noqa: S603  # this Python
        [sys.executable, "-c", ONE, json.dumps([*command, "--report", f"{folder}/report.json"])],
        capture_output=True,
        text=True,
        check=False,
    )
    *said, last = ended.stderr.splitlines() or [""]
    report = folder / "report.json"
    if not report.exists():
        raise click.ClickException("\n".join([f"{count} cases have no report:", *said, last]))
    code, seconds, cpu, peak = json.loads(last)
    found = json.loads(report.read_text(encoding="utf-8"))["summary"]
    if code or {each["cases"] for each in found.values()} != {count}:
        raise click.ClickException(f"not all {count} cases agree: exit status {code}")
    return seconds, cpu, peak


@click.command()
@click.option("--most", default=COUNTS[-1], show_default=True, help="Most cases.")
@click.option("--least", default=COUNTS[0], show_default=True, help="Fewest cases.")
@click.option("-j", "--jobs", default=2, show_default=True, help="Worker processes.")
@click.option("--target", help="What to judge against torch, in place of the cheap one.")
def main(most: int, least: int, jobs: int, target: str | None) -> None:
    """Measure runs of 1,000 cases and more, by factors of ten."""
    click.echo(
        f"{'cases':>10} {'cases/s':>9} {'parent CPU, µs a case':>22} {'parent peak, MiB':>17}"
    )
    for count in COUNTS:
        if least <= count <= most:
            with tempfile.TemporaryDirectory() as folder:
                seconds, cpu, peak = measure(Path(folder), count, jobs, target)
            rate, each = count / seconds, 1e6 * cpu / count
            click.echo(f"{count:>10,} {rate:>9,.0f} {each:>22,.0f} {peak / 1024:>17,.0f}")


if __name__ == "__main__":
    main()
