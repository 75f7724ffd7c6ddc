"""A matrix: axes of values that expand to cases, in full or as a covering array."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar

from allpairspy import AllPairs
from pydantic import (
    BeforeValidator,
    Field,
    StrictBool,
    StrictInt,
    StringConstraints,
    TypeAdapter,
    model_validator,
)
from pydantic_core import PydanticCustomError

from harness.case.arrays import ArraySpec, ArrayUnion, DTypeName, Layout, Shape, SpelledShape
from harness.case.model import (
    Case,
    Eval,
    Forward,
    Id,
    Model,
    ModuleConfig,
    Number,
    State,
    Train,
    Version,
)


def _fill_by_name(value: object) -> object:
    return {"fill": value} if isinstance(value, str) else value


def _one(value: object) -> object:
    return value if isinstance(value, list) else [value]


AxisFill = Annotated[ArrayUnion, BeforeValidator(_fill_by_name)]
_NORMAL: ArraySpec = TypeAdapter(AxisFill).validate_python("normal")
Sequence = Annotated[str, StringConstraints(pattern="^[TE]{1,64}$")]


Seed = Annotated[StrictInt, Field(ge=0, lt=2**40)]
T = TypeVar("T")
Axis = Annotated[tuple[T, ...], BeforeValidator(_one), Field(min_length=1)]


class Axes(Model):
    """The values of each axis; an axis that is left out has its one default value."""

    shape: Axis[SpelledShape]
    """Shapes of the input, (N, C, H, W)."""
    momentum: Axis[StrictBool | Number | None] = (0.1,)
    """Weights of the new statistic; null for a cumulative average."""
    affine: Axis[StrictBool] = (True,)
    """Whether the module has weight and bias."""
    bias: Axis[StrictBool] = (True,)
    """Whether an affine module has a bias."""
    track_running_stats: Axis[StrictBool] = (True,)
    """Whether the module keeps running statistics."""
    eps: Axis[Number] = (1e-5,)
    """Added to the variance."""
    num_features: Axis[StrictInt | None] = (None,)
    """Channel count of the module; null for the shape's."""
    sequence: Axis[Sequence] = ("TE",)
    """T for a train step, E for an eval step, each on fresh data."""
    fill: Axis[AxisFill]
    """Fills of the input, by name or with their parameters."""
    grad_output: Axis[AxisFill] = (_NORMAL,)
    """Fills of the output's gradient, where there is one."""
    grad: Axis[StrictBool] = (False,)
    """Whether each step asks for the gradients."""
    dtype: Axis[DTypeName] = ("float32",)
    """Types of parameters and statistics, and of the input unless `input_dtype` says otherwise."""
    input_dtype: Axis[DTypeName | None] = (None,)
    """Types of the input; null for the module's."""
    layout: Axis[Layout] = ("contiguous",)
    """Layouts of the input."""
    grad_layout: Axis[Layout] = ("contiguous",)
    """Layouts of the output's gradient."""
    state: Axis[State | None] = (None,)
    """Fills of weight, bias and running statistics; null for uniform and normal values."""
    seed: Axis[Seed] = (0,)
    """Where the seeds of the fills start."""


