"""Whether the parts of a case fit each other, as far as that can be said before it is run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from harness.case.arrays import BUDGET, ArraySpec, elements
from harness.case.backward import backward_misfits, pass_of, requires
from harness.case.drawn import Shape
from harness.case.expect import Expectation
from harness.case.frozen import Misfit, shape_of
from harness.case.rows import BY_CHANNEL, row_misfit
from harness.case.steps import Backward, LoadStep, Parameter, Save, Set, Step
from harness.trace import DOUBLE, IMAGES, RESULTS
from harness.versions import release

if TYPE_CHECKING:
    from harness.case.model import Case


def misfits(case: Case) -> Iterator[Misfit]:
    """Yield location and message of every mistake that needs two parts of the case to see."""
    yield from order_of_versions(case.since, case.before)
    yield from _state(case)
    yield from _arrays(case)
    yield from _loads(case)
    yield from backward_misfits(case)
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
            misfit = row_misfit(spec, case.module.num_features)
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
        elif step is not None and not requires(name, step, steps):
            leaf = name.rpartition("grad_")[2]
            yield (name,), f"there is no {name}: the pass does not require the gradient of {leaf}"


def _published(expectation: Expectation, case: Case) -> Iterator[tuple[str, str]]:
    """Yield name and message of numbers whose shape the quantity cannot have.

    What a `set` step assigns may have another than (C,), and so has its gradient; what is loaded
    is written into the array that is there.
    """
    before = case.steps[: expectation.after]
    forward = pass_of(before[-1], before) if 0 < expectation.after == len(before) else None
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
            yield name, BY_CHANNEL.format(expected, list(found))


def _assigned(name: str, steps: Sequence[Step]) -> Iterator[Shape]:
    """Yield the shapes that `set` steps spell for an array of the state."""
    for step in steps:
        value = getattr(step.set, name) if isinstance(step, Set) else None
        spec = value.parameter if isinstance(value, Parameter) else value
        if isinstance(spec, ArraySpec) and spec.size is not None:
            yield spec.size


def _cost(step: Step, steps: Sequence[Step]) -> int:
    """Return how many elements a step's arrays have, those of each repetition counted."""
    forward = pass_of(step, steps)
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
