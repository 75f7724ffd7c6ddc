"""Whether backward passes have what they need: a pass to differentiate, leaves, seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from harness.case.arrays import ArraySpec
from harness.case.frozen import Misfit
from harness.case.passes import Forward
from harness.case.rows import row_misfit
from harness.case.steps import Backward, Cast, Step
from harness.trace import LEAVES

if TYPE_CHECKING:
    from harness.case.model import Case

TWICE = ("float32", "float64")
"""The types of input that a double backward pass is judged for."""


def backward_misfits(case: Case) -> Iterator[Misfit]:
    """Yield location and message of every mistake in what gradients are taken of, and by."""
    yield from _later_gradients(case.steps)
    yield from _leaves(case)
    yield from _seeds(case)


def pass_of(step: Step, steps: Sequence[Step]) -> Forward | None:
    """Return the forward pass that a step does, or whose gradients it takes."""
    if isinstance(step, Backward):
        return steps[step.backward.of - 1].forward if step.backward.of <= len(steps) else None
    return step.forward


def requires(result: str, step: Step, steps: Sequence[Step]) -> bool:
    """Whether a step's pass requires the gradient that a result is, if it is one by a leaf."""
    forward, leaf = pass_of(step, steps), result.rpartition("grad_")[2]
    return forward is None or leaf not in LEAVES or leaf in forward.requires_grad


def _later_gradients(steps: Sequence[Step]) -> Iterator[Misfit]:
    """Check that each forward pass is differentiated once, after it."""
    taken: dict[int, int] = {}
    for index, step in enumerate(steps):
        if not isinstance(step, Backward):
            continue
        of, loc = step.backward.of, ("steps", index, "backward", "of")
        forward = steps[of - 1].forward if of <= index else None
        if of > index:
            yield loc, f"step {of} is not before this one, which is step {index + 1}"
        elif forward is None:
            yield loc, f"step {of} is no train or eval step but '{steps[of - 1].kind}'"
        elif forward.grad_output is not None:
            yield loc, f"step {of} has a grad_output, and its gradients are taken there"
        elif forward.raises is not None:
            yield loc, f"step {of} must raise an error, and has no gradients"
        elif of in taken:
            yield loc, f"step {taken[of]} takes the gradients of step {of} already"
        elif forward.input.size is not None:
            taken[of] = index + 1
            shape = forward.input.size
            if misfit := step.backward.grad_output.misfit(shape, like=shape):
                yield ("steps", index, "backward", "grad_output"), misfit


def _leaves(case: Case) -> Iterator[Misfit]:
    """Check that what requires a gradient can have one, where there is a backward pass."""
    for index, step in enumerate(case.steps):
        forward = step.forward
        if forward is None or "requires_grad" not in forward.model_fields_set:
            continue
        loc, leaves = ("steps", index, step.kind, "requires_grad"), forward.requires_grad
        if not leaves:
            yield loc, "name what needs a gradient; without a grad_output nothing does"
        elif len(set(leaves)) < len(leaves):
            yield loc, "something is named twice"
        elif forward.grad_output is None and index not in case.awaited:
            yield loc, "no gradients are taken of the step; give it a grad_output"
        elif "input" not in leaves and not case.module.affine:
            yield loc, "a module without affine has a gradient by the input alone"


def _seeds(case: Case) -> Iterator[Misfit]:
    """Check what double backward passes begin with, and that there are gradients to differentiate.

    Their bounds are derived for float32 and float64.
    """
    own: str = case.module.dtype
    for index, step in enumerate(case.steps):
        if isinstance(step, Cast) and step.converts:
            own = step.cast
        forward = step.forward
        if forward is None or forward.double_backward is None:
            continue
        loc, given = ("steps", index, step.kind, "double_backward"), forward.double_backward
        dtype = forward.input.dtype or own
        if forward.grad_output is None:
            yield loc, "there are no gradients to differentiate; give the step a grad_output"
        elif forward.grad_output.dtype not in (None, dtype):
            yield loc, f"it is judged where grad_output has the input's type, {dtype}"
        if dtype not in TWICE:
            yield loc, f"it is judged for {' and '.join(TWICE)} alone, and the input is {dtype}"
        if not dict(given.items()):
            yield loc, "name a gradient that the loss depends on, as grad_input"
        for name, spec in given.items():
            if misfit := _seed_misfit(case, forward, name, spec):
                yield (*loc, name), misfit


def _seed_misfit(case: Case, forward: Forward, name: str, spec: ArraySpec) -> str | None:
    leaf = name.removeprefix("grad_")
    if leaf not in forward.requires_grad:
        return f"there is no {name}: the pass does not require the gradient of {leaf}"
    if spec.dtype is not None:
        return f"it has the type of {name}; leave out dtype"
    if leaf != "input":
        if leaf not in case.module.present:
            return f"the module has no {leaf} with these constructor arguments"
        return row_misfit(spec, max(case.module.num_features, 0))
    shape = forward.input.size
    if shape is not None and spec.size not in (None, shape):
        return f"expected shape {list(shape)}, as the input, found {list(spec.size or ())}"
    return None if shape is None else spec.misfit(shape, like=shape)
