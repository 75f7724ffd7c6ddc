"""What a target is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from harness.case.model import Case, Forward, Later, Load
from harness.case.model import Step as CaseStep
from harness.dtypes import name_of
from harness.oracle import Declared, Step
from harness.reference import BatchNorm2d
from harness.semantics import TORCH, Semantics, declares
from harness.trace import Trace


@dataclass(frozen=True)
class Declaration:
    """Lower accuracy that an implementation declares for some types.

    Attributes
    ----------
    parameters : str
        Type of parameters and running statistics that it is about; a module that has none counts
        by its input's type.
    declared : Declared
    """

    parameters: str
    declared: Declared

    def speaks_of(self, step: Step) -> bool:
        """Whether the step's parameters or statistics have the type."""
        held = [array for array in (step.weight, step.running_mean) if array is not None]
        return any(name_of(array.dtype) == self.parameters for array in held or [step.input])


@dataclass(frozen=True)
class TargetInfo:
    """What the report says of a target.

    Attributes
    ----------
    name : str
        The SPEC that names it.
    absent : str or None
        Why it cannot run on this machine ("no CUDA device").
    versions : mapping of str to str
        Of the libraries that it is made of.
    declarations : tuple of Declaration
        Where it declares less accuracy than a sound implementation has.
    semantics : Semantics
        Where it documents another meaning than torch's.
    """

    name: str
    absent: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    declarations: tuple[Declaration, ...] = ()
    semantics: Semantics = TORCH

    def declares(self, step: Step) -> Declared | None:
        """Return what it declares of its accuracy in a step."""
        return declared(self.declarations, step)


def declared(declarations: Iterable[Declaration], step: Step) -> Declared | None:
    """Return what the first declaration that speaks of a step declares, None if none does."""
    return next((each.declared for each in declarations if each.speaks_of(step)), None)


LOW_PRECISION = tuple(
    Declaration(*each) for each in declares("reference", BatchNorm2d).accuracies()
)
"""What torch's CPU kernels, and who follows them, declare of 16-bit modules."""


class Crashed(Exception):  # noqa: N818  # what happened
    """The target gave no trace, and whoever executes it lives on; the text is the reason.

    Attributes
    ----------
    verdict : str
        What the case has for it.
    """

    verdict: Literal["crash", "timeout"] = "crash"


class TimedOut(Crashed):
    """The target gave no trace in time."""

    verdict = "timeout"


class Target(Protocol):
    """Something that can execute a case."""

    @property
    def info(self) -> TargetInfo:
        """What the report says of it."""

    def execute(self, case: Case) -> Trace:
        """Run a case. Errors of the implementation are part of the trace.

        Raises
        ------
        Crashed, TimedOut
            There is no trace; the target is ready for the next case.
        """


RunAll = Callable[[Iterable[Case]], list[Trace]]
"""Runs some cases at once."""


@dataclass(frozen=True)
class FunctionTarget:
    """A target made of its description and functions.

    Attributes
    ----------
    info : TargetInfo
    run : function of Case
    run_all : function of cases, or None
        Runs some at once in less time; of those alone who are known to do no harm.
    """

    info: TargetInfo
    run: Callable[[Case], Trace]
    run_all: RunAll | None = None

    def execute(self, case: Case) -> Trace:
        """Run a case."""
        return self.run(case)


def blinded(case: Case) -> Case:
    """Return the case as a target may see it: without published numbers and expected errors."""
    if case.raises is None and not case.expect and not any(s.expected_error for s in case.steps):
        return case
    steps = tuple(map(_blinded, case.steps))
    return case.model_copy(update={"expect": (), "raises": None, "steps": steps})


def _blinded(step: CaseStep) -> CaseStep:
    if step.expected_error is None:
        return step
    part = getattr(step, step.kind)
    if not isinstance(part, Forward | Later | Load):
        return step.model_copy(update={"raises": None})
    return step.model_copy(update={step.kind: part.model_copy(update={"raises": None})})
