"""The report as typed values; its JSON Schema comes from here."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
)

from harness.documented import Documented
from harness.verdicts import AccuracyClass, Verdict

Finite = Annotated[float, Field(allow_inf_nan=False)]
Special = Annotated[str, StringConstraints(pattern="^(nan|inf|-inf)$")]
Real = Finite | Special
"""A number; nan and the infinities, which strict JSON does not know, by their names."""


class Part(Documented, BaseModel):
    """Closed, and frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _Promised(Part):
    """A part of which some fields are written where they have their default, too."""

    always: ClassVar[frozenset[str]]

    @model_serializer(mode="wrap")
    def _written(
        self, write: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        always = self.always.difference(info.exclude or ())
        return {**{name: getattr(self, name) for name in always}, **write(self)}


class Divergence(_Promised):
    """One difference."""

    always = frozenset(("index", "expected", "actual", "exact", "abs", "rel", "ulp", "ratio"))

    step: int
    """Index of the step in the case's list, from 0; -1 is before the first."""
    repetition: int = 0
    """Which repetition of a repeated step, from 0."""
    quantity: str
    """What differs: output, running_var, ..., error, input."""
    aspect: str
    """What of it: value, presence, dtype, shape, layout, error, state, memory, input, published."""
    index: list[int] = []
    """Of the worst element."""
    expected: Real | str | None = None
    """The baseline's value, or what a case publishes."""
    actual: Real | str | None = None
    """The value of who is blamed."""
    exact: Real | None = None
    """The exact result."""
    abs: Real | None = None
    """Absolute error against the exact result."""
    rel: Real | None = None
    """Relative error against the exact result."""
    ulp: Real | None = None
    """Error in units in the last place of the exact result."""
    ratio: Real | None = None
    """Error over bound; above 1 is a mistake."""
    count: int = 1
    """How many elements are outside."""
    culprit: Literal["target", "baseline", "both"]
    """Who is wrong."""


class Worst(Part):
    """The largest error over bound of a case."""

    quantity: str
    """In which it is: output, grad_input, running_var, ..."""
    step: int
    """Index of the step in the case's list, from 0."""
    ratio: Real
    """Error over bound; above 1 is a mistake."""
    ulp: Real
    """The error in ulps of the channel's largest value."""


class Closeness(Part):
    """How near one quantity of a case came to the exact result."""

    ratio: Real
    """Largest error over bound."""
    ulp: Real
    """Largest error in ulps of the channel's largest value."""
    closer: Literal["target", "baseline", "equal"]
    """Who is closer to the exact result in more steps."""


class Unforeseen(Part):
    """An error of the baseline that a case does not expect: what agrees raises it too."""

    step: int
    """Index of the step in the case's list, from 0; -1 is the constructor."""
    type: str
    """The class of the error."""
    message: str
    """What it says."""


class Result(_Promised):
    """What a target did with a case."""

    always = frozenset(("divergences",))

    verdict: Verdict
    """What the case comes to."""
    reason: str | None = None
    """Why it is unsupported, known, a crash or a timeout."""
    link: str | None = None
    """Where a known divergence is discussed."""
    bitwise_equal: bool = False
    """All that the target returned equals the baseline's, bit for bit."""
    unjudged: int = 0
    """Elements that have no finite bound."""
    worst: Worst | None = None
    """None where no number was judged."""
    quantities: dict[str, Closeness] = {}
    """Those of which a number was judged."""
    declared: list[str] = []
    """Declarations of lower accuracy that the verdict rests on."""
    unforeseen: Unforeseen | None = None
    """Of a hand-written case: the first there is."""
    divergences: list[Divergence] = []
    """What differs, the baseline's own mistakes among it."""


class CaseResult(Part):
    """A case and what each target did with it."""

    id: str
    """Name of the case."""
    file: str
    """Where it is written: a path, from the folder of the run."""
    line: int
    """In the file, from 1."""
    tags: list[str]
    """Words that it can be selected by."""
    results: dict[str, Result]
    """By target."""

    def _repr_markdown_(self) -> str:
        from harness.report.markdown import of_case  # it needs this module

        return of_case(self)


class Counts(_Promised):
    """Cases by verdict."""

    always = frozenset((*get_args(Verdict), "cases", "bitwise_equal"))

    cases: int = 0
    """All of them."""
    agree: int = 0
    """Cases in which nothing is held against the target."""
    diverge: int = 0
    """Cases in which the target is outside its bound, or differs in what is no number."""
    baseline_inaccurate: int = 0
    """Cases in which the baseline is outside its bound, and the target is not."""
    unsupported: int = 0
    """Cases that ask for what the target says that it cannot do."""
    unjudged: int = 0
    """Cases of which no number has a finite bound, or in which the baseline failed."""
    known: int = 0
    """Cases whose divergences are all listed with a reason and a link."""
    crash: int = 0
    """Cases in which the target's process ended."""
    timeout: int = 0
    """Cases for which the target took too long."""
    bitwise_equal: int = 0
    """Cases in which all that the target returned equals the baseline's, bit for bit."""


class MatrixResult(Part):
    """A matrix: how its cases went, and the largest error over bound of each quantity."""

    counts: Counts
    """Its cases by verdict."""
    worst: dict[str, Real]
    """Largest error over bound, by quantity."""


class Matrix(Part):
    """A matrix and what each target did with its cases."""

    id: str
    """Name of the matrix, with which its cases' ids begin."""
    file: str
    """Where it is written: a path, from the folder of the run."""
    line: int
    """In the file, from 1."""
    tags: list[str]
    """Words that it can be selected by."""
    results: dict[str, MatrixResult]
    """By target."""


class Summary(Counts):
    """A target's cases by verdict, and the best accuracy class that each quantity holds."""

    accuracy: dict[str, AccuracyClass] = {}
    """By quantity."""


class Accuracy(Part):
    """How near a target comes to the exact result in one quantity, mode, type and layout."""

    quantity: str
    """output, grad_input, running_var, ..."""
    mode: str
    """train, eval, or backward: gradients that a later step takes."""
    dtype: str
    """Of the quantity."""
    layout: str
    """Of the input."""
    held: Annotated[AccuracyClass, Field(alias="class")]
    """The strictest class that all cases hold."""
    broken_by: str | None = None
    """A case that does not hold the next stricter class."""
    ratio: Real
    """Largest error over bound."""
    ratio_at: str
    """The case of the largest error over bound."""
    ulp: Real
    """Largest error in ulps of the channel's largest value."""
    elements: int
    """All that were measured."""
    bitwise_equal: int
    """Elements that equal the baseline's bit for bit."""
    unjudged: int
    """Elements without a finite bound."""
    vacuous: int
    """Elements whose bound is more than a tenth of their value."""


class Report(Part):
    """The comparisons of a run, with the environment they were made in."""

    format: Annotated[Literal["bn-harness/report/1"], Field(alias="schema")] = "bn-harness/report/1"
    """Version of this format."""
    environment: dict[str, Any]
    """Versions, machine and threads of the run."""
    baseline: str
    """The target that defines the expected behaviour."""
    targets: list[str]
    """Those that were asked for, by their SPECs."""
    absent: dict[str, str] = {}
    """Targets that could not run here, and why."""
    selection: dict[str, Any] = {}
    """Which cases were chosen, where not all were."""
    partial: bool = False
    """The run was interrupted."""
    summary: dict[str, Summary]
    """By target, the baseline included."""
    accuracy: dict[str, list[Accuracy]]
    """By target, the baseline included."""
    declared: dict[str, list[str]] = {}
    """By target: declarations of lower accuracy that verdicts rest on."""
    cases: list[CaseResult]
    """All by hand, and those of matrices that do not simply agree; in full reports, all."""
    matrices: list[Matrix]
    """Counts of all their cases."""

    def __getitem__(self, case: str) -> CaseResult:
        """Return a case by its id; a matrix's agreeing cases are counted, not listed."""
        for each in self.cases:
            if each.id == case:
                return each
        raise KeyError(f"{case}: not listed; the report lists {len(self.cases)} cases")

    def _repr_markdown_(self) -> str:
        from harness.report.markdown import to_markdown  # it needs this module

        return to_markdown(self)
