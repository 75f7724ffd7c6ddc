"""What is not a number, judged against the baseline: errors, presence, types, shapes, layouts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from harness.case.model import Call, LoadStep, Raises
from harness.compare.findings import Aspect, Culprit, Divergence, number
from harness.compare.judged import Assessed
from harness.compare.transfer import Moves, expected
from harness.trace import RESULTS, STATE, Array, Raised, same_bits

Saved = Mapping[str, Mapping[str, Array]]
"""State dicts by the names that save steps gave them."""


def errors(
    at: tuple[int, int], wanted: Raises | None, target: Raised | None, baseline: Raised | None
) -> Iterator[Divergence]:
    """Yield where an error is missing, unexpected, or of another kind.

    The type must be the baseline's. The message is held to the case's own pattern, if it has one,
    and so is the baseline's: a pattern that torch does not match is a mistake of the case.
    """
    if wanted is not None and (culprit := _missing(wanted, target, baseline)):
        yield _divergence(
            at,
            "error",
            "published",
            f"{wanted.type} matching '{wanted.match}'" if wanted.match else wanted.type,
            str((baseline if culprit == "baseline" else target) or "no error"),
            culprit=culprit,
        )
    if (target is None) != (baseline is None) or (
        target is not None and baseline is not None and _kind(target) != _kind(baseline)
    ):
        yield _divergence(
            at, "error", "error", str(baseline or "no error"), str(target or "no error")
        )


def _missing(wanted: Raises, target: Raised | None, baseline: Raised | None) -> Culprit | None:
    """Return who does not raise what the case expects, None if both do."""
    ours, theirs = _matches(wanted, target), _matches(wanted, baseline)
    if ours:
        return None if theirs else "baseline"
    return "target" if theirs else "both"


def _matches(wanted: Raises, raised: Raised | None) -> bool:
    return (
        raised is not None
        and raised.type == wanted.type
        and re.search(wanted.match, raised.message) is not None
    )


def _kind(raised: Raised) -> tuple[str, bool]:
    return raised.type, raised.phase == "backward"


def initial(
    target: Mapping[str, Array | None], baseline: Mapping[str, Array | None]
) -> Iterator[Divergence]:
    """Yield where the state before the first step differs: nothing has been computed yet."""
    for name in STATE:
        ours, theirs = target.get(name), baseline.get(name)
        different = list(form((-1, 0), name, ours, theirs))
        yield from different
        if not different and ours is not None and theirs is not None:
            yield from _values((-1, 0), name, ours, theirs)


def results(
    at: tuple[int, int], target: Assessed, baseline: Assessed, skip: frozenset[str]
) -> Iterator[Divergence]:
    """Yield where output or gradients differ in presence, type, shape or layout."""
    returned, wanted = target.done.results, baseline.done.results
    layouts, formats = target.done.layouts, baseline.done.layouts
    for name in RESULTS:
        if name not in wanted or name in skip:
            continue
        ours, theirs = returned.get(name), wanted[name]
        if not _alike(ours, theirs):
            yield from form(at, name, ours, theirs)
        elif (layout := layouts.get(name)) != (format_ := formats.get(name)):
            yield _divergence(at, name, "layout", _layout(format_), _layout(layout))


def state(
    at: tuple[int, int],
    target: Assessed,
    baseline: Assessed,
    target_saved: Saved,
    baseline_saved: Saved,
) -> Iterator[Divergence]:
    """Yield where the state left behind differs, but for what was judged by its numbers."""
    for name in STATE:
        ours, theirs = target.done.state.get(name), baseline.done.state.get(name)
        our_old, their_old = target.before.get(name), baseline.before.get(name)
        if ours is our_old and theirs is their_old:  # the step has moved neither
            continue
        # What differed before the step, the step is not to blame for.
        if not _alike(our_old, their_old):
            continue
        if not _alike(ours, theirs):
            yield from form(at, name, ours, theirs)
        elif ours is not None and name not in target.computed:
            moves = _moves(baseline, baseline_saved), _moves(target, target_saved)
            wanted = expected(name, *moves)
            if wanted is not None:
                yield from _values(at, name, ours, wanted)


def _alike(ours: Array | None, theirs: Array | None) -> bool:
    """Whether two arrays are the same in presence, type and shape."""
    if ours is None or theirs is None:
        return ours is theirs
    return ours.shape == theirs.shape and ours.dtype == theirs.dtype


def _moves(assessed: Assessed, saved: Saved) -> Moves:
    step = assessed.asked.step
    loaded = saved.get(step.load.source, {}) if isinstance(step, LoadStep) else {}
    return Moves(assessed.before, assessed.done.state, loaded)


def saved_keys(at: tuple[int, int], target: Assessed, baseline: Assessed) -> Iterator[Divergence]:
    """Yield where state dicts differ in their keys, or in types and shapes of their arrays."""
    ours, theirs = target.done.saved, baseline.done.saved
    if ours is None or theirs is None:
        return
    if list(ours) != list(theirs):
        yield _divergence(at, "state_dict", "state", ", ".join(theirs), ", ".join(ours))
        return
    for key in theirs:
        yield from form(at, f"state_dict.{key}", ours[key], theirs[key])


def untouched(at: tuple[int, int], target: Assessed) -> Iterator[Divergence]:
    """Yield where the target wrote into what it was given, or into what it had returned."""
    if target.done.input_changed:
        yield _divergence(at, "input", "input", "unchanged", "changed by the target")
    for name in RESULTS:
        if name in target.done.overwritten:
            yield _divergence(at, name, "memory", "left as it was returned", "written over")


def shared(at: tuple[int, int], target: Assessed) -> Iterator[Divergence]:
    """Yield the arrays that a deep copy has in common with what it is a copy of.

    Nothing is held against a target that does not tell. A counter may be a number, which is shared
    without harm, and an array without elements has no place in memory.
    """
    step, done = target.asked.step, target.done
    if not isinstance(step, Call) or step.call != "deepcopy" or done.replaced is None:
        return
    for name in STATE:
        before, after = target.before.get(name), done.state.get(name)
        if before is None or after is None or not after.size or name == "num_batches_tracked":
            continue
        if name not in done.replaced:
            yield _divergence(at, name, "memory", "of the copy alone", "shared with the original")


def form(
    at: tuple[int, int], name: str, ours: Array | None, theirs: Array | None
) -> Iterator[Divergence]:
    """Yield where two arrays differ in presence, type or shape."""
    if ours is None or theirs is None:
        if (ours is None) != (theirs is None):
            yield _divergence(at, name, "presence", _presence(theirs), _presence(ours))
        return
    if ours.dtype != theirs.dtype:
        yield _divergence(at, name, "dtype", theirs.dtype.name, ours.dtype.name)
    if ours.shape != theirs.shape:
        yield _divergence(at, name, "shape", str(theirs.shape), str(ours.shape))


def _values(at: tuple[int, int], name: str, ours: Array, wanted: Array) -> Iterator[Divergence]:
    if ours.shape != wanted.shape:
        yield _divergence(at, name, "shape", str(wanted.shape), str(ours.shape))
        return
    if same_bits(ours, wanted):
        return
    wrong = np.not_equal(ours, wanted)
    if wanted.dtype.kind not in "biu":
        wrong &= ~(np.isnan(ours) & np.isnan(wanted))
    if not wrong.any():
        return
    index = tuple(int(each) for each in np.argwhere(wrong)[0]) if wrong.ndim else ()
    yield _divergence(
        at,
        name,
        "state",
        _plain(wanted[index]),
        _plain(ours[index]),
        index=index,
        count=int(np.count_nonzero(wrong)),
    )


def _plain(value: np.generic) -> str | float | int:
    return int(value.item()) if value.dtype.kind in "biu" else number(value.item())


def _presence(array: Array | None) -> str:
    return "None" if array is None else f"{array.dtype.name} array of shape {array.shape}"


def _layout(formats: frozenset[str] | None) -> str:
    return " and ".join(sorted(formats or ())) or "strided"


def _divergence(
    at: tuple[int, int],
    quantity: str,
    aspect: Aspect,
    wanted: str | float,
    actual: str | float,
    **more: Any,  # noqa: ANN401  # the rest of the fields
) -> Divergence:
    return Divergence(
        step=at[0],
        repetition=at[1],
        quantity=quantity,
        aspect=aspect,
        culprit=more.pop("culprit", "target"),
        expected=wanted,
        actual=actual,
        **more,
    )
