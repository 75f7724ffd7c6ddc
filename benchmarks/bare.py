"""The bare loops: what executing a suite's cases costs a user who judges nothing.

Each case is constructed, given its state, trained, evaluated and differentiated, and its state is
read after each step; nothing is kept and nothing is compared. Of the harness there is only the
recipe that the inputs come from, and `harness.reference` in its own loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch

from benchmarks.script import cpu
from harness.case.model import Case
from harness.dtypes import dtype
from harness.reference import BatchNorm2d
from harness.targets.given import state_arrays
from harness.targets.native import import_autograd
from harness.targets.torch_module import to_tensor
from harness.trace import STATE, Array

CHUNK = 256
"""Cases whose inputs are kept at a time."""

REFUSALS = (ValueError, RuntimeError, NotImplementedError)
"""What a batch that cannot be normalised raises."""


@dataclass(frozen=True)
class Bare:
    """A case without the harness: arguments, and arrays or tensors.

    Attributes
    ----------
    arguments : dict
        Of the constructor.
    state : list of (str, array)
        What the module starts from.
    steps : list of (bool, array, array or None)
        Whether it trains, the input (N, C, H, W), grad_output.
    """

    arguments: dict[str, Any]
    state: list[tuple[str, Any]]
    steps: list[tuple[bool, Any, Any]]


def inputs(case: Case) -> Bare:
    """Make the inputs of a case, which has train and eval steps alone, as arrays."""
    arguments = case.module.arguments()
    if "dtype" in arguments:
        arguments["dtype"] = dtype(arguments["dtype"])
    steps: list[tuple[bool, Array, Array | None]] = []
    for _, _, step in case.executions():
        if step.forward is None:
            raise ValueError(f"{case.id}: a bare loop has no step '{step.kind}'")
        given = step.forward.input.array((), case.module.dtype)
        spec = step.forward.grad_output
        grad = None if spec is None else spec.array(given.shape, given.dtype.name, given)
        steps.append((step.kind == "train", given, grad))
    state = [(name, value.copy()) for name, value in state_arrays(case.state, case.module)]
    return Bare(arguments, state, steps)


def tensors(bare: Bare) -> Bare:
    """Return a case with tensors for arrays, in the same memory."""
    arguments = dict(bare.arguments)
    if "dtype" in arguments:
        arguments["dtype"] = getattr(torch, arguments["dtype"].name)
    steps = [
        (training, to_tensor(given), None if grad is None else to_tensor(grad))
        for training, given, grad in bare.steps
    ]
    return Bare(arguments, [(name, to_tensor(value)) for name, value in bare.state], steps)


def by_torch(cases: Iterable[Bare]) -> None:
    """Run cases through ``torch.nn.BatchNorm2d``."""
    for case in cases:
        module = torch.nn.BatchNorm2d(**case.arguments)
        with torch.no_grad():
            for name, value in case.state:
                getattr(module, name).copy_(value)
        parameters = list(module.parameters())
        for training, given, grad in case.steps:
            module.train(training)
            try:
                if grad is None:
                    with torch.no_grad():
                        module(given)
                else:
                    leaf = given.detach().requires_grad_()
                    torch.autograd.grad(module(leaf), [leaf, *parameters], grad)
            except REFUSALS:
                pass
            for name in STATE:
                value = getattr(module, name)
                if value is not None:
                    value.detach().clone()


def by_reference(cases: Iterable[Bare]) -> None:
    """Run cases through ``harness.reference.BatchNorm2d``."""
    for case in cases:
        module = BatchNorm2d(**case.arguments)
        for name, value in case.state:
            getattr(module, name)[...] = value
        for training, given, grad in case.steps:
            module.train(training)
            try:
                module(given)
                if grad is not None:
                    module.backward(grad)
            except REFUSALS:
                pass
            for name in STATE:
                value = getattr(module, name)
                if value is not None:
                    value.copy()


@dataclass
class Times:
    """CPU seconds of making the inputs and of each loop."""

    inputs: float = 0.0
    torch: float = 0.0
    reference: float = 0.0


def loops(cases: Iterator[Case]) -> Times:
    """Time the loops over cases that are generated outside of the time.

    Parameters
    ----------
    cases : iterator of Case
    """
    torch.set_num_threads(1)
    import_autograd()  # outside of the time, as all imports are
    times = Times()
    while chunk := list(islice(cases, CHUNK)):
        start = cpu()
        arrays = [inputs(case) for case in chunk]
        times.inputs += cpu() - start
        converted = [tensors(bare) for bare in arrays]
        start = cpu()
        by_torch(converted)
        times.torch += cpu() - start
        start = cpu()
        by_reference(arrays)
        times.reference += cpu() - start
    return times
