"""The reference in NumPy beside torch's kernels, on one batch of an ordinary network.

    python -m benchmarks.reference

Float32 in train mode, each on one thread and with results in new memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from typing import Any

import numpy as np

from benchmarks.page_tables import milliseconds, table
from benchmarks.script import Figure, Script, cpu

SHAPE = (32, 64, 56, 56)
TARGETS = {"forward": 1.5, "backward": 2.5}
"""The most that the reference may take, in times of torch."""


@cache
def batch(samples: int) -> tuple[Any, Any]:
    """Return input and grad_output, float32 of `SHAPE` with this many samples."""
    numbers = np.random.default_rng(0)
    shape = (samples, *SHAPE[1:])
    return (
        numbers.standard_normal(shape, dtype=np.float32),
        numbers.standard_normal(shape, dtype=np.float32),
    )


@cache
def modules() -> tuple[Any, Any]:
    """Return torch's module and the reference's."""
    import torch

    from harness.reference import BatchNorm2d

    torch.set_num_threads(1)
    return torch.nn.BatchNorm2d(SHAPE[1]), BatchNorm2d(SHAPE[1])


def by_torch(part: str, samples: int) -> float:
    """Return the CPU seconds of a forward pass of torch, or of its backward pass."""
    import torch

    module, _ = modules()
    given, grad = (torch.from_numpy(array) for array in batch(samples))
    given.requires_grad_()
    start = cpu()
    output = module(given)
    if part == "forward":
        return cpu() - start
    start = cpu()
    torch.autograd.grad(output, [given, module.weight, module.bias], grad)
    return cpu() - start


def by_reference(part: str, samples: int) -> float:
    """Return the CPU seconds of a forward pass of the reference, or of its backward pass."""
    _, module = modules()
    given, grad = batch(samples)
    start = cpu()
    module(given)
    if part == "forward":
        return cpu() - start
    start = cpu()
    module.backward(grad)
    return cpu() - start


def show(figures: Mapping[str, Figure]) -> str:
    """Return the table."""
    rows = []
    for part, target in TARGETS.items():
        torch, ours = (figures[f"{who}, {part}"].fastest for who in ("torch", "reference"))
        ratio = f"**{ours / torch:.2f}**"
        rows.append([part, milliseconds(torch), milliseconds(ours), ratio, f"{target:g}"])
    return table(["Pass", "torch, CPU ms", "reference, CPU ms", "ratio", "target"], rows)


def main() -> None:
    """Measure and print."""
    script = Script(
        "reference", {"samples": 1}, processes=3, values=20, warmups=3, samples=SHAPE[0]
    )
    for part in TARGETS:
        for name, measured in (("torch", by_torch), ("reference", by_reference)):
            script.measure(f"{name}, {part}", partial(measured, part, script.options.samples))
    script.finish(show)


if __name__ == "__main__":
    main()
