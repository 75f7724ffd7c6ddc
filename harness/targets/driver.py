"""Walks a case's steps with a module under test and records what it does."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from harness.case.model import (
    Backward,
    Call,
    Case,
    Cast,
    Forward,
    Later,
    Load,
    LoadStep,
    ModuleConfig,
    Save,
    Set,
    Step,
    Train,
)
from harness.dtypes import name_of
from harness.targets.forward import Pass, Passed, changed
from harness.targets.given import (
    added,
    assigned,
    edited,
    given_arrays,
    state_arrays,
)
from harness.targets.guard import guarded, unguarded
from harness.targets.returned import Results, Returned
from harness.targets.subject import Subject
from harness.targets.support import Unsupported, numeric
from harness.trace import STATE, Raised, StepTrace, Trace


def execute(
    case: Case, construct: Callable[[ModuleConfig], Subject], *, harmless: bool = False
) -> Trace:
    """Run a case and return what happened.

    Errors of the module are part of the trace; they never leave this function. After an error
    the module goes on to the next step in the state that the error left behind.

    Parameters
    ----------
    case : Case
    construct : callable
        Makes the module from its constructor arguments.
    harmless : bool
        The module is known to change nothing of its process, so that nothing need be put back,
        and nothing that it has returned.
    """
    if harmless:
        return execute_all([case], construct)[0]
    with guarded():
        return _side_by_side([_Walk(case, construct, Returned())])[0]


def execute_all(cases: Iterable[Case], construct: Callable[[ModuleConfig], Subject]) -> list[Trace]:
    """Run cases by a module that is known to be harmless, side by side.

    Each case in turn does its next phase. What a phase runs is still in the processor's caches
    from the case before: many small cases take a fifth less time than one after the other.
    """
    with unguarded():
        return _side_by_side([_Walk(case, construct, None) for case in cases])


def _side_by_side(walks: Sequence[_Walk]) -> list[Trace]:
    going = [(place, walk.phases()) for place, walk in enumerate(walks)]
    traces: dict[int, Trace] = {}
    while going:
        left = []
        for each in going:
            try:
                next(each[1])
            except StopIteration as end:
                traces[each[0]] = end.value
            else:
                left.append(each)
        going = left
    return [traces[place] for place in range(len(walks))]


def _in_turn(
    phases: Iterable[Callable[[], None]], of: _Placed
) -> Generator[None, None, dict[str, Any]]:
    """Do phases up to an error; return what a trace says of it."""
    for place, phase in enumerate(phases):
        if place:
            yield
        try:
            phase()
        except Unsupported as reason:
            return {"unsupported": str(reason)}
        except BaseException as error:  # whatever a module raises is a result, SystemExit too
            _let_interrupt(error)
            return {"raised": _raised(of.where, error)}
    return {}


def _let_interrupt(error: BaseException) -> None:
    """Raise a KeyboardInterrupt that may be the user's: a worker process ignores Ctrl-C."""
    if (
        isinstance(error, KeyboardInterrupt)
        and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
    ):
        raise error


MESSAGE = 4096
"""Most characters of an error's message that are kept."""

_ADDRESS = re.compile("0x[0-9a-f]{6,}")


def _raised(phase: str, error: BaseException) -> Raised:
    try:
        message = str(error)[:MESSAGE]
    except BaseException as failure:  # its own __str__ fails
        _let_interrupt(failure)
        message = ""
    # Addresses differ from run to run, and lone surrogates are no UTF-8.
    message = _ADDRESS.sub("0x...", message).encode("utf-8", "replace").decode()
    return Raised(phase, type(error).__name__, message)


class _Placed(Protocol):
    """What knows where its errors are raised: "construct", "forward", "backward", a step's kind."""

    where: str


