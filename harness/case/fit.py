"""Whether the parts of a case fit each other, as far as that can be said before it is run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from harness.case.arrays import BUDGET, ArraySpec, Shape, elements
from harness.case.expect import Expectation
from harness.case.frozen import shape_of
from harness.case.steps import Backward, Cast, Forward, LoadStep, Parameter, Save, Set, Step
from harness.trace import DOUBLE, IMAGES, LEAVES, RESULTS
from harness.versions import release

if TYPE_CHECKING:
    from harness.case.model import Case

Misfit = tuple[tuple[str | int, ...], str]

TWICE = ("float32", "float64")
"""The types of input that a double backward pass is judged for."""

_BY_CHANNEL = "expected shape {}, one number for each channel, found {}"


def misfits(case: Case) -> Iterator[Misfit]:
    """Yield location and message of every mistake that needs two parts of the case to see."""
    yield from order_of_versions(case.since, case.before)
    yield from _state(case)
    yield from _arrays(case)
    yield from _loads(case)
    yield from _later_gradients(case.steps)
    yield from _leaves(case)
    yield from _seeds(case)
    for index, expectation in enumerate(case.expect):
        for loc, message in _expectation(expectation, case.steps):
            yield ("expect", index, *loc), message
        for name, message in _published(expectation, case):
            yield ("expect", index, name), message
    total = sum(_cost(step, case.steps) for step in case.steps)
    if total > BUDGET:
        yield (
            ("steps",),
            f"all steps, repetitions counted, have {total} elements; the budget is {BUDGET}",
        )


def order_of_versions(since: str | None, before: str | None) -> Iterator[Misfit]:
    """Yield a mistake where no version is left."""
    if since and before and release(since) >= release(before):
        yield ("before",), f"no version of torch is from {since} on and before {before}"


def state_misfit(spec: ArraySpec, channels: int) -> str | None:
    """Return why an array cannot be the weight, bias or a statistic of so many channels."""
    if spec.size is not None and spec.size != (channels,):
        return _BY_CHANNEL.format([channels], list(spec.size))
    return spec.misfit((channels,))


def _state(case: Case) -> Iterator[Misfit]:
    for name in sorted(case.state.model_fields_set - case.module.present):
        yield (
            ("state", name),
            f"the module has no {name} with these constructor arguments; attach one by a set step",
        )
    for name in sorted(case.state.model_fields_set & case.module.present):
        spec, misfit = getattr(case.state, name), None
        if spec is None:
            misfit = f"the module has its own {name}; detach it by a set step"
        elif isinstance(spec, ArraySpec) and case.module.num_features >= 0:
            misfit = state_misfit(spec, case.module.num_features)
        if misfit:
            yield ("state", name), misfit


def _arrays(case: Case) -> Iterator[Misfit]:
    """Check the arrays whose shape is the channel count unless they spell one."""
    for index, step in enumerate(case.steps):
        arrays: dict[tuple[str, ...], object] = {}
        if isinstance(step, Set):
            for name, value in step.set.items():
                arrays["set", name] = value.parameter if isinstance(value, Parameter) else value
        elif isinstance(step, LoadStep):
            arrays = {("load", "add", name): value for name, value in step.load.add.items()}
        for loc, value in arrays.items():
            shape = () if loc[-1] == "num_batches_tracked" else (_channels(case),)
            if isinstance(value, ArraySpec) and (misfit := value.misfit(shape)):
                yield ("steps", index, *loc), misfit


def _channels(case: Case) -> int:
    return max(case.module.num_features, 0)


def _loads(case: Case) -> Iterator[Misfit]:
    saved: set[str] = set()
    for index, step in enumerate(case.steps):
        if isinstance(step, Save):
            saved.add(step.save)
        elif isinstance(step, LoadStep) and step.load.source not in saved:
            message = f"no earlier step saves '{step.load.source}'"
            yield ("steps", index, "load", "from"), message


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
        return state_misfit(spec, _channels(case))
    shape = forward.input.size
    if shape is not None and spec.size not in (None, shape):
        return f"expected shape {list(shape)}, as the input, found {list(spec.size or ())}"
    return None if shape is None else spec.misfit(shape, like=shape)


def _pass(step: Step, steps: Sequence[Step]) -> Forward | None:
    """Return the forward pass that a step does, or whose gradients it takes."""
    if isinstance(step, Backward):
        return steps[step.backward.of - 1].forward if step.backward.of <= len(steps) else None
    return step.forward


def _expectation(expectation: Expectation, steps: tuple[Step, ...]) -> Iterator[Misfit]:
    yield from order_of_versions(expectation.since, expectation.before)
    names = [name for name, _ in expectation.numbers()]
    if not names and not expectation.in_place:
        yield (), "an expectation names at least one quantity, as running_mean"
    if expectation.in_place and not expectation.after:
        yield ("in_place",), "before the first step nothing is written; after counts from 1"
    if expectation.after > len(steps):
        message = f"there is no step {expectation.after}; the steps are 1 to {len(steps)}"
        yield ("after",), message if steps else "there are no steps; only after: 0 is left"
        return
    step = steps[expectation.after - 1] if expectation.after else None
    forward = step.forward if step else None
    later = isinstance(step, Backward)
    repetitions = forward.repeat if forward else 1
    if expectation.repetition is not None and (
        not expectation.after or expectation.repetition > repetitions
    ):
        found = f"is executed {repetitions} times" if expectation.after else "is none"
        yield ("repetition",), f"step {expectation.after} {found}"
    for name in names:
        if name not in RESULTS:
            continue
        if forward is None and (name == "output" or not later):
            yield (name,), f"there is no {name} but after a train or eval step"
        elif name != "output" and not later and (not forward or forward.grad_output is None):
            yield (name,), f"there is no {name} unless the step has a grad_output"
        elif name in DOUBLE and (forward is None or forward.double_backward is None):
            yield (name,), f"there is no {name} unless the step has a double_backward"
        elif step is not None and not _has(name, step, steps):
            leaf = name.rpartition("grad_")[2]
            yield (name,), f"there is no {name}: the pass does not require the gradient of {leaf}"


def _has(result: str, step: Step, steps: Sequence[Step]) -> bool:
    forward, leaf = _pass(step, steps), result.rpartition("grad_")[2]
    return forward is None or leaf not in LEAVES or leaf in forward.requires_grad


def _published(expectation: Expectation, case: Case) -> Iterator[tuple[str, str]]:
    """Yield name and message of numbers whose shape the quantity cannot have.

    What a `set` step assigns may have another than (C,), and so has its gradient; what is loaded
    is written into the array that is there.
    """
    before = case.steps[: expectation.after]
    forward = _pass(before[-1], before) if 0 < expectation.after == len(before) else None
    for name, value in expectation.numbers():
        found = shape_of(value)
        if value is None or name == "num_batches_tracked":
            continue
        if name in IMAGES:
            shape = forward.input.size if forward else None
            if shape is not None and found != shape:
                yield name, f"expected shape {list(shape)}, as the input, found {list(found)}"
            continue
        shapes = {(_channels(case),), *_assigned(name.rpartition("grad_")[2], before)}
        if found not in shapes:
            expected = " or ".join(str(list(shape)) for shape in sorted(shapes))
            yield name, _BY_CHANNEL.format(expected, list(found))


def _assigned(name: str, steps: Sequence[Step]) -> Iterator[Shape]:
    """Yield the shapes that `set` steps spell for an array of the state."""
    for step in steps:
        value = getattr(step.set, name) if isinstance(step, Set) else None
        spec = value.parameter if isinstance(value, Parameter) else value
        if isinstance(spec, ArraySpec) and spec.size is not None:
            yield spec.size


def _cost(step: Step, steps: Sequence[Step]) -> int:
    """Return how many elements a step's arrays have, those of each repetition counted."""
    forward = _pass(step, steps)
    if forward is None:
        return 0
    shape = forward.input.size or ()
    if isinstance(step, Backward):
        return _size(step.backward.grad_output, shape)
    twice = 0 if forward.double_backward is None else elements(shape)
    return (elements(shape) + _size(forward.grad_output, shape) + twice) * forward.repeat


def _size(grad_output: ArraySpec | None, shape: Shape) -> int:
    """Return how many elements a gradient of an output of some shape has."""
    if grad_output is None:
        return 0
    return elements(shape if grad_output.size is None else grad_output.size)
