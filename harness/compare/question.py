"""What an execution asks of the mathematics, from an implementation's own state before it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from harness.compare.exactly import Exact
from harness.compare.follow import NO_SEEDS, Asked
from harness.dtypes import FLOATING, name_of
from harness.oracle import Step
from harness.semantics import TORCH, Semantics
from harness.trace import Array


@dataclass(eq=False)
class Question:
    """What an execution asks of the mathematics: the fields of `Step`, not yet checked."""

    input: Array
    eps: float
    batch_statistics: bool
    weight: Array | None
    bias: Array | None
    running_mean: Array | None
    running_var: Array | None
    factor: float | None
    grad_output: Array | None
    unbiased: bool
    seeds: Mapping[str, Array]
    """Where a double backward pass begins, by the names of gradients; empty where there is none."""

    @property
    def form(self) -> tuple[object, ...]:
        """Shapes, types and flags: executions of one form are stacked."""
        held = self.weight, self.bias, self.running_mean, self.running_var, self.grad_output
        parts: list[object] = [self.input.shape, self.input.dtype]
        parts += [self.batch_statistics, self.factor is None, self.unbiased]
        for array in held:
            parts += (None,) if array is None else (array.dtype, array.shape)
        for name, seed in self.seeds.items():
            parts += (name, seed.dtype, seed.shape)
        return tuple(parts)

    @property
    def content(self) -> tuple[object, ...]:
        """All that the results depend on, beside the form, but for the running statistics."""
        held = [self.weight, self.bias]
        if not self.batch_statistics:
            held += [self.running_mean, self.running_var]
        arrays = [None if array is None else array.tobytes() for array in held]
        seeds = [seed.tobytes() for seed in self.seeds.values()]
        return id(self.input), id(self.grad_output), self.eps, *arrays, *seeds

    @cached_property
    def step(self) -> Step:
        """The step that the oracle works on.

        Raises
        ------
        ValueError
            No result is defined.
        """
        return Step(
            self.input,
            self.eps,
            self.batch_statistics,
            self.weight,
            self.bias,
            self.running_mean,
            self.running_var,
            self.factor,
            self.grad_output,
            self.unbiased,
        )

    @cached_property
    def exact(self) -> Exact:
        """The exact results of this step alone; errors as of `step`."""
        return Exact(self.step, seeds=self.seeds)


def question(
    asked: Asked,
    before: Mapping[str, Array | None],
    *,
    gradients: bool = True,
    semantics: Semantics = TORCH,
) -> Question | None:
    """Return what an execution asks of the oracle, None if it is no forward pass.

    Parameters
    ----------
    asked : Asked
    before : mapping of str to array or None
        The implementation's own state before the execution, or that whose gradients it takes.
    gradients : bool
        Ask for those that the case asks for; not where the backward pass was refused.
    semantics : Semantics
        What the implementation documents to mean otherwise.

    Raises
    ------
    ValueError
        A counter that is no number decides the factor.

    Notes
    -----
    The choice of statistics follows ``_BatchNorm.forward`` (torch/nn/modules/batchnorm.py):
    batch statistics in training, and in evaluation where both buffers are absent; the update
    where the flag is set in training; the factor 1 / num_batches_tracked for momentum None, the
    counter in its own type. An array without axes is a value for the one channel.
    """
    given, training = asked.input, asked.mode == "train"
    if given is None:
        return None
    weight, bias, mean, variance = [
        None if (array := before.get(name)) is None else row(array) for name in _HELD
    ]
    batch = training or (mean is None and variance is None)
    if training and not asked.track:
        mean = variance = None
    updates = training and asked.of is None and mean is not None and variance is not None
    seeds = asked.seeds if gradients else NO_SEEDS
    if seeds:
        of = {"grad_input": given, "grad_weight": weight, "grad_bias": bias}
        seeds = {name: seed for name, seed in seeds.items() if _fits(seed, of[name])}
    return Question(
        given,
        float(asked.eps if semantics.eps is None else np.float32(asked.eps)),
        batch,
        weight,
        bias,
        mean,
        variance,
        _factor(asked, before, semantics) if updates else None,
        asked.grad_output if gradients else None,
        semantics.running_var is None,
        seeds,
    )


_HELD = ("weight", "bias", "running_mean", "running_var")


def row(array: Array) -> Array:
    """Return what holds a value for each channel; without axes it is that of the one channel."""
    return array if array.ndim else array.reshape(1)


def _fits(seed: Array, of: Array | None) -> bool:
    """Whether a loss can depend so on the gradient of an array; torch refuses any other shape."""
    return of is not None and seed.shape == of.shape


def _factor(asked: Asked, before: Mapping[str, Array | None], semantics: Semantics) -> float:
    if asked.momentum is not None:
        momentum = float(asked.momentum)
        return momentum if semantics.momentum is None else 1.0 - float(np.float32(1.0 - momentum))
    count = before.get("num_batches_tracked")
    if count is None:
        return 0.0
    if count.dtype.kind in "bc":
        raise ValueError(f"num_batches_tracked: a {count.dtype} counts nothing")
    with np.errstate(all="ignore"):
        tracked = float((count + count.dtype.type(1)).item())
    return 1.0 / tracked if tracked else math.inf


def real(step: Step) -> bool:
    """Whether all that a step is given is of types that batch normalisation is defined for."""
    held = (step.input, step.weight, step.bias, step.running_mean, step.running_var)
    return all(name_of(array.dtype) in FLOATING for array in held if array is not None)
