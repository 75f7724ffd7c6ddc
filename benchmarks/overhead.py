"""What the harness costs beyond the executions that it judges, in one process.

    python -m benchmarks.overhead

CPU time of everything (cases generated, executed by torch and the reference, exact results, bounds,
judgement, report) over that of the bare loops on the same cases. With ``--sample N`` the whole
matrix is still generated twice to choose from, so that the ratio is of the whole matrix only.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from benchmarks import whole
from benchmarks.page_tables import mebibytes, milliseconds, table
from benchmarks.script import Figure, Script

TARGET = 2.0
EVERYTHING, INPUTS = "everything", "making the inputs"
TORCH, REFERENCE = "bare loop of torch's module", "bare loop of the reference"


def loop(name: str, cases: str, sample: int) -> float:
    """Return the CPU seconds of one part of the bare loops."""
    from benchmarks.bare import loops

    times = loops(case for _, case in whole.selected(cases, sample).cases())
    return {INPUTS: times.inputs, TORCH: times.torch, REFERENCE: times.reference}[name]


def show(figures: Mapping[str, Figure], cases: int) -> str:
    """Return the table and the ratios."""
    seconds = {name: figure.fastest for name, figure in figures.items()}
    bare = seconds[TORCH] + seconds[REFERENCE]
    sums = {
        "both bare loops": bare,
        "both bare loops, and making the inputs": bare + seconds[INPUTS],
    }
    rows = [
        [f"{name[0].upper()}{name[1:]}", f"{time:.2f}", milliseconds(time / cases)]
        for name, time in (seconds | sums).items()
    ]
    ratios = [f"**{seconds[EVERYTHING] / time:.2f}** over {name}" for name, time in sums.items()]
    return "\n\n".join(
        (
            table([f"{cases:,} cases, one process", "CPU s", "ms a case"], rows),
            f"Everything is {', '.join(ratios)}; the target is {TARGET:g} or less.",
            f"Peak memory of the process: {mebibytes(figures[EVERYTHING].memory)} MiB.",
        )
    )


def main() -> None:
    """Measure and print."""
    script = Script("overhead", whole.TINY, processes=5, cases=whole.CASES, sample=0)
    of = {"cases": script.options.cases, "sample": script.options.sample}
    script.measure(EVERYTHING, partial(whole.run, **of))
    for name in (TORCH, REFERENCE, INPUTS):
        script.measure(name, partial(loop, name, **of))
    script.finish(lambda figures: show(figures, whole.counts(**of)[0]))


if __name__ == "__main__":
    main()
