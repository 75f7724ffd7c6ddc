"""A case told step by step: what each implementation computed beside the exact result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from harness.case.model import Backward, Case
from harness.case.writer import to_yaml
from harness.compare.judged import Assessed, Judged
from harness.explanation.arithmetic import CHANNELS, Worked
from harness.explanation.blocks import Block, Heading, Lines, Plot, Table, Words, printed, short
from harness.oracle import ulps
from harness.trace import RESULTS, STATE, Array, Raised, Trace, same_bits

ROWS = 20
"""Repetitions that are shown before some are left out."""


@dataclass(frozen=True)
class Told:
    """What one implementation did with a case.

    Attributes
    ----------
    name : str
    trace : Trace
    assessed : sequence of Assessed
    """

    name: str
    trace: Trace
    assessed: Sequence[Assessed]


def story(case: Case, told: Sequence[Told]) -> Iterator[Block]:
    """Yield what there is to say of a case.

    Parameters
    ----------
    case : Case
    told : sequence of Told
        The baseline first.
    """
    yield Heading(1, case.id)
    yield Words(case.why)
    if case.source:
        yield Words(f"Source: {case.source}")
    yield Lines(tuple(to_yaml([case]).splitlines()))
    yield from _constructed(told)
    for index, group in groupby(told[0].assessed, key=lambda each: each.asked.index):
        repetitions = len(list(group))
        yield from _step(case, index, repetitions, told)


def _constructed(told: Sequence[Told]) -> Iterator[Block]:
    for each in told:
        if each.trace.unsupported is not None:
            yield Words(f"{each.name} does not support the module: {each.trace.unsupported}")
        elif each.trace.raised is not None:
            yield Words(f"{each.name}: the constructor raises {each.trace.raised}")


def _step(case: Case, index: int, repetitions: int, told: Sequence[Told]) -> Iterator[Block]:
    step = case.steps[index]
    times = f", {repetitions} times" if repetitions > 1 else ""
    yield Heading(2, f"Step {index + 1}: {step.kind}{times}")
    done = [(each.name, [at for at in each.assessed if at.asked.index == index]) for each in told]
    first = [(name, at[0]) for name, at in done if at]
    for name, at in done:
        if not at:
            yield Words(f"{name} did not come to this step.")
    for name, assessed in first:
        if assessed.done.raised is not None:
            yield Words(f"{name} raises {_shown(assessed.done.raised)}")
        if assessed.done.unsupported is not None:
            yield Words(f"{name} does not support it: {assessed.done.unsupported}")
    if step.forward is not None:
        yield from _forward(first)
    elif isinstance(step, Backward):
        yield from _later(step.backward.of, first)
    else:
        yield _state(first)
    if repetitions > 1:
        yield from _repeated(done)


def _shown(raised: Raised) -> str:
    return f"{raised.type} in {raised.phase}: {raised.message}"


def _state(first: Sequence[tuple[str, Assessed]]) -> Block:
    rows = [
        (name, *(_brief(assessed.done.state.get(name)) for _, assessed in first)) for name in STATE
    ]
    return Table(("state after", *(name for name, _ in first)), tuple(rows))


def _brief(array: Array | None) -> str:
    return "None" if array is None else " ".join(printed(array).split())


def _forward(first: Sequence[tuple[str, Assessed]]) -> Iterator[Block]:
    name, baseline = first[0]
    if baseline.question is None:
        return
    worked = Worked(baseline.question.step, baseline.asked)
    given = worked.step.input
    yield Words(
        f"Input: {given.dtype.name}, shape {given.shape}, {worked.step.count} values a channel."
    )
    yield Lines(tuple(printed(given).splitlines()))
    yield from _statistics(worked)
    target = first[-1][1]
    if given.size and "output" in baseline.judged:
        output = baseline.judged["output"].array
        yield Words(f"Output of {name}:")
        yield Lines(tuple(printed(output).splitlines()))
        at = _worst(target.judged.get("output"), given.shape)
        yield Words("One element, worked in real numbers:")
        yield Lines(tuple(worked.output(at)))
        if worked.step.grad_output is not None:
            yield from _gradients(worked, target)
    yield from _beside(first)


def _later(of: int, first: Sequence[tuple[str, Assessed]]) -> Iterator[Block]:
    """Yield the gradients that a step takes of an earlier one."""
    baseline, target = first[0][1], first[-1][1]
    if baseline.question is None:
        return
    worked = Worked(baseline.question.step, baseline.asked)
    yield Words(f"The gradients of step {of}, by the state that it started from.")
    if worked.step.input.size and worked.step.grad_output is not None:
        yield from _gradients(worked, target)
    yield from _beside(first)


def _gradients(worked: Worked, target: Assessed) -> Iterator[Block]:
    at = _worst(target.judged.get("grad_input"), worked.step.input.shape)
    yield Words("Gradients, with g the gradient of the output and x̂ = (x − μ) / √(σ² + ε):")
    yield Lines(tuple(worked.backward(at)))
    if target.question is not None and target.question.seeds:
        yield Words(
            "The gradients are differentiated: double_grad_input, double_grad_weight and "
            "double_grad_grad_output are those of L = "
            f"{' + '.join(f'Σ gg_{name[5:]}·{name}' for name in target.question.seeds)} "
            "(docs/tolerances.md, Double backward)."
        )


def _worst(judged: Judged | None, shape: tuple[int, ...]) -> tuple[int, ...]:
    return judged.worst_index if judged is not None else (0,) * len(shape)


def _statistics(worked: Worked) -> Iterator[Block]:
    step = worked.step
    more = step.channels - CHANNELS
    if step.batch_statistics:
        yield Words("Normalised with the batch's own mean μ and biased variance σ².")
        yield Table(
            ("channel", "mean", "biased variance", "unbiased variance"),
            tuple((str(c), *map(short, rest)) for c, *rest in worked.statistics()),
        )
        if more > 0:
            yield Words(f"... and {more} more channels")
        yield Words(worked.factor())
        if step.channels and step.updates:
            lines = [line for c in range(min(2, step.channels)) for line in worked.update(c)]
            yield Lines(tuple(lines))
        return
    yield Words("Normalised with the running statistics: μ = running_mean, σ² = running_var.")
    rows = [(str(c), short(mean), short(variance)) for c, mean, variance, _ in worked.statistics()]
    yield Table(("channel", "running_mean", "running_var"), tuple(rows))


def _beside(first: Sequence[tuple[str, Assessed]]) -> Iterator[Block]:
    """Yield each quantity's worst element, of all implementations and exact."""
    *_, (_, last) = first
    names = [name for name, _ in first]
    rows, exact = [], []
    for quantity in (*RESULTS, *STATE):
        judged = last.judged.get(quantity)
        if judged is None or not judged.array.size:
            continue
        index = judged.worst_index
        each = [assessed.judged.get(quantity) for _, assessed in first]
        exact.append(tuple(_exact(one, index) for one in each))
        rows.append(
            (
                (f"{quantity}{list(index)}", *(_value(one, index) for one in each)),
                (*(_ulp(one, index) for one in each), _of_bound(judged, index)),
            )
        )
    if not rows:
        return
    together = all(len({*values} - {"none"}) == 1 for values in exact)
    if not together:
        yield Words(
            "What they start from differs, and each is held to what is exact from there; "
            f"the arithmetic is {names[0]}'s."
        )
    heads = ("exact",) if together else tuple(f"exact for {name}" for name in names)
    yield Table(
        ("worst element", *names, *heads, *(f"ulp {name}" for name in names), "error/bound"),
        tuple(
            (*front, *values[-len(heads) :], *back)
            for (front, back), values in zip(rows, exact, strict=True)
        ),
    )


