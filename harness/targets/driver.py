"""Walks a case's steps with a module under test and records what it does."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Collection, Mapping
from itertools import starmap
from typing import Any, NamedTuple

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
from harness.targets.given import (
    added,
    assigned,
    edited,
    given_arrays,
    given_seeds,
    state_arrays,
)
from harness.targets.guard import guarded, unguarded
from harness.targets.returned import Results, Returned
from harness.targets.subject import Subject
from harness.targets.support import Unsupported, numeric
from harness.trace import STATE, Array, Raised, StepTrace, Trace, same_bits


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
        with unguarded():
            return _execute(case, construct, None)
    with guarded():
        return _execute(case, construct, Returned())


def _execute(
    case: Case, construct: Callable[[ModuleConfig], Subject], returned: Returned | None
) -> Trace:
    try:
        subject = construct(case.module)
        walk = _Walk(case, subject, returned)
        walk.start()
        initial = subject.state()[0]
    except Unsupported as reason:
        return Trace(unsupported=str(reason))
    except BaseException as error:  # whatever a module raises is a result, SystemExit too
        _let_interrupt(error)
        return Trace(raised=_raised("construct", error))
    return Trace(initial=initial, steps=tuple(starmap(walk.step, case.executions())))


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


class _Passed(NamedTuple):
    """A forward pass whose gradients a later step takes.

    Attributes
    ----------
    pairs : list of (array, array)
        What the module was given, and what it must be left as.
    shape : tuple of int
        The output's.
    leaves : collection of str
        What it is differentiated by.
    saved : object
        What the module keeps of it.
    """

    pairs: list[tuple[Array, Array]]
    shape: tuple[int, ...]
    leaves: Collection[str]
    saved: Any


class _Walk:
    """One walk through a case's steps."""

    def __init__(self, case: Case, subject: Subject, returned: Returned | None) -> None:
        self.case = case
        self.subject = subject
        self.returned = returned
        self.dtype: str = case.module.dtype
        self.saved: dict[str, Mapping[str, Any]] = {}
        self.awaited = case.awaited
        self.passed: dict[int, _Passed] = {}
        self.phase = ""

    def start(self) -> None:
        """Put the initial state into the module."""
        for name, value in state_arrays(self.case.state, self.case.module):
            self.subject.fill(name, value)

    def step(self, index: int, repetition: int, step: Step) -> StepTrace:
        """Execute a step once."""
        record: dict[str, Any] = {}
        self.phase = step.kind
        try:
            if (forward := step.forward) is not None:
                self.subject.mode(type(step) is Train)
                self._forward(index, forward, record)
            else:
                self._do(step, record)
        except Unsupported as reason:
            record["unsupported"] = str(reason)
        except BaseException as error:
            _let_interrupt(error)
            record["raised"] = _raised(self.phase, error)
        try:
            record["state"], record["replaced"] = self.subject.state()
        except BaseException as error:
            _let_interrupt(error)
            record.setdefault("raised", _raised("state", error))
            record["state"] = dict.fromkeys(STATE)
        if self.returned is not None:
            record["overwritten"] = self.returned.overwritten()
        return StepTrace(index, repetition, **record)

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

    def _forward(self, index: int, forward: Forward, record: dict[str, Any]) -> None:
        self.phase = "forward"
        # Arrays that the module may do anything to, and ones that it never sees.
        given, pristine = given_arrays(forward.input, (), self.dtype)
        pairs = [(given, pristine)]
        results = Results(record, self.returned)
        spec, awaited = forward.grad_output, index in self.awaited
        self.passed.pop(index, None)
        try:
            leaves = forward.requires_grad if awaited or spec is not None else ()
            output = self.subject.forward(given, leaves)
            results.keep("output", output)
            if awaited:
                self.passed[index] = _Passed(pairs, output.shape, leaves, self.subject.saved())
            if spec is None:
                return
            self.phase = "backward"
            grad_output, pristine = given_arrays(spec, output.shape, name_of(given.dtype), pristine)
            pairs.append((grad_output, pristine))
            twice = forward.double_backward
            gradients = self.subject.backward(grad_output, twice=twice is not None)
            results.keep_gradients(gradients, leaves)
            if twice is None:
                return
            seeds = given_seeds(twice, gradients, pairs[0][1], self.dtype)
            pairs += seeds.values()
            if seeds:
                begun = {name: seed for name, (seed, _) in seeds.items()}
                results.keep_double(self.subject.double_backward(begun), leaves)
        finally:
            record["input_changed"] = not all(starmap(same_bits, pairs))

    def _later(self, later: Later, record: dict[str, Any]) -> None:
        passed = self.passed.get(later.of - 1)
        if passed is None:
            raise Unsupported(f"step {later.of}, whose gradients the step takes, gave no output")
        self.phase = "backward"
        results = Results(record, self.returned)
        _, like = passed.pairs[0]
        spec, of = later.grad_output, name_of(like.dtype)
        grad_output, pristine = given_arrays(spec, passed.shape, of, like)
        pairs = [*passed.pairs, (grad_output, pristine)]
        try:
            gradients = self.subject.backward(grad_output, passed.saved)
            results.keep_gradients(gradients, passed.leaves)
        finally:
            record["input_changed"] = not all(starmap(same_bits, pairs))

    def _assign(self, name: str, value: object) -> None:
        self.subject.assign(name, *assigned(name, value, self.case.module.num_features, self.dtype))

    def _load(self, load: Load) -> None:
        arrays = added(load, self.case.module.num_features, self.dtype)
        if load.source not in self.saved:
            raise Unsupported("the state_dict that the step loads could not be saved")
        self.subject.load(edited(self.saved[load.source], load, arrays), load.strict)
