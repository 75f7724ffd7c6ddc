"""What each execution of a case asks of the mathematics, step by step.

Scalars (mode, momentum, eps, flags) are followed from the case alone. Arrays are taken from the
implementation's own trace, as they stood before the execution: so a mistake is found in the step
that made it, and only there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from harness import dtypes
from harness.case.model import Case, Cast, Eval, Set, Train
from harness.case.model import Step as CaseStep
from harness.dtypes import FLOATING, name_of
from harness.oracle import Step
from harness.semantics import TORCH, Semantics
from harness.trace import Array


@dataclass(frozen=True, slots=True)
class Asked:
    """One execution of a step.

    Attributes
    ----------
    index, repetition : int
        As in the trace, from 0.
    step : step of a case
    training : bool
        The mode of a forward step.
    eps, momentum : float, or None
    track : bool
        The flag track_running_stats.
    dtype : str
        Type of inputs that spell none: that of the module.
    """

    index: int
    repetition: int
    step: CaseStep
    training: bool
    eps: float
    momentum: float | None
    track: bool
    dtype: str


def follow(case: Case) -> Iterator[Asked]:
    """Yield each execution with the scalars that hold in it."""
    module = case.module
    eps, momentum, track = module.eps, module.momentum, module.track_running_stats
    dtype: str = module.dtype
    for index, repetition, step in case.executions():
        if isinstance(step, Set):
            changed = dict(step.set.items())
            eps = changed.get("eps", eps)
            momentum = changed.get("momentum", momentum)
            track = changed.get("track_running_stats", track)
        # A module refuses to become integers, and stays what it was.
        if isinstance(step, Cast) and dtypes.dtype(step.cast).kind not in "biu":
            dtype = step.cast
        yield Asked(index, repetition, step, isinstance(step, Train), eps, momentum, track, dtype)


def question(
    asked: Asked,
    before: Mapping[str, Array | None],
    *,
    gradients: bool = True,
    semantics: Semantics = TORCH,
) -> Step | None:
    """Return what an execution asks of the oracle, None if it is no forward pass.

    Parameters
    ----------
    asked : Asked
    before : mapping of str to array or None
        The implementation's own state before the execution.
    gradients : bool
        Ask for those that the case asks for; not where the backward pass was refused.
    semantics : Semantics
        What the implementation documents to mean otherwise.

    Notes
    -----
    The choice of statistics follows ``_BatchNorm.forward`` (torch/nn/modules/batchnorm.py):
    batch statistics in training, and in evaluation where both buffers are absent; the update
    where the flag is set in training; the factor 1 / num_batches_tracked for momentum None.
    """
    forward = asked.step.forward
    if forward is None or not isinstance(asked.step, Train | Eval):
        return None
    given = forward.input.array((), asked.dtype)
    gradient = None
    if gradients and forward.grad_output is not None:
        gradient = forward.grad_output.array(given.shape, name_of(given.dtype), like=given)
        # A complex gradient of a real output is refused; a real one is cast to the output's type
        # (validate_outputs in torch/csrc/autograd/engine.cpp).
        gradient = None if gradient.dtype.kind == "c" else gradient
        if gradient is not None and gradient.dtype != given.dtype:
            with np.errstate(all="ignore"):
                gradient = gradient.astype(given.dtype)
    mean, variance = before.get("running_mean"), before.get("running_var")
    batch = asked.training or (mean is None and variance is None)
    if asked.training and not asked.track:
        mean = variance = None
    updates = asked.training and mean is not None and variance is not None
    return Step(
        input=given,
        eps=float(asked.eps if semantics.eps is None else np.float32(asked.eps)),
        batch_statistics=batch,
        weight=before.get("weight"),
        bias=before.get("bias"),
        running_mean=mean,
        running_var=variance,
        factor=_factor(asked, before, semantics) if updates else None,
        grad_output=gradient,
        unbiased=semantics.running_var is None,
    )


def real(step: Step) -> bool:
    """Whether all arrays of a step are of types in which something is computed."""
    held = (step.weight, step.bias, step.running_mean, step.running_var)
    arrays = [step.input, *(each for each in held if each is not None)]
    return all(name_of(array.dtype) in FLOATING for array in arrays)


def _factor(asked: Asked, before: Mapping[str, Array | None], semantics: Semantics) -> float:
    if asked.momentum is not None:
        momentum = float(asked.momentum)
        return momentum if semantics.momentum is None else 1.0 - float(np.float32(1.0 - momentum))
    count = before.get("num_batches_tracked")
    if count is None:
        return 0.0
    tracked = int(count.item()) + 1
    return 1.0 / tracked if tracked else math.inf