class Matrix(Model):
    """Many cases at once: one for each combination of the values of its axes."""

    id: Id
    """Name of the matrix; the ids of its cases start with it."""
    why: Annotated[str, StringConstraints(min_length=1)]
    """Which facts its cases show, and which mistakes they catch."""
    source: str | None = None
    """Where the facts are documented or were discussed."""
    tags: tuple[str, ...] = ()
    """Words to select its cases by."""
    since: Version | None = None
    """First version of torch that its cases hold for."""
    before: Version | None = None
    """First version of torch that its cases do not hold for any more."""
    matrix: Axes
    """The axes."""
    strength: Literal["full", 2, 3] = "full"
    """All combinations, or a covering array with every pair or every triple of values."""

    def cases(self) -> Iterator[Case]:
        """Yield the cases in a fixed order."""
        axes = {name: getattr(self.matrix, name) for name in Axes.model_fields}
        varied = [name for name, values in axes.items() if len(values) > 1]
        labels = {name: _labels(name, axes[name]) for name in varied}
        for chosen in _combinations([len(values) for values in axes.values()], self.strength):
            at = dict(zip(axes, chosen, strict=True))
            spelled = ",".join(f"{name}={labels[name][at[name]]}" for name in varied)
            values = {name: axes[name][index] for name, index in at.items()}
            yield self._case(f"{self.id}/{spelled}" if varied else f"{self.id}/only", values)

    def _case(self, name: str, at: dict[str, Any]) -> Case:
        shape: Shape = at["shape"]
        channels = shape[1] if len(shape) > 1 else 1
        module = ModuleConfig(
            num_features=channels if at["num_features"] is None else at["num_features"],
            **{key: at[key] for key in _ARGUMENTS if key != "bias" or not at["bias"]},
        )
        steps = []
        for number, mode in enumerate(at["sequence"]):
            seed = 100 * at["seed"] + number
            given = _placed(at["fill"], shape, at["input_dtype"], at["layout"], seed)
            gradient = None
            if at["grad"]:
                gradient = _placed(
                    at["grad_output"], None, at["input_dtype"], at["grad_layout"], seed + 50
                )
            forward = Forward(input=given, grad_output=gradient)
            steps.append(Train(train=forward) if mode == "T" else Eval(eval=forward))
        return Case(
            id=name,
            why=self.why,
            source=self.source,
            tags=self.tags,
            since=self.since,
            before=self.before,
            module=module,
            state=_present(at["state"] or _state(at["seed"]), module),
            steps=tuple(steps),
        )

    @model_validator(mode="after")
    def _values_of_an_axis_differ(self) -> Matrix:
        for name in Axes.model_fields:
            labels = _labels(name, getattr(self.matrix, name))
            for label in labels:
                if labels.count(label) > 1:
                    raise PydanticCustomError(
                        "axis",
                        "the axis {name} has the value {label} twice",
                        {"name": name, "label": label},
                    )
        return self


_ARGUMENTS = ("eps", "momentum", "affine", "track_running_stats", "bias", "dtype")


def _combinations(sizes: list[int], strength: Literal["full", 2, 3]) -> Iterator[tuple[int, ...]]:
    if strength == "full":
        yield from itertools.product(*map(range, sizes))
        return
    # The library wants no axis of one value, and at least as many axes as the strength.
    varied = [index for index, size in enumerate(sizes) if size > 1]
    if len(varied) <= strength:
        yield from itertools.product(*map(range, sizes))
        return
    for row in AllPairs([list(range(sizes[index])) for index in varied], n=strength):
        chosen = dict(zip(varied, row, strict=True))
        yield tuple(chosen.get(index, 0) for index in range(len(sizes)))


@lru_cache(maxsize=4096)
def _placed(
    fill: ArraySpec, shape: Shape | None, dtype: str | None, layout: Layout, seed: int
) -> ArraySpec:
    changes: dict[str, Any] = {"shape": shape, "dtype": dtype, "layout": layout}
    if "seed" in type(fill).model_fields:
        changes["seed"] = seed
    return fill.model_copy(update=changes)


@lru_cache(maxsize=64)
def _state(seed: int) -> State:
    """Return values that hide no mistake: weight 1, bias 0, mean 0 and variance 1 would."""
    start = 100 * seed + 90
    return State.model_validate(
        {
            "weight": {"fill": "uniform", "low": 0.5, "high": 2, "seed": start},
            "bias": {"fill": "normal", "seed": start + 1},
            "running_mean": {"fill": "normal", "seed": start + 2},
            "running_var": {"fill": "uniform", "low": 0.5, "high": 2, "seed": start + 3},
        }
    )


def _present(state: State, module: ModuleConfig) -> State:
    kept = state.model_fields_set & module.present
    return State(**{name: getattr(state, name) for name in kept})


def _labels(name: str, values: tuple[Any, ...]) -> list[str]:
    if name == "state":
        return [str(index) for index in range(len(values))]
    return [_label(value) for value in values]


def _label(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, tuple):
        return "x".join(map(str, value)) or "scalar"
    if isinstance(value, ArraySpec):
        changed = {
            key: item
            for key, item in value.model_dump(exclude_unset=True).items()
            if key not in ("fill", "values")
        }
        name = getattr(value, "fill", "values")
        inner = ",".join(f"{key}={_label(item)}" for key, item in changed.items())
        return f"{name}({inner})" if inner else name
    return str(value)