def _value(judged: Judged | None, index: tuple[int, ...]) -> str:
    return "none" if judged is None else str(judged.array[index])


def _exact(judged: Judged | None, index: tuple[int, ...]) -> str:
    return "none" if judged is None else repr(float(judged.expected.values[index]))


def _ulp(judged: Judged | None, index: tuple[int, ...]) -> str:
    return "" if judged is None else f"{ulps(judged.array, judged.expected)[index]:.3g}"


def _of_bound(judged: Judged, index: tuple[int, ...]) -> str:
    unjudged = judged.expected.unjudged
    if unjudged is not None and unjudged[index]:
        return "no bound"
    return f"{judged.figures.ratio:.3g}"


def _repeated(done: Sequence[tuple[str, list[Assessed]]]) -> Iterator[Block]:
    name, repeated = done[0]
    yield Heading(3, f"The {len(repeated)} repetitions, by {name}")
    states = [repeated[0].before, *(each.done.state for each in repeated)]
    means = [state.get("running_mean") for state in states]
    variances = [state.get("running_var") for state in states]
    outputs = [each.done.results.get("output") for each in repeated]
    if all(_same(output, outputs[0]) for output in outputs):
        yield Words("Each repetition gives the same output, bit for bit.")
    rows = [
        (str(number), _brief(means[number]), _brief(variances[number]))
        for number in _chosen(len(states))
    ]
    if any(mean is not None for mean in means):
        yield Table(("after", "running_mean", "running_var"), tuple(rows))
        curves = {**_curves("running_mean", means), **_curves("running_var", variances)}
        if curves:
            yield Plot("Running statistics over the repetitions", curves)
    if any(len(at) > 1 for _, at in done[1:]):
        yield Words(f"After the last repetition, {done[-1][0]} beside {name}:")
        yield from _beside([(each, at[-1]) for each, at in done if at])


def _curves(name: str, arrays: Sequence[Array | None]) -> dict[str, list[float]]:
    there = [array for array in arrays if array is not None and array.ndim == 1]
    if len(there) < len(arrays):
        return {}
    return {
        f"{name}[{channel}]": [float(array[channel]) for array in there]
        for channel in range(min(3, there[0].size))
    }


def _same(one: Array | None, other: Array | None) -> bool:
    return one is not None and other is not None and same_bits(one, other)


def _chosen(count: int) -> list[int]:
    """Return which of many rows are shown: the first, some on the way, the last."""
    if count <= 2 * ROWS:
        return list(range(count))
    rest = np.linspace(ROWS, count - 1, ROWS // 2).astype(int)
    return [*range(ROWS), *dict.fromkeys(int(each) for each in rest)]
