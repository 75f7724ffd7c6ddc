"""A matrix: axes of values that expand to cases, in full or as a covering array."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from operator import itemgetter
from typing import Any

from pydantic import model_validator

from harness.case.arrays import BUDGET, ArraySpec, elements, unarrangeable
from harness.case.axes import LETTERS, Axes, labels
from harness.case.base import Id, Model, Version, Word
from harness.case.covering import Strength, combinations, excess
from harness.case.drawn import Shape
from harness.case.fit import order_of_versions
from harness.case.frozen import Misfit, refuse
from harness.case.model import Case, Eval, Forward, ModuleConfig, State, Step, Train
from harness.case.rows import row_misfit

_ID = 300


class Matrix(Model):
    """Many cases at once: one for each combination of the values of its axes."""

    id: Id
    """Name of the matrix; the ids of its cases start with it."""
    why: Word
    """Which facts its cases show, and which mistakes they catch."""
    source: str | None = None
    """Where the facts are documented or were discussed."""
    tags: tuple[Word, ...] = ()
    """Words to select its cases by."""
    since: Version | None = None
    """First version of torch that its cases hold for."""
    before: Version | None = None
    """First version of torch that its cases do not hold for any more."""
    matrix: Axes
    """The axes."""
    strength: Strength = "full"
    """All combinations, or a covering array with every pair or every triple of values."""

    def cases(self, wanted: Callable[[str], bool] = lambda _: True) -> Iterator[Case]:
        """Yield the cases in a fixed order; those alone whose ids are wanted are made."""
        common: dict[str, Any] = dict.fromkeys(_OWN)
        common |= {name: getattr(self, name) for name in self.model_fields_set & _COMMON}
        make = _Maker(self.matrix)
        # Every part is validated, and so is their fit: for all combinations, by the matrix. To copy
        # a case takes little more than half the time that it takes to construct one.
        blank = Case.model_construct(**common)
        for name, chosen in self._combinations():
            if wanted(name):
                yield blank.model_copy(update={"id": name, **make.parts(chosen)})

    def ids(self) -> Iterator[str]:
        """Yield the ids of the cases, without making them."""
        return (name for name, _ in self._combinations())

    def kinds(self, name: str) -> list[str]:
        """Return the kind of each step of the case of an id, which spells what varies."""
        sequences, words = self.matrix.sequence, name.removeprefix(f"{self.id}/").split(",")
        chosen = (each for each in sequences if len(sequences) == 1 or f"sequence={each}" in words)
        return [LETTERS[letter] for letter in next(chosen, "")]

    def _combinations(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield ids, and which value of each axis is chosen."""
        axes = self.matrix.values()
        spelled = [
            (axis, [f"{name}={word}" for word in labels(name, values)])
            for axis, (name, values) in enumerate(axes.items())
            if len(values) > 1
        ]
        for chosen in combinations([len(values) for values in axes.values()], self.strength):
            words = ",".join([words[chosen[axis]] for axis, words in spelled])
            yield f"{self.id}/{words or 'only'}", chosen

    @model_validator(mode="after")
    def _every_combination_is_a_case(self) -> Matrix:
        refuse(order_of_versions(self.since, self.before))
        refuse((("matrix", *loc), message) for loc, message in _misfits(self.matrix))
        sizes = [len(values) for values in self.matrix.values().values()]
        if message := excess(sizes, self.strength):
            refuse([(("matrix",), message)])
        longest = sum(
            len(name) + 2 + max(map(len, labels(name, values)))
            for name, values in self.matrix.values().items()
            if len(values) > 1
        )
        if len(self.id) + longest > _ID:
            message = f"ids of more than {_ID} characters; shorten the id or the values' parameters"
            refuse([(("id",), message)])
        return self


_COMMON = frozenset(("why", "source", "tags", "since", "before"))
_OWN = ("id", "module", "state", "steps")
"""The fields that all cases have in common, and those that each has of its own."""


def _misfits(axes: Axes) -> Iterator[Misfit]:
    """Yield what makes some combination no case; each pair of values occurs in one."""
    for name, values in axes.values().items():
        yield from _repeated(name, values)
    for index, shape in enumerate(axes.shape):
        yield from _shape_misfits(axes, index, shape)
        for channels in axes.num_features:
            yield from _states(axes, _channels(shape, channels))
    for index, channels in enumerate(axes.num_features):
        if channels is not None and channels > BUDGET:
            yield ("num_features", index), f"expected at most {BUDGET}, found {channels}"


def _shape_misfits(axes: Axes, index: int, shape: Shape) -> Iterator[Misfit]:
    gradients = any(axes.grad)
    if elements(shape) * max(map(len, axes.sequence)) * (1 + gradients) > BUDGET:
        message = f"the steps of a case of this shape are over the budget of {BUDGET} elements"
        yield ("shape", index), message
    for name in ("layout", "grad_layout") if gradients else ("layout",):
        for number, layout in enumerate(getattr(axes, name)):
            if misfit := unarrangeable(layout, shape):
                yield (name, number), misfit
    for name in ("fill", "grad_output") if gradients else ("fill",):
        like = shape if name == "grad_output" else None
        for number, fill in enumerate(getattr(axes, name)):
            if misfit := fill.misfit(shape, like):
                yield (name, number), misfit


