"""Cases a second, from the command line, in one worker process and in two.

    python -m benchmarks.throughput

Wall time from the start of the command to its end, imports included: what more processes save is
time on the clock. Nothing else should run meanwhile.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from functools import partial

from benchmarks import whole
from benchmarks.page_tables import table
from benchmarks.script import Figure, Script

JOBS = (1, 2)


def command(jobs: int, cases: str, sample: int) -> float:
    """Return the wall seconds of a run.

    Raises
    ------
    RuntimeError
        It gave no report.
    """
    words = ["-m", "harness", "run", cases, "--target", "reference", "-j", str(jobs), "--json"]
    words += ["--sample", str(sample)] if sample else []
    start = time.perf_counter()
    done = subprocess.run(  # noqa: S603  # the harness itself
        [sys.executable, *words], capture_output=True, text=True, check=False
    )
    wall = time.perf_counter() - start
    if not done.stdout:  # status 1 may be a divergence, which takes no time
        raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}: {done.stderr}")
    return wall


def show(figures: Mapping[str, Figure], cases: int) -> str:
    """Return the table."""
    rows = [
        [f"`{name}`", f"{figure.fastest:.1f}", f"{cases / figure.fastest:,.0f}"]
        for name, figure in figures.items()
    ]
    first, last = (figures[f"-j {jobs}"].fastest for jobs in JOBS)
    return "\n\n".join(
        (
            table([f"{cases:,} cases", "wall s", "cases a second"], rows),
            f"Two worker processes are **{first / last:.2f}** times as fast as one.",
        )
    )


def main() -> None:
    """Measure and print."""
    script = Script("throughput", whole.TINY, processes=5, cases=whole.CASES, sample=0)
    of = {"cases": script.options.cases, "sample": script.options.sample}
    for jobs in JOBS:
        script.measure(f"-j {jobs}", partial(command, jobs, **of))
    script.finish(lambda figures: show(figures, whole.counts(**of)[0]))


if __name__ == "__main__":
    main()
