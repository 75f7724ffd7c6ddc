"""Judged inputs a second: the harness beside PyTorch's own ModuleInfo tests.

    python -m benchmarks.pytorch_tests

An input is a tensor that a module is given in a test of its own, or in a step of a case. The
harness executes it twice, by torch and by the reference, and judges output, gradients, running
statistics and counter against bounds; a ModuleInfo test compares torch with itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from benchmarks import whole
from benchmarks.page_tables import table
from benchmarks.script import Figure, Script, cpu

TARGET = 5.0
HARNESS = "the harness, whole run"
TESTS = {
    "test_forward": "nothing: BatchNorm2d has no reference there",
    "test_non_contiguous_tensors": "torch with torch",
    "test_memory_format": "torch with torch",
}
"""What PyTorch's tests compare numbers with."""


def harness(cases: str, sample: int) -> float:
    """Return the CPU seconds of judging one input."""
    seconds = whole.run(cases, sample)
    return seconds / whole.counts(cases, sample)[1]


def pytorch(test: str, repetitions: int) -> float:
    """Return the CPU seconds of one input of PyTorch's test."""
    import torch

    from benchmarks.module_info import run

    torch.set_num_threads(1)
    run(test, 1)
    start = cpu()
    drawn = run(test, repetitions)
    return (cpu() - start) / drawn


def show(figures: Mapping[str, Figure]) -> str:
    """Return the table and the ratios."""
    ours = figures[HARNESS].fastest
    rows = [
        [
            name,
            TESTS.get(name, "two implementations with the exact result"),
            f"{1e3 * figure.fastest:.2f}",
            f"{1 / figure.fastest:,.0f}",
        ]
        for name, figure in figures.items()
    ]
    together = sum(figures[name].fastest for name in TESTS)
    apart = min(figures[name].fastest for name in list(TESTS)[1:])
    return "\n\n".join(
        (
            table(["", "compares", "CPU ms an input", "inputs a second"], rows),
            f"The harness judges **{together / ours:.1f}** times as many inputs a second as the "
            f"three tests together, **{apart / ours:.1f}** times as many as the fastest that "
            f"compares numbers; the target is {TARGET:g}.",
        )
    )


def main() -> None:
    """Measure and print."""
    tiny = {**whole.TINY, "repetitions": 1}
    script = Script("pytorch_tests", tiny, processes=2, cases=whole.CASES, sample=0, repetitions=20)
    of = {"cases": script.options.cases, "sample": script.options.sample}
    script.measure(HARNESS, partial(harness, **of))
    for test in TESTS:
        script.measure(test, partial(pytorch, test, script.options.repetitions))
    script.finish(show)


if __name__ == "__main__":
    main()
