"""Count the false alarms of the oracle's bounds on correct implementations.

    python benchmarks/false_alarms.py --cases 100000 --seed 2

Random steps on unpleasant data go through torch on the CPU (contiguous and channels_last, 1 and 2
threads) and through NumPy (two passes, and a tree of Welford merges). All are correct and sum in
some order, so that every error beyond the bound of the class "any-order" is a false alarm.
The first table gives error/bound by types and quantity; `unjudged` and `vacuous` (a bound above a
tenth of the value) are shares of the elements. The second counts, by implementation, the tensors
beyond the bound of each class: beyond "wide" and "tree" is no false alarm, but says what the
implementation's sums are worth. A line follows for each false alarm, with the case that `--only`
repeats. Exit code 1 if any.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

import ml_dtypes
import numpy as np
import torch
from numpy.typing import NDArray

from harness.dtypes import dtype, precision
from harness.oracle import (
    ACCURACIES,
    Declared,
    Expected,
    Quantity,
    Step,
    exact,
    ratios,
    rows,
    unrows,
)

Array = NDArray[Any]
Values = dict[Quantity, Array]
Moments = Callable[[Array], tuple[Array, Array]]

TYPES = {  # input, parameters and statistics
    "float32": ("float32", "float32"),
    "float64": ("float64", "float64"),
    "bfloat16+float32": ("bfloat16", "float32"),
    "float16+float32": ("float16", "float32"),
    "bfloat16": ("bfloat16", "bfloat16"),
    "float16": ("float16", "float16"),
}
SHAPES = (
    *((2, 3, 1, 1), (9, 3, 1, 1), (1, 2, 1, 3), (2, 2, 2, 2), (5, 3, 3, 3), (4, 2, 5, 5)),
    *((2, 5, 7, 9), (3, 4, 16, 16), (16, 2, 4, 4), (1, 3, 32, 33), (4, 2, 32, 32)),
)
RARE_SHAPE, RARE = (4, 1, 128, 129), 0.004
PROPORTIONAL, AFFINE = 0.1, 0.85
CHUNK = 50
DECADES, BINS = (-12, 2), 100
"""Range of the histograms of log10(error/bound), and bins in a decade."""


def fill(rng: np.random.Generator, shape: tuple[int, ...], unit: float) -> Array:
    """Draw values: each recipe is one that some algorithm dislikes."""
    z = rng.standard_normal(shape)
    count = z.size
    offset = 10.0 ** rng.uniform(0, 4) * rng.choice([-1, 1])
    recipes: dict[str, Callable[[], Array]] = {
        "normal": lambda: z,
        "uniform": lambda: rng.uniform(0, 1, shape),
        "offset": lambda: z + offset,
        "few ulps": lambda: offset * (1 + 2 * unit * rng.integers(-3, 4, shape)),
        "constant": lambda: np.full(shape, offset),
        "two-valued": lambda: np.where(z > rng.uniform(-2, 2), offset, -0.3 * offset),
        "small integers": lambda: rng.integers(-4, 5, shape).astype(float),
        "relu": lambda: np.maximum(z, 0),
        "outlier": lambda: np.where(rng.random(shape) < 1.5 / count, offset * 100, z),
        "log-normal": lambda: np.exp(3 * z),
        "alternating": lambda: np.resize([offset, -offset], count).reshape(shape) + 1e-3 * z,
        "ramp": lambda: np.linspace(-1, offset, count).reshape(shape),
        "sorted": lambda: np.sort(z, axis=None).reshape(shape),
        "subnormal": lambda: z * 1e-40,
        "tiny": lambda: z * 1e-20,
        "large": lambda: z * 1e15,
        "huge": lambda: z * 1e19,
        "near eps": lambda: z * 10.0 ** rng.uniform(-4, -1),
        "scaled": lambda: z * 10.0 ** rng.uniform(-8, 8),
        "zero": lambda: np.zeros(shape),
    }
    return recipes[str(rng.choice(list(recipes)))]()


def draw(rng: np.random.Generator, kind: str) -> Step:
    """Draw a step with inputs of the types `kind`."""
    input_type, parameter_type = map(dtype, TYPES[kind])
    unit, largest = precision(input_type.name).unit, precision(input_type.name).max
    shape = RARE_SHAPE if rng.random() < RARE else SHAPES[rng.integers(len(SHAPES))]
    channels = shape[1]
    mode = rng.choice(["train", "eval", "eval without buffers"], p=[0.65, 0.25, 0.1])

    def parameters(values: Array) -> Array:
        return values.astype(parameter_type)

    with np.errstate(over="ignore", under="ignore"):
        x = np.stack([fill(rng, (shape[0], *shape[2:]), unit) for _ in range(channels)], axis=1)
        x = np.clip(x, -largest, largest)
        g = np.stack([fill(rng, (shape[0], *shape[2:]), unit) for _ in range(channels)], axis=1)
        g = np.clip(g, -6e4, 6e4)
        if rng.random() < PROPORTIONAL:
            g = (x - x.mean(axis=(0, 2, 3), keepdims=True)) / (x.std() + 1e-30)
        affine = rng.random() < AFFINE
        scale = 10.0 ** rng.uniform(-2, 2)
        mean = scale * rng.standard_normal(channels)
        var = scale**2 * rng.chisquare(2, channels) + 1e-6
        return Step(
            input=x.astype(input_type),
            eps=float(rng.choice([1e-5, 1e-3, 1e-12, 0.37])),
            batch_statistics=mode != "eval",
            weight=parameters(scale * rng.standard_normal(channels)) if affine else None,
            bias=parameters(rng.standard_normal(channels) / scale) if affine else None,
            running_mean=parameters(mean) if mode != "eval without buffers" else None,
            running_var=parameters(var) if mode != "eval without buffers" else None,
            factor=float(rng.choice([0.1, 0.37, 1.0, 1 / 3, 0.0])) if mode == "train" else None,
            grad_output=g.astype(input_type),
        )


def to_torch(a: Array) -> torch.Tensor:
    """Copy an array, its bits unchanged."""
    if a.dtype == ml_dtypes.bfloat16:
        return torch.tensor(a.view(np.int16)).view(torch.bfloat16)
    return torch.tensor(a)


def from_torch(t: torch.Tensor) -> Array:
    """Copy a tensor, its bits unchanged."""
    t = t.detach()
    if t.dtype == torch.bfloat16:
        return t.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return t.numpy()


def by_torch(step: Step, layout: torch.memory_format) -> Values:
    """Let torch compute the step."""
    x = to_torch(step.input).contiguous(memory_format=layout).requires_grad_()
    given = [None if a is None else to_torch(a) for a in (step.weight, step.bias)]
    weight, bias = (None if a is None else a.requires_grad_() for a in given)
    mean = None if step.running_mean is None else to_torch(step.running_mean)
    var = None if step.running_var is None else to_torch(step.running_var)
    momentum = step.factor if isinstance(step.factor, float) else 0.0
    y = torch.nn.functional.batch_norm(
        x, mean, var, weight, bias, step.batch_statistics, momentum, float(step.eps)
    )
    assert step.grad_output is not None  # noqa: S101  every drawn step has one
    grad_output = to_torch(step.grad_output).contiguous(memory_format=layout)
    torch.autograd.backward([y], [grad_output])
    tensors = {
        "output": y,
        "running_mean": mean if step.updates else None,
        "running_var": var if step.updates else None,
        "grad_input": x.grad,
        "grad_weight": weight.grad if weight is not None else None,
        "grad_bias": bias.grad if bias is not None else None,
    }
    return {q: from_torch(t) for q, t in tensors.items() if t is not None}  # type: ignore[misc]


def two_passes(x: Array) -> tuple[Array, Array]:
    """Mean and variance as NumPy's own sums give them."""
    n = x.dtype.type(x.shape[1])
    m = x.sum(axis=1, keepdims=True) / n
    return m, ((x - m) ** 2).sum(axis=1, keepdims=True) / n


