"""The features, and which cases and differences speak of each.

A case with a topic of its own (special values, types, errors, …) speaks of that topic alone, so
that a framework that loses digits on ill-conditioned data is not said to have a wrong gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from harness.case import needs
from harness.case.model import Case, Eval, Train
from harness.report.model import Divergence

ILL_CONDITIONED = ("cancellation", "offset-by-spread", "variance-near-eps", "offset(", "a-million")
"""Words in files and ids of cases whose mean is far above their spread, or whose sums are long."""


@dataclass(frozen=True)
class Told:
    """A case, and where it stands.

    Attributes
    ----------
    case : Case
    tags : collection of str
    file : str
    """

    case: Case
    tags: Collection[str]
    file: str

    @property
    def topic(self) -> str:
        """The feature that the case speaks of alone, "" where it speaks of several."""
        if any(0 in (step.forward.input.size or ()) for step in self.case.steps if step.forward):
            return "empty batches"
        for tag in ("errors", "special-values"):
            if tag in self.tags:
                return tag.replace("-", " ")
        if "dtypes" in self.tags or needs.dtypes(self.case) - {"float32", "int64"}:
            return "dtypes"
        if "layouts" in self.tags:
            return "layouts"
        if any(word in f"{self.file} {self.case.id}" for word in ILL_CONDITIONED):
            return "ill-conditioned"
        return "momentum None" if self.case.module.momentum is None else ""

    def has(self, kind: type[Train] | type[Eval]) -> bool:
        """Whether the case has a step of a kind."""
        return any(isinstance(step, kind) for step in self.case.steps)

    def forward(self, divergence: Divergence, kind: type[Train] | type[Eval]) -> bool:
        """Whether a difference is in the forward pass of a step of a kind."""
        if divergence.step < 0 or not isinstance(self.case.steps[divergence.step], kind):
            return False
        return divergence.quantity in ("output", "error", "input")


@dataclass(frozen=True)
class Feature:
    """A column.

    Attributes
    ----------
    name : str
    speaks : callable
        Whether a case speaks of it.
    shown_by : callable
        Whether a difference, in a case that speaks of it, is one of it.
    quantity : str
        What must have been judged for a case to count where the rest of it is unsupported.
    declaration : str
        How the text of the declaration begins that the feature may rest on.
    """

    name: str
    speaks: Callable[[Told], bool]
    shown_by: Callable[[Told, Divergence], bool]
    quantity: str = ""
    declaration: str = ""


def _topic(name: str, declaration: str = "") -> Feature:
    return Feature(
        name, lambda told: told.topic == name, lambda *_: True, declaration=declaration or name
    )


def _forward(name: str, kind: type[Train] | type[Eval]) -> Feature:
    return Feature(
        name,
        lambda told: not told.topic and told.has(kind),
        lambda told, each: told.forward(each, kind),
        "output",
        "eps",
    )


def _running(name: str, quantity: str, declaration: str) -> Feature:
    return Feature(
        name,
        lambda told: not told.topic and told.case.module.track_running_stats and told.has(Train),
        lambda _, each: each.quantity == quantity,
        quantity,
        declaration,
    )


FEATURES = (
    _forward("forward train", Train),
    _forward("forward eval", Eval),
    _running("running mean", "running_mean", "momentum"),
    _running("running variance", "running_var", "running_var"),
    _running("counter", "num_batches_tracked", "no counter"),
    _topic("momentum None"),
    Feature(
        "gradients",
        lambda told: not told.topic and told.case.gradients,
        lambda _, each: each.quantity.startswith("grad_"),
        "grad_input",
    ),
    _topic("dtypes"),
    _topic("layouts", "memory format"),
    _topic("special values"),
    _topic("empty batches"),
    _topic("errors", "types of errors"),
    _topic("ill-conditioned"),
)
"""The columns, in their order."""
