"""What an implementation documents to mean otherwise than torch, and is not held to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypeVar

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


_Word = TypeVar("_Word")


class _Documented(_Closed, Generic[_Word]):
    is_: _Word = Field(alias="is")
    reason: _Text
    link: str | None = None

    def of(self, what: str) -> Difference:
        return Difference(f"{what}: {self.reason}" + (f" ({self.link})" if self.link else ""))


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


_MEANT = {
    "running_var": "running_var biased",
    "momentum": "momentum as its float32 complement",
    "eps": "eps as a float32",
    "num_batches_tracked": "no counter",
    "layout": "memory format",
    "errors": "types of errors",
    "state": "arrays of the state",
    "results": "memory of results",
}
"""What reports call each difference."""


class Differences(_Closed):
    """What a class, or a worker in its hello, may document to mean otherwise than torch."""

    running_var: _Documented[Literal["biased"]] | None = None
    momentum: _Documented[Literal["float32 complement"]] | None = None
    eps: _Documented[Literal["float32"]] | None = None
    num_batches_tracked: _Documented[Literal["absent"]] | None = None
    layout: _Documented[Literal["own"]] | None = None
    errors: _Documented[Literal["own types"]] | None = None
    state: _Documented[Literal["own"]] | None = None
    results: _Documented[Literal["reused"]] | None = None

    def semantics(self) -> Semantics:
        """Return the differences of meaning."""
        said = {name: getattr(self, name) for name in _MEANT}
        return Semantics(
            **{name: each.of(_MEANT[name]) for name, each in said.items() if each is not None}
        )


class Declares(Differences):
    """What the attribute `bn_harness` of a class may hold."""

    backward: _Documented[Literal["absent"]] | None = None
    accuracy: tuple[LowerAccuracy, ...] = ()
    versions: dict[str, str] = {}

    def no_gradients(self) -> str | None:
        """Return why there are none, None where there are."""
        return None if self.backward is None else self.backward.of("no backward pass").text

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