def welford_tree(x: Array) -> tuple[Array, Array]:
    """Mean and variance by merging halves (Chan, Golub & LeVeque 1983, equation 2.1)."""
    kind = x.dtype.type
    count, mean, square = np.ones_like(x[:1]), x, np.zeros_like(x)
    while mean.shape[1] > 1:
        k = mean.shape[1] // 2
        a, b = slice(0, k), slice(k, 2 * k)
        both = count[:, a] + count[:, b]
        delta = mean[:, b] - mean[:, a]
        merged = (
            both,
            mean[:, a] + delta * (count[:, b] / both),
            square[:, a] + square[:, b] + delta * delta * (count[:, a] * count[:, b] / both),
        )
        count, mean, square = (
            np.concatenate([new, old[:, 2 * k :]], axis=1)
            for new, old in zip(merged, (count, mean, square), strict=True)
        )
    return mean, square / kind(x.shape[1])


def by_numpy(step: Step, moments: Moments, *, folded: bool) -> Values:
    """Compute the step in the arithmetic of a sound kernel: float64 for float64, else float32."""
    kind = np.float64 if step.input.dtype == np.float64 else np.float32

    def column(a: Array | None, default: float) -> Array:
        return np.full((1, 1), default, kind) if a is None else a.astype(kind)[:, None]

    x, n = rows(step.input).astype(kind), step.count
    w, b = column(step.weight, 1), column(step.bias, 0)
    values: Values = {}
    if step.batch_statistics:
        m, v = moments(x)
    else:
        m, v = column(step.running_mean, 0), column(step.running_var, 1)
    if step.updates:
        mu = kind(step.factor)
        unbiased = v * kind(n / (n - 1))
        updates: dict[Quantity, Array] = {"running_mean": m, "running_var": unbiased}
        for name, batch in updates.items():
            old = getattr(step, name)
            new = (kind(1) - mu) * old.astype(kind)[:, None] + mu * batch
            values[name] = new[:, 0].astype(old.dtype)
    r = kind(1) / np.sqrt(v + kind(step.eps))
    a = r * w
    y = x * a + (b - m * a) if folded else (x - m) * r * w + b
    assert step.grad_output is not None  # noqa: S101  every drawn step has one
    g = rows(step.grad_output).astype(kind)
    hat = (x - m) * r
    grad_bias, grad_weight = (t.sum(axis=1, keepdims=True) for t in (g, g * hat))
    if step.batch_statistics:
        gx = a * (g - grad_bias / kind(n) - hat * (grad_weight / kind(n)))
    else:
        gx = a * g
    values["output"] = unrows(y.astype(step.input.dtype), step.input.shape)
    values["grad_input"] = unrows(gx.astype(step.input.dtype), step.input.shape)
    if step.weight is not None:
        values["grad_weight"] = grad_weight[:, 0].astype(step.weight.dtype)
        values["grad_bias"] = grad_bias[:, 0].astype(step.weight.dtype)
    return values


