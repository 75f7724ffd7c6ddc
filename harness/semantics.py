"""What an implementation documents to mean otherwise than torch, and is not held to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from harness.dtypes import Floating
from harness.errors import InvalidInput
from harness.oracle import Declared

ATTRIBUTE = "bn_harness"
"""The class attribute by which a class declares."""


@dataclass(frozen=True)
class Difference:
    """One documented difference.

    Attributes
    ----------
    text : str
        What it is and why, as reports show it.
    """

    text: str


@dataclass(frozen=True)
class Semantics:
    """Where an implementation documents another meaning than torch's; None where it has torch's.

    Attributes
    ----------
    running_var : Difference or None
        The running variance averages the biased variance of the batch, not n/(n−1) times it.
    momentum : Difference or None
        The average is weighed by 1 − fl32(1 − momentum): the implementation takes the
        complement, as a float32.
    eps : Difference or None
        eps is rounded to float32, whatever the module's type.
    num_batches_tracked : Difference or None
        There is no counter.
    layout : Difference or None
        Results have a memory format of their own, whatever the input's.
    errors : Difference or None
        What torch refuses is refused with errors of other types.
    state : Difference or None
        A step may put new arrays in the place of those of the state, instead of writing into them.
    results : Difference or None
        The memory of results is used again: what is returned holds until the next call.
    """

    running_var: Difference | None = None
    momentum: Difference | None = None
    eps: Difference | None = None
    num_batches_tracked: Difference | None = None
    layout: Difference | None = None
    errors: Difference | None = None
    state: Difference | None = None
    results: Difference | None = None


TORCH = Semantics()
"""Those of ``torch.nn.BatchNorm2d``."""


_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Difference(_Closed):
    reason: _Text
    link: str | None = None

    def of(self, what: str) -> Difference:
        return Difference(f"{what}: {self.reason}" + (f" ({self.link})" if self.link else ""))


class _RunningVar(_Difference):
    is_: Literal["biased"] = Field(alias="is")


class _Momentum(_Difference):
    is_: Literal["float32 complement"] = Field(alias="is")


class _Eps(_Difference):
    is_: Literal["float32"] = Field(alias="is")


class _Counter(_Difference):
    is_: Literal["absent"] = Field(alias="is")


class _Layout(_Difference):
    is_: Literal["own"] = Field(alias="is")


class _Errors(_Difference):
    is_: Literal["own types"] = Field(alias="is")


class _State(_Difference):
    is_: Literal["own"] = Field(alias="is")


class _Results(_Difference):
    is_: Literal["reused"] = Field(alias="is")


class LowerAccuracy(_Closed):
    """What is declared for one type of parameters, as `harness.oracle.Declared`."""

    parameters: Floating
    reason: _Text
    statistics: Floating | None = None
    saved_statistics: Floating | None = None
    parameter_gradients: Floating | None = None
    flush_to_zero: bool = False

    def declared(self) -> Declared:
        """Return it without the type of the parameters."""
        return Declared(**self.model_dump(exclude={"parameters"}))


class _Backward(_Difference):
    is_: Literal["absent"] = Field(alias="is")


class Differences(_Closed):
    """What a class, or a worker in its hello, may document to mean otherwise than torch."""

    running_var: _RunningVar | None = None
    momentum: _Momentum | None = None
    eps: _Eps | None = None
    num_batches_tracked: _Counter | None = None
    layout: _Layout | None = None
    errors: _Errors | None = None
    state: _State | None = None
    results: _Results | None = None

    def semantics(self) -> Semantics:
        """Return the differences of meaning."""
        return Semantics(
            self.running_var.of("running_var biased") if self.running_var else None,
            self.momentum.of("momentum as its float32 complement") if self.momentum else None,
            self.eps.of("eps as a float32") if self.eps else None,
            self.num_batches_tracked.of("no counter") if self.num_batches_tracked else None,
            self.layout.of("memory format") if self.layout else None,
            self.errors.of("types of errors") if self.errors else None,
            self.state.of("arrays of the state") if self.state else None,
            self.results.of("memory of results") if self.results else None,
        )


class Declares(Differences):
    """What the attribute `bn_harness` of a class may hold."""

    backward: _Backward | None = None
    accuracy: tuple[LowerAccuracy, ...] = ()
    versions: dict[str, str] = {}

    def accuracies(self) -> tuple[tuple[str, Declared], ...]:
        """Return type of parameters and lower accuracy, by declaration."""
        return tuple((each.parameters, each.declared()) for each in self.accuracy)


def declares(name: str, cls: type[Any]) -> Declares:
    """Return what a class declares by its attribute, nothing without one.

    Parameters
    ----------
    name : str
        The SPEC of the class, for messages.
    cls : class

    Raises
    ------
    InvalidInput
        The attribute is not of the form that docs/targets.md gives.
    """
    try:
        return Declares.model_validate(getattr(cls, ATTRIBUTE, {}))
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join((ATTRIBUTE, *map(str, first["loc"])))
        raise InvalidInput(f"{name}: {at}: {first['msg']}; see docs/targets.md") from None
