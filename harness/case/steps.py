"""The steps of a case: what can happen to a module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Discriminator, Field, StrictBool, StrictInt, Tag

from harness.case.arrays import ArraySpec, DTypeName
from harness.case.base import Model, Number, Raises, Word
from harness.case.frozen import FrozenDict
from harness.case.passes import Forward, Later
from harness.case.rows import StateList, StateValue
from harness.dtypes import dtype
from harness.trace import StateName


class Parameter(Model):
    """An ``nn.Parameter`` assigned to an attribute that need not have been one."""

    parameter: StateValue
    """Its values."""


def _setting(value: object) -> str:
    if isinstance(value, dict):
        return "parameter" if "parameter" in value else "array"
    if isinstance(value, Parameter):
        return "parameter"
    return "array" if isinstance(value, list | tuple | ArraySpec) else "scalar"


Setting = Annotated[
    Annotated[Parameter, Tag("parameter")]
    | Annotated[StateList, Tag("array")]
    | Annotated[StrictBool | Number | None, Tag("scalar")],
    Discriminator(_setting),
]


class Settings(Model):
    """Attributes assigned in one `set` step, in the order of this list."""

    training: StrictBool | None = None
    """The mode flag, without calling train() or eval()."""
    num_features: StrictInt | None = None
    """Number of channels that the resets use."""
    eps: StrictBool | Number | None = None
    """Added to the variance."""
    momentum: StrictBool | Number | None = None
    """Weight of the new statistic; null for a cumulative average."""
    affine: StrictBool | None = None
    """The flag alone; weight and bias stay as they are."""
    track_running_stats: StrictBool | None = None
    """The flag alone; the buffers stay as they are."""
    weight: Setting = None
    """A parameter, or null."""
    bias: Setting = None
    """A parameter, or null."""
    running_mean: Setting = None
    """A buffer, or null; {parameter: [...]} assigns an nn.Parameter."""
    running_var: Setting = None
    """A buffer, or null; {parameter: [...]} assigns an nn.Parameter."""
    num_batches_tracked: Setting = None
    """A count, or null."""

    def items(self) -> Iterator[tuple[str, Any]]:
        """Yield name and value of each assignment."""
        for name in type(self).model_fields:
            if name in self.model_fields_set:
                yield name, getattr(self, name)


class Load(Model):
    """A state_dict that is loaded."""

    source: Annotated[Word, Field(alias="from")]
    """Name under which an earlier step saved it."""
    drop: tuple[StateName, ...] = ()
    """Keys to remove from it first."""
    add: Annotated[dict[str, StateValue], AfterValidator(FrozenDict)] = Field(
        default_factory=FrozenDict
    )
    """Keys to add to it, or to replace."""
    strict: StrictBool = True
    """Whether missing and unexpected keys are errors."""
    versioned: StrictBool = True
    """Whether its metadata, with the version of the format, is kept."""
    raises: Raises | None = None
    """The error that loading must raise."""


class _Step(Model):
    """One thing that happens to the module."""

    kind: ClassVar[str]
    """The step's one key that is no option: "train", "eval", "set", ..."""

    @property
    def forward(self) -> Forward | None:
        """The forward pass, for a train or eval step."""
        return None

    @property
    def expected_error(self) -> Raises | None:
        """The error that the step must raise."""
        error: Raises | None = getattr(self, "raises", None)
        return error


class Train(_Step):
    """A step in training mode."""

    kind = "train"

    train: Forward
    """Calls train() and then the module."""

    @property
    def forward(self) -> Forward:
        """The forward pass."""
        return self.train

    @property
    def expected_error(self) -> Raises | None:
        """The error that the step must raise."""
        return self.train.raises


class Eval(_Step):
    """A step in evaluation mode."""

    kind = "eval"

    eval: Forward
    """Calls eval() and then the module."""

    @property
    def forward(self) -> Forward:
        """The forward pass."""
        return self.eval

    @property
    def expected_error(self) -> Raises | None:
        """The error that the step must raise."""
        return self.eval.raises


class Backward(_Step):
    """The gradients of an earlier train or eval step, taken now."""

    kind = "backward"

    backward: Later
    """Which step's, and from which gradient of its output."""

    @property
    def expected_error(self) -> Raises | None:
        """The error that the backward pass must raise."""
        return self.backward.raises


class Set(_Step):
    """Attribute assignment."""

    kind = "set"

    set: Settings
    """Attributes and their new values."""
    raises: Raises | None = None
    """The error that the assignment must raise."""


class Call(_Step):
    """A method called without arguments."""

    kind = "call"

    call: Literal["reset_running_stats", "reset_parameters", "deepcopy"]
    """The method; `deepcopy` goes on with a deep copy of the module."""
    raises: Raises | None = None
    """The error that the call must raise."""


class Cast(_Step):
    """A change of type of parameters and running statistics, as ``module.to(dtype)``."""

    kind = "cast"

    cast: DTypeName
    """The new type."""
    raises: Raises | None = None
    """The error that the cast must raise."""

    @property
    def converts(self) -> bool:
        """Whether a module takes the type: it refuses to become integers, and stays as it was."""
        return dtype(self.cast).kind not in "biu"


class Save(_Step):
    """A copy of the state_dict, kept under a name."""

    kind = "save"

    save: Word
    """The name."""


class LoadStep(_Step):
    """A saved state_dict loaded into the module."""

    kind = "load"

    load: Load
    """What is loaded, and how."""

    @property
    def expected_error(self) -> Raises | None:
        """The error that loading must raise."""
        return self.load.raises


STEPS = {each.kind: each for each in (Train, Eval, Backward, Set, Call, Cast, Save, LoadStep)}
"""The kinds of step, by their key in YAML."""


def _kind(value: object) -> str | None:
    if isinstance(value, _Step):
        return value.kind
    if isinstance(value, dict):
        return next((key for key in value if key in STEPS), None)
    return None


Step = Annotated[
    Annotated[Train, Tag("train")]
    | Annotated[Eval, Tag("eval")]
    | Annotated[Backward, Tag("backward")]
    | Annotated[Set, Tag("set")]
    | Annotated[Call, Tag("call")]
    | Annotated[Cast, Tag("cast")]
    | Annotated[Save, Tag("save")]
    | Annotated[LoadStep, Tag("load")],
    Discriminator(
        _kind,
        custom_error_type="step",
        custom_error_message="a step is one of train, eval, backward, set, call, cast, save, load",
    ),
]