def implementations(step: Step, index: int) -> dict[str, Values]:
    """Compute the step by every implementation."""
    with np.errstate(all="ignore"):
        return {
            "torch contiguous": by_torch(step, torch.contiguous_format),
            "torch channels_last": by_torch(step, torch.channels_last),
            "NumPy two passes": by_numpy(step, two_passes, folded=index % 2 == 0),
            "NumPy Welford tree": by_numpy(step, welford_tree, folded=index % 2 == 1),
        }


def declaration(step: Step, implementation: str) -> Declared | None:
    """Return what torch does less accurately: with 16-bit parameters, or none, all is 16-bit."""
    kept = step.parameter_dtype.name
    if implementation.startswith("torch") and kept in ("bfloat16", "float16"):
        reason = "torch computes what it has one of for each channel in the parameters' type"
        return Declared(reason, statistics=kept, parameter_gradients=kept)
    return None


@dataclass
class Tally:
    """Distribution of error/bound for one row of the table."""

    histogram: Array = field(
        default_factory=lambda: np.zeros((DECADES[1] - DECADES[0]) * BINS + 1, np.int64)
    )
    worst: float = 0.0
    elements: int = 0
    unjudged: int = 0
    vacuous: int = 0

    def add(self, ratio: Array, unjudged: int, vacuous: int) -> None:
        """Count the elements of one quantity of one case."""
        low, high = DECADES
        with np.errstate(over="ignore"):
            clipped = np.clip(ratio.ravel().astype(np.float32), 10.0**low, 10.0**high)
        places = ((np.log10(clipped) - low) * BINS).astype(np.int64)
        self.histogram += np.bincount(places, minlength=len(self.histogram))
        self.worst = max(self.worst, float(ratio.max(initial=0.0)))
        self.elements += ratio.size
        self.unjudged += unjudged
        self.vacuous += vacuous

    def merge(self, other: Tally) -> None:
        """Add the counts of another chunk."""
        self.histogram += other.histogram
        self.worst = max(self.worst, other.worst)
        self.elements += other.elements
        self.unjudged += other.unjudged
        self.vacuous += other.vacuous

    def quantile(self, share: float) -> float:
        """Return the upper edge of the bin that holds this share of the elements."""
        place = int(np.searchsorted(np.cumsum(self.histogram), share * self.elements))
        return float(min(10 ** (DECADES[0] + (place + 1) / BINS), max(self.worst, 1e-12)))


Tallies = dict[tuple[str, str, str], Tally]
Counts = dict[tuple[str, str], Counter[str]]


