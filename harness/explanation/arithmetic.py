"""One step of batch normalisation with its arithmetic written out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from harness.compare.follow import Asked
from harness.explanation.blocks import bracketed, short
from harness.oracle import Step
from harness.oracle.arithmetic import narrow
from harness.oracle.exact import Forward, Gradients, forward, gradients
from harness.trace import Array

CHANNELS = 8
"""Most channels whose statistics are shown."""


@dataclass(frozen=True, eq=False)
class Worked:
    """A step's exact numbers, from an implementation's own state before it.

    Attributes
    ----------
    step : Step
    asked : Asked
    """

    step: Step
    asked: Asked

    @cached_property
    def forward(self) -> Forward:
        """The exact forward pass."""
        with np.errstate(all="ignore"):
            return forward(self.step)

    @cached_property
    def gradients(self) -> Gradients:
        """The exact backward pass."""
        with np.errstate(all="ignore"):
            return gradients(self.step, self.forward)

    def statistics(self) -> Iterator[tuple[int, float, float, float]]:
        """Yield channel, mean, and biased and unbiased variance of the batch."""
        n = self.forward.n
        mean, variance = narrow(self.forward.m)[:, 0], narrow(self.forward.v)[:, 0]
        for channel in range(min(self.step.channels, CHANNELS)):
            biased = float(variance[channel])
            unbiased = biased * n / (n - 1) if n > 1 else np.nan
            yield channel, float(mean[channel]), biased, unbiased

    def update(self, channel: int) -> Iterator[str]:
        """Yield how the running statistics of a channel move."""
        step = self.step
        if not step.updates:
            return
        factor, n = float(np.asarray(step.factor)), self.forward.n
        _, mean, biased, _ = list(self.statistics())[channel]
        variance = f"{bracketed(biased)} · {n}/{n - 1}"
        keep = f"(1 − {bracketed(factor)})"
        for name, new, old, batch in (
            ("running_mean", self.forward.running_mean, step.running_mean, bracketed(mean)),
            ("running_var", self.forward.running_var, step.running_var, variance),
        ):
            yield (
                f"{name}[{channel}] = {keep} · {bracketed(_at(old, channel))}"
                f" + {bracketed(factor)} · {batch}"
                f" = {short(_at(narrow(new)[:, 0], channel))}"
            )

    def factor(self) -> str:
        """Return where the averaging factor comes from."""
        if not self.step.updates:
            return "The running statistics are not updated."
        factor = float(np.asarray(self.step.factor))
        if self.asked.momentum is not None:
            return f"The averaging factor is momentum, {short(factor)}."
        if not factor:
            return "momentum is None and there is no counter: the averaging factor is 0."
        return (
            f"momentum is None: the averaging factor is 1 / num_batches_tracked, counted first: "
            f"1/{round(1 / factor)} = {short(factor)}."
        )

    def output(self, index: tuple[int, ...]) -> Iterator[str]:
        """Yield how one element of the output comes about."""
        channel, place = self._place(index)
        x, m, v = (narrow(part) for part in (self.forward.x, self.forward.m, self.forward.v))
        y = narrow(self.forward.y)[channel, place]
        plain = self.step.weight is None and self.step.bias is None
        yield "y = (x − μ) / √(σ² + ε) · γ + β" + (", with γ = 1 and β = 0" if plain else "")
        yield (
            f"y{list(index)} = ({short(x[channel, place])} − {bracketed(m[channel, 0])})"
            f" / √({short(v[channel, 0])} + {_exact(self.step.eps)})"
            f"{self._affine(channel)} = {short(y)}"
        )

    def _affine(self, channel: int) -> str:
        weight, bias = self.step.weight, self.step.bias
        scaled = "" if weight is None else f" · {bracketed(_at(weight, channel))}"
        return scaled + ("" if bias is None else f" + {bracketed(_at(bias, channel))}")

    def backward(self, index: tuple[int, ...]) -> Iterator[str]:
        """Yield the terms of the gradients, for one element and its channel."""
        channel, place = self._place(index)
        f, back = self.forward, self.gradients
        g, r, n = narrow(back.g)[channel, place], narrow(f.r)[channel, 0], f.n
        bias, weight = narrow(back.S)[channel, 0], narrow(back.weight)[channel, 0]
        gamma = 1.0 if self.step.weight is None else _at(self.step.weight, channel)
        normalised = narrow(f.d)[channel, place] * r
        result = short(narrow(back.input)[channel, place])
        yield f"grad_bias[{channel}] = Σg = {short(bias)}"
        yield f"grad_weight[{channel}] = Σg·x̂ = {short(weight)}"
        front = f"{bracketed(gamma)} / √(σ² + ε)"
        if not self.step.batch_statistics:
            yield "grad_input = γ / √(σ² + ε) · g; the statistics do not depend on x"
            yield f"grad_input{list(index)} = {front} · {bracketed(g)} = {result}"
            return
        yield "grad_input = γ / √(σ² + ε) · (g − Σg/n − x̂ · Σ(g·x̂)/n)"
        yield (
            f"grad_input{list(index)} = {front} · ({short(g)} − {bracketed(bias)}/{n}"
            f" − {bracketed(normalised)} · {bracketed(weight)}/{n}) = {result}"
            f", with 1 / √(σ² + ε) = {short(r)}"
        )

    def _place(self, index: tuple[int, ...]) -> tuple[int, int]:
        """Return channel and place of an element of (N, C, H, W) in rows (C, N·H·W)."""
        image, channel, row, column = index
        _, _, height, width = self.step.input.shape
        return channel, (image * height + row) * width + column


def _at(values: Array | None, channel: int) -> float:
    array = np.asarray(values)
    return float(array[channel] if array.ndim else array)


def _exact(eps: float | Array) -> str:
    return f"{float(np.asarray(eps)):g}"
