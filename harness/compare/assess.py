"""Traces against the exact results: how far each of their numbers is off."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from harness.compare.exactly import Exact
from harness.compare.follow import Asked
from harness.compare.judged import Account, Assessed, Declarations
from harness.compare.question import Question, question, real, row
from harness.compare.stack import Stack
from harness.dtypes import name_of
from harness.oracle import (
    RUNNING,
    AnyQuantity,
    Declared,
    Quantity,
    Step,
    quantities_of,
    quantities_of_double,
    standard_accuracy,
)
from harness.trace import IMAGES, Array, StepTrace, same_bits

T = TypeVar("T")

_ELEMENTS = 2**17
"""Most elements of a quantity that are stacked: beyond it a stack is no faster, only larger."""


def assess(
    heard: Iterable[tuple[Sequence[Asked], Account]], accuracy: str | None = None
) -> list[list[Assessed]]:
    """Judge every number of traces against the exact results.

    Parameters
    ----------
    heard : iterable
        What a case asks (`follow`), and what an implementation did with it.
    accuracy : str, optional
        The class whose bound is the standard; by default that of the input's type.

    Returns
    -------
    list of list of Assessed
        Of each trace, its executions.
    """
    waiting, found = _Waiting(accuracy), []
    for asked, account in heard:
        before, executions = account.trace.initial, []
        for each, done in zip(asked, account.trace.steps, strict=False):
            executions.append(Assessed(each, before, done, account.semantics))
            if each.of is not None:
                executions[-1].start = _start(each.of, executions)
            waiting.add(executions[-1], account.declarations)
            before = done.state
        found.append(executions)
    waiting.judge()
    return found


def _start(asked: Asked, executions: Sequence[Assessed]) -> Mapping[str, Array | None]:
    """Return the state that an execution, one of some, started from."""
    return next(each.before for each in executions if each.asked is asked)


@dataclass(eq=False)
class Form:
    """What executions have in common that ask the same in the same shapes and types.

    Attributes
    ----------
    step : Step
        One of them.
    accuracy : str
    quantities : list of (quantity, shape, bool)
        Those that are computed, and whether they are of the state; these come last.
    """

    step: Step
    accuracy: str
    quantities: list[tuple[AnyQuantity, tuple[int, ...], bool]]
    declared: dict[Declarations, Declared | None] = field(default_factory=dict)

    @classmethod
    def of(cls, asks: Question, accuracy: str | None) -> Form | None:
        """Return the form of a question, None where no result is defined."""
        try:
            step = asks.step
        except ValueError:
            return None
        if not real(step):  # without elements, torch takes types that it computes nothing in
            return None
        images, row = step.input.shape, (step.channels,)
        computed: list[AnyQuantity] = sorted(quantities_of(step), key=RUNNING.__contains__)
        if asks.seeds:
            computed = [*quantities_of_double(step), *computed]
        quantities = [
            (each, images if each in IMAGES else row, each in RUNNING) for each in computed
        ]
        return cls(step, accuracy or standard_accuracy(name_of(step.input.dtype)), quantities)

    def declares(self, declarations: Declarations) -> Declared | None:
        """Return what an implementation declares of its accuracy in such a step."""
        if declarations not in self.declared:
            self.declared[declarations] = declarations(self.step)
        return self.declared[declarations]


def _judge(alike: list[Assessed], worked: Exact | None = None) -> Exact:
    """Judge executions of one form, declaration and set of computed quantities.

    Returns the exact results; `worked` are those of the same content, if there are some.
    """
    asks = [each.question for each in alike if each.question is not None]
    accuracy, declared = alike[0].accuracy, alike[0].declared
    stack = Stack(asks, accuracy, declared, worked)
    for quantity in alike[0].computed:
        figures = stack.columns(quantity, [each.computed[quantity] for each in alike])
        for execution, found in zip(alike, figures.listed(), strict=True):
            execution.figures[quantity] = found
    telling = [each for each in alike if tells(each.question, each.computed)]
    if telling:
        told = Stack([each.question for each in telling if each.question], accuracy, declared)
        names: tuple[Quantity, ...] = ("output", *RUNNING)
        output, mean, variance = ([each.computed[name] for each in telling] for name in names)
        figures = told.consistency(output, mean, variance)
        for execution, found in zip(telling, figures.listed(), strict=True):
            execution.consistency = found
    return stack.exact[0]


def tells(asks: Question | None, computed: Collection[str]) -> bool:
    """Whether running statistics that were computed with an output are those of its batch."""
    if asks is None or asks.factor != 1 or not asks.input.size:
        return False
    old = asks.running_mean, asks.running_var
    return (
        {"output", *RUNNING} <= {*computed}
        # 0·nan is nan: what is left behind is not the batch's alone.
        and all(each is not None and bool(np.isfinite(each).all()) for each in old)
    )


class _Waiting:
    """Executions on their way into stacks."""

    def __init__(self, accuracy: str | None) -> None:
        self._accuracy = accuracy
        self._forms: dict[object, Form | None] = {}
        self._alike: dict[object, list[Assessed]] = {}

    def add(self, execution: Assessed, declarations: Declarations) -> None:
        """Put an execution to those that are like it."""
        asked, before, done = execution.asked, execution.before, execution.done
        if asked.of is None and "output" not in done.results and not _updated(before, done):
            return
        try:
            gradients = done.raised is None
            start = before if execution.start is None else execution.start
            asks = question(asked, start, gradients=gradients, semantics=execution.semantics)
        except ValueError:  # a counter that is no number
            return
        if asks is None:
            return
        key = asks.form
        if key not in self._forms:
            self._forms[key] = Form.of(asks, self._accuracy)
        form = self._forms[key]
        if form is None:
            return
        execution.question = asks
        execution.accuracy, execution.declared = form.accuracy, form.declares(declarations)
        execution.computed = computed = computed_of(form, before, done)
        if not computed:
            return
        types = [array.dtype for array in computed.values()]
        like = (key, execution.declared, *computed, *types)
        self._alike.setdefault(like, []).append(execution)

    def judge(self) -> None:
        """Judge all of them, as many at a time as pays."""
        for alike in self._alike.values():
            if stacks := cut(alike, alike[0].computed):
                for some in stacks:
                    _judge(some)
            else:
                for same in _by_content(alike):
                    worked = None
                    for execution in same:
                        worked = _judge([execution], worked)


def cut(alike: list[T], computed: Mapping[AnyQuantity, Array], each: int = 1) -> list[list[T]]:
    """Return what is alike in stacks, as many at a time as pays; none, where two are too many.

    Parameters
    ----------
    alike : list
    computed : mapping of str to array
        What was computed in one of them, by one implementation.
    each : int
        How many implementations are in each.
    """
    largest = max(array.size for array in computed.values()) * each
    count = _ELEMENTS // max(1, largest)
    return [alike[at : at + count] for at in range(0, len(alike), count)] if count > 1 else []


def _by_content(alike: Iterable[Assessed]) -> Iterable[list[Assessed]]:
    """Return executions by the content of their questions."""
    same: dict[object, list[Assessed]] = {}
    for execution in alike:
        if execution.question is not None:
            same.setdefault(execution.question.content, []).append(execution)
    return same.values()


def _updated(before: Mapping[str, Array | None], done: StepTrace) -> bool:
    """Whether a step that has no output, since it raised, has moved the running statistics."""
    if done.raised is None:
        return False
    for name in RUNNING:
        old, new = before.get(name), done.state.get(name)
        if (old is None) != (new is None):
            return True
        if old is not None and new is not None and not same_bits(old, new):
            return True
    return False


def computed_of(
    form: Form, before: Mapping[str, Array | None], done: StepTrace
) -> dict[AnyQuantity, Array]:
    """Return those quantities of a step that the implementation has in the expected shape."""
    failed = done.raised is not None and done.raised.phase == "forward"
    # A step that raised before its update owes none.
    owed = not failed or _updated(before, done)
    found: dict[AnyQuantity, Array] = {}
    for quantity, shape, running in form.quantities:
        if running and not owed:
            continue
        array = (done.state if running else done.results).get(quantity)
        # A complex array has another type, which is said elsewhere, and no distance.
        if array is not None and array.dtype.kind != "c" and row(array).shape == shape:
            found[quantity] = row(array)
    return found