def examine(seed: int, first: int, last: int, threads: int) -> tuple[Tallies, Counts, list[str]]:
    """Judge the cases `first` to `last`."""
    torch.set_num_threads(threads)
    tallies: Tallies = defaultdict(Tally)
    counts: Counts = defaultdict(Counter)
    alarms = []
    kinds = list(TYPES)
    for index in range(first, last):
        kind = kinds[index % len(kinds)]
        step = draw(np.random.default_rng([seed, index]), kind)
        mode = "train" if step.batch_statistics else "eval"
        results = exact(step)
        expectations: dict[tuple[Quantity, str, Declared | None], Expected] = {}
        for name, values in implementations(step, index // len(kinds)).items():
            declared = declaration(step, name)
            count = counts[name, kind]
            for quantity, actual in values.items():
                count["tensors"] += 1
                beyond = True
                for accuracy in ACCURACIES:
                    if not beyond and accuracy != "any-order":
                        continue
                    key = (quantity, accuracy, declared)
                    if key not in expectations:
                        expectations[key] = results.expected(*key)
                    expected = expectations[key]
                    ratio = ratios(actual, expected)
                    beyond = not ratio.max(initial=0.0) <= 1
                    count[accuracy] += beyond
                unjudged = 0 if expected.unjudged is None else int(expected.unjudged.sum())
                vacuous = int(expected.vacuous.sum())
                tallies[kind, mode, quantity].add(ratio, unjudged, vacuous)
                if not ratio.max(initial=0.0) <= 1:
                    worst = np.unravel_index(int(ratio.argmax()), ratio.shape)
                    alarms.append(
                        f"case {index} {kind} {mode} {name} {quantity}{list(map(int, worst))}: "
                        f"error/bound {ratio[worst]:.3g}, got {actual[worst]}, "
                        f"exact {expected.values[worst]:.9g} ± {expected.bound[worst]:.3g}"
                    )
    return dict(tallies), dict(counts), alarms


def table(tallies: Tallies) -> str:
    """Format the distributions."""
    head = f"{'types':<17} {'step':<6} {'quantity':<13} {'median':>8} {'99.9 %':>8} {'max':>8}"
    lines = [head + f" {'elements':>12} {'unjudged':>9} {'vacuous':>8}"]
    for (kind, mode, quantity), t in sorted(tallies.items()):
        lines.append(
            f"{kind:<17} {mode:<6} {quantity:<13} {t.quantile(0.5):8.1e} {t.quantile(0.999):8.3f} "
            f"{t.worst:8.3f} {t.elements:12d} {t.unjudged / t.elements:9.2%} "
            f"{t.vacuous / t.elements:8.2%}"
        )
    return "\n".join(lines)


def classes(counts: Counts) -> str:
    """Format how many tensors are beyond each class."""
    lines = [f"{'implementation':<20} {'types':<17} {'tensors':>8}"]
    lines[0] += "".join(f" {'beyond ' + name:>16}" for name in ACCURACIES)
    for (implementation, kind), count in sorted(counts.items()):
        line = f"{implementation:<20} {kind:<17} {count['tensors']:8d}"
        lines.append(line + "".join(f" {count[name]:16d}" for name in ACCURACIES))
    return "\n".join(lines)


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="Count false alarms of the error bounds.")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="worker processes")
    parser.add_argument("--only", type=int, help="examine just this case")
    args = parser.parse_args()
    first = args.only if args.only is not None else 0
    last = first + 1 if args.only is not None else args.cases
    # Two threads that spin while they wait for each other are a hundred times slower on two cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    start = time.perf_counter()
    tallies: Tallies = defaultdict(Tally)
    counts: Counts = defaultdict(Counter)
    alarms: list[str] = []
    with ProcessPoolExecutor(args.jobs, mp_context=get_context("spawn")) as pool:
        chunks = [
            pool.submit(examine, args.seed, i, min(i + CHUNK, last), 1 + (i // CHUNK) % 2)
            for i in range(first, last, CHUNK)
        ]
        for chunk in chunks:
            part, counted, raised = chunk.result()
            alarms += raised
            for key, tally in part.items():
                tallies[key].merge(tally)
            for place, count in counted.items():
                counts[place].update(count)
    seconds = time.perf_counter() - start
    sys.stdout.write(f"{table(tallies)}\n\n{classes(counts)}\n\n")
    sys.stdout.write(f"{last - first} cases, {len(alarms)} false alarms, {seconds:.0f} s\n")
    sys.stdout.write("".join(f"{alarm}\n" for alarm in alarms[:40]))
    return 1 if alarms else 0


if __name__ == "__main__":
    sys.exit(main())