def _states(axes: Axes, channels: int) -> Iterator[Misfit]:
    for number, state in enumerate(axes.state):
        for name in sorted(state.model_fields_set if state else ()):
            spec = getattr(state, name)
            if isinstance(spec, ArraySpec) and (misfit := row_misfit(spec, max(channels, 0))):
                yield ("state", number, name), misfit


def _repeated(name: str, values: tuple[Any, ...]) -> Iterator[Misfit]:
    seen: set[str] = set()
    for index, (value, word) in enumerate(zip(values, labels(name, values), strict=True)):
        # The one shows defaults, the other differs for values that ids cannot tell apart.
        if not seen.isdisjoint((repr(value), f"label {word}")):
            yield (name, index), f"the axis {name} has this value twice"
        seen.update((repr(value), f"label {word}"))


def _channels(shape: Shape, num_features: int | None) -> int:
    if num_features is not None:
        return num_features
    return shape[1] if len(shape) > 1 else 1


class _Maker:
    """Makes the parts of cases from indices into axes, each part once."""

    def __init__(self, axes: Axes) -> None:
        self.axes = axes.values()
        # Keys are indices: as values, 0.0 and -0.0, or 1 and true, would be one key.
        self._module = lru_cache(maxsize=4096)(self._make_module)
        self._steps = lru_cache(maxsize=512)(self._make_steps)
        self._state = lru_cache(maxsize=4096)(self._make_state)

    def parts(self, chosen: tuple[int, ...]) -> dict[str, Any]:
        """Return module, state and steps."""
        module = self._module(_OF_MODULE(chosen))
        return {
            "module": module,
            "state": self._state(*_OF_STATE(chosen), module.present),
            "steps": self._steps(_OF_STEPS(chosen)),
        }

    def _at(self, names: tuple[str, ...], indices: tuple[int, ...]) -> dict[str, Any]:
        return {name: self.axes[name][index] for name, index in zip(names, indices, strict=True)}

    def _make_module(self, indices: tuple[int, ...]) -> ModuleConfig:
        at = self._at(_MODULE, indices)
        channels = _channels(at.pop("shape"), at.pop("num_features"))
        if at["bias"]:
            del at["bias"]  # older versions of torch do not know it
        return ModuleConfig(num_features=channels, **at)

    def _make_steps(self, indices: tuple[int, ...]) -> tuple[Step, ...]:
        at = self._at(_STEPS, indices)
        steps: list[Step] = []
        for seed, mode in enumerate(at["sequence"], 100 * at["seed"]):
            given = {"shape": at["shape"], "dtype": at["input_dtype"], "layout": at["layout"]}
            parts = {"input": _placed(at["fill"], seed, given)}
            if at["grad"]:
                given = {"dtype": at["input_dtype"], "layout": at["grad_layout"]}
                parts["grad_output"] = _placed(at["grad_output"], seed + _GRADIENT, given)
            forward = Forward(**parts)
            steps.append(Train(train=forward) if mode == "T" else Eval(eval=forward))
        return tuple(steps)

    def _make_state(self, index: int, seed: int, present: frozenset[str]) -> State:
        state = self.axes["state"][index] or _state(self.axes["seed"][seed])
        kept = state.model_fields_set & present
        return State.model_construct(**{name: getattr(state, name) for name in kept})


_MODULE = (
    *("shape", "num_features", "eps", "momentum"),
    *("affine", "track_running_stats", "bias", "dtype"),
)
_STEPS = (
    *("shape", "sequence", "fill", "input_dtype", "layout"),
    *("grad", "grad_output", "grad_layout", "seed"),
)
_OF_MODULE, _OF_STATE, _OF_STEPS = (
    itemgetter(*map([*Axes.model_fields].index, names))
    for names in (_MODULE, ("state", "seed"), _STEPS)
)
"""What takes the indices of some axes out of those of all."""

_GRADIENT, _INITIAL = 50, 90
"""What is added to the seed of a sequence for output gradients, and for the state."""


def _placed(fill: ArraySpec, seed: int, given: dict[str, Any]) -> ArraySpec:
    changes = {name: value for name, value in given.items() if value is not None}
    if "seed" in type(fill).model_fields:
        changes["seed"] = seed
    return fill.model_copy(update=changes)


def _state(seed: int) -> State:
    """Return values that hide no mistake: weight 1, bias 0, mean 0 and variance 1 would."""
    start = 100 * seed + _INITIAL
    return State.model_validate(
        {
            "weight": {"fill": "normal", "mean": 0.5, "seed": start},
            "bias": {"fill": "normal", "seed": start + 1},
            "running_mean": {"fill": "normal", "seed": start + 2},
            "running_var": {"fill": "uniform", "low": 0.5, "high": 2, "seed": start + 3},
        }
    )
