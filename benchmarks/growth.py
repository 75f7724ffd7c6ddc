"""How the time and memory of judging a case grow with its elements and its channels.

    python -m benchmarks.growth

One train step with gradients in float32, executed by torch and the reference and judged: with more
elements in one channel, and with more channels of a hundred elements. With more cases: `scale.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from benchmarks.page_tables import mebibytes, milliseconds, table
from benchmarks.script import Figure, Script, cpu
from harness.case.model import Case
from harness.case.suite import Entry
from harness.plan import Plan
from harness.report.collect import Origin
from harness.worker import Task, Worker

SAMPLES = 4
"""N of every input."""

POSITIONS = 25
"""H·W where the channels grow: a hundred elements in each."""


def task(channels: int, positions: int) -> Task:
    """Return a case of shape (4, channels, 1, positions)."""
    shape = [SAMPLES, channels, 1, positions]
    step = {"input": {"shape": shape, "fill": "normal"}, "grad_output": {"fill": "normal"}}
    case = Case.model_validate(
        {
            "id": "growth",
            "why": "How costs grow.",
            "module": {"num_features": channels},
            "steps": [{"train": step}],
        }
    )
    return Origin.of(Entry(case, "growth", 1)), case


def judged(channels: int, positions: int, least: int) -> float:
    """Return the CPU seconds of judging one case, repeated until `least` elements are judged."""
    import torch

    torch.set_num_threads(1)
    worker = Worker(Plan(("reference",)))
    worker.run([task(1, POSITIONS)])  # imports what is imported late
    times = max(1, least // (SAMPLES * channels * positions))
    tasks = [task(channels, positions)] * times
    start = cpu()
    worker.run(tasks)
    return (cpu() - start) / times


def shapes(largest: int) -> Iterator[tuple[str, int, int]]:
    """Yield name, channels and positions of each benchmark, up to `largest` elements."""
    elements = 100
    while elements <= largest:
        yield f"{elements:,} elements in 1 channel", 1, elements // SAMPLES
        elements *= 10
    channels = 10
    while channels * SAMPLES * POSITIONS <= largest:
        yield f"100 elements in {channels:,} channels", channels, POSITIONS
        channels *= 10


def show(figures: Mapping[str, Figure], largest: int) -> str:
    """Return the table."""
    rows = []
    for name, channels, positions in shapes(largest):
        figure, elements = figures[name], SAMPLES * channels * positions
        nanoseconds = f"{1e9 * figure.fastest / elements:,.0f}"
        rows.append([name, milliseconds(figure.fastest), nanoseconds, mebibytes(figure.memory)])
    return table(["A case of", "CPU ms", "ns an element", "peak MiB of the process"], rows)


def main() -> None:
    """Measure and print."""
    tiny: dict[str, str | int] = {"largest": 1000, "least": 1}
    script = Script("growth", tiny, processes=1, values=2, largest=10_000_000, least=100_000)
    largest, least = script.options.largest, script.options.least
    for name, channels, positions in shapes(largest):
        script.measure(name, partial(judged, channels, positions, least))
    script.finish(lambda figures: show(figures, largest))


if __name__ == "__main__":
    main()