class _Walk:
    """One walk through a case's steps."""

    def __init__(
        self, case: Case, construct: Callable[[ModuleConfig], Subject], returned: Returned | None
    ) -> None:
        self.case = case
        self.construct = construct
        self.returned = returned
        self.dtype: str = case.module.dtype
        self.saved: dict[str, Mapping[str, Any]] = {}
        self.passed: dict[int, Passed] = {}
        self.where = "construct"

    def phases(self) -> Generator[None, None, Trace]:
        """Execute the case, a phase whenever the next is asked for."""
        failed = yield from _in_turn((self._construct, self._start), self)
        if failed:
            return Trace(**failed)
        steps = []
        for index, repetition, step in self.case.executions():
            record: dict[str, Any] = {}
            if step.forward is None:
                self.where = step.kind
                record |= yield from _in_turn((partial(self._do, step, record),), self)
            else:
                yield from self._forward(index, type(step) is Train, step.forward, record)
            self._end(record)
            steps.append(StepTrace(index, repetition, **record))
        return Trace(initial=self.initial, steps=tuple(steps))

    def _construct(self) -> None:
        self.subject = self.construct(self.case.module)

    def _start(self) -> None:
        """Put the initial state into the module."""
        for name, value in state_arrays(self.case.state, self.case.module):
            self.subject.fill(name, value)
        self.initial = self.subject.state()[0]

    def _forward(
        self, index: int, training: bool, forward: Forward, record: dict[str, Any]
    ) -> Generator[None, None, None]:
        """Execute a train or eval step."""
        awaited = index in self.case.awaited
        results = Results(record, self.returned)
        one = Pass(self.subject, forward, training, self.dtype, results, awaited)
        record |= yield from _in_turn(one.phases, one)
        if one.pairs:
            record["input_changed"] = changed(one.pairs)
        self.passed.pop(index, None)
        if one.passed is not None:
            self.passed[index] = one.passed

    def _end(self, record: dict[str, Any]) -> None:
        """Record what a step leaves behind."""
        try:
            record["state"], record["replaced"] = self.subject.state()
        except BaseException as error:
            _let_interrupt(error)
            record.setdefault("raised", _raised("state", error))
            record["state"] = dict.fromkeys(STATE)
        if self.returned is not None:
            record["overwritten"] = self.returned.overwritten()

    def _do(self, step: Step, record: dict[str, Any]) -> None:
        """Execute a step that has no forward pass."""
        match step:
            case Backward():
                self._later(step.backward, record)
            case Set():
                for name, value in step.set.items():
                    self._assign(name, value)
            case Call():
                self.subject.call(step.call)
            case Cast():
                self.subject.cast(step.cast)
                self.dtype = step.cast
            case Save():
                self.saved[step.save] = self.subject.save()
                record["saved"] = {
                    key: numeric(value, f"state_dict.{key}").copy()
                    for key, value in self.saved[step.save].items()
                }
            case LoadStep():
                self._load(step.load)

    def _later(self, later: Later, record: dict[str, Any]) -> None:
        passed = self.passed.get(later.of - 1)
        if passed is None:
            raise Unsupported(f"step {later.of}, whose gradients the step takes, gave no output")
        self.where = "backward"
        results = Results(record, self.returned)
        _, like = passed.pairs[0]
        spec, of = later.grad_output, name_of(like.dtype)
        grad_output, pristine = given_arrays(spec, passed.shape, of, like)
        pairs = [*passed.pairs, (grad_output, pristine)]
        try:
            gradients = self.subject.backward(grad_output, passed.saved)
            results.keep_gradients(gradients, passed.leaves)
        finally:
            record["input_changed"] = changed(pairs)

    def _assign(self, name: str, value: object) -> None:
        self.subject.assign(name, *assigned(name, value, self.case.module.num_features, self.dtype))

    def _load(self, load: Load) -> None:
        arrays = added(load, self.case.module.num_features, self.dtype)
        if load.source not in self.saved:
            raise Unsupported("the state_dict that the step loads could not be saved")
        self.subject.load(edited(self.saved[load.source], load, arrays), load.strict)
