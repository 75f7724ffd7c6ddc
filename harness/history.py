"""What changed in BatchNorm2d from one version of torch to the next, found by running both."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness.case.model import Case
from harness.case.suite import Suite
from harness.compare import Comparison, Judge
from harness.errors import InvalidInput
from harness.report.collect import Collector, Origin, rounded
from harness.targets import Target, blinded
from harness.trace import RESULTS, STATE, Array, Raised, StepTrace, Trace, same_bits

SCHEMA = "bn-harness/versions/1"


@dataclass(frozen=True)
class Difference:
    """One way in which two traces of a case differ.

    Attributes
    ----------
    what : str
        The kind; differences of one kind are one change.
    old, new : str
        What the two versions did.
    quantity : str
        The array that it is about, empty where it is an error.
    step : int
        From 0; -1 is the constructor.
    """

    what: str
    old: str
    new: str
    quantity: str = ""
    step: int = -1


@dataclass
class Change:
    """What one version does otherwise than the one before.

    Attributes
    ----------
    before, since : str
        The two versions.
    difference : Difference
        As the smallest case shows it.
    case, file : str
        That case.
    size : int
        Elements of its inputs.
    cases : int
        How many cases show it.
    nearer, farther : int
        In how many of them the new version is nearer to the exact result, or farther from it.
    ratios : tuple of float
        Largest error over bound in these cases, before and since.
    """

    before: str
    since: str
    difference: Difference
    case: str
    file: str
    size: int
    cases: int = 0
    nearer: int = 0
    farther: int = 0
    ratios: tuple[float, float] = (0.0, 0.0)

    @property
    def accuracy(self) -> str:
        """Whether accuracy got "better" or "worse", or "-" where neither or not of numbers."""
        if self.nearer == self.farther:
            return "-"
        return "better" if self.nearer > self.farther else "worse"


@dataclass
class History:
    """The changes between versions, and how accurate each version is."""

    versions: dict[str, dict[str, str]]
    changes: dict[tuple[str, str], Change] = field(default_factory=dict)
    collector: Collector = field(default_factory=Collector)

    def document(self) -> dict[str, Any]:
        """Return all as plain values for strict JSON."""
        names = list(self.versions)
        report = self.collector.report({}, names[0], names)
        order = {name: place for place, name in enumerate(names)}
        changes = sorted(
            self.changes.values(),
            key=lambda each: (
                order[each.since],
                each.difference.what.endswith("digits"),
                -each.cases,
                each.difference.what,
            ),
        )
        return {
            "schema": SCHEMA,
            "versions": self.versions,
            "accuracy": {name: report.summary[name].accuracy for name in names},
            "inaccurate": {
                name: sum(
                    name in case.results and case.results[name].verdict == "baseline_inaccurate"
                    for case in report.cases
                )
                for name in names
            },
            "changes": [_plain(each) for each in changes],
        }


def history(suite: Suite, targets: Sequence[tuple[str, Target]]) -> History:
    """Run a suite through versions of torch, the oldest first.

    Parameters
    ----------
    suite : Suite
    targets : sequence of str and Target
        Name and target of each version, in order.

    Raises
    ------
    InvalidInput
        There are fewer than two.
    """
    if len(targets) < 2:  # noqa: PLR2004  # a change is between two
        raise InvalidInput("name at least two versions, as --worker 1.8.1=COMMAND")
    found = History({name: dict(target.info.versions) for name, target in targets})
    for entry, case in suite.cases():
        given = blinded(case)
        origin = Origin.of(entry)
        before: tuple[str, Trace, Comparison] | None = None
        for name, target in targets:
            trace = target.execute(given)
            declares = target.info.declares
            judge = Judge(given, trace, target.info.versions.get("torch", "0"), declares)
            own = judge.compare(name, trace, declares)
            found.collector.add(origin, own)
            if before is not None:
                old, old_trace, old_own = before
                for each in differences(old_trace, trace):
                    _note(found, (old, name), origin, case, each, (old_own, own))
            before = name, trace, own
    return found


def differences(old: Trace, new: Trace) -> Iterator[Difference]:
    """Yield how two traces differ; nothing after an error that only one of them has."""
    for name in ("unsupported", "raised"):
        one, other = getattr(old, name), getattr(new, name)
        if one is not None or other is not None:
            if _kind(one) != _kind(other):
                yield Difference("the constructor", _told(one), _told(other))
            return
    for before, since in zip(old.steps, new.steps, strict=False):
        if _kind(before.raised) != _kind(since.raised):
            what = _sentence(before.raised, since.raised)
            yield Difference(what, _told(before.raised), _told(since.raised), step=before.step)
            if (before.raised is None) != (since.raised is None):
                return
        yield from _step(before, since)


def _step(old: StepTrace, new: StepTrace) -> Iterator[Difference]:
    for quantity in (*RESULTS, *STATE):
        one, other = (
            (each.results if quantity in RESULTS else each.state).get(quantity)
            for each in (old, new)
        )
        if one is None or other is None:
            if one is not other:
                yield Difference(
                    f"{quantity}: presence", _form(one), _form(other), quantity, old.step
                )
            continue
        if one.dtype != other.dtype or one.shape != other.shape:
            yield Difference(f"{quantity}: form", _form(one), _form(other), quantity, old.step)
        elif not same_bits(one, other):
            yield _value(quantity, old.step, one, other)
        layouts = old.layouts.get(quantity), new.layouts.get(quantity)
        if layouts[0] != layouts[1]:
            told = ["+".join(sorted(each or ())) or "strided" for each in layouts]
            yield Difference(f"{quantity}: layout", told[0], told[1], quantity, old.step)


def _value(quantity: str, step: int, old: Array, new: Array) -> Difference:
    """Return how two arrays differ: by the kinds of their values if they can be told so."""
    one, other = (each.astype(np.complex128).real.reshape(-1) for each in (old, new))
    kinds = np.array([_class(each) for each in one]), np.array([_class(each) for each in other])
    apart = np.flatnonzero(kinds[0] != kinds[1])
    with np.errstate(all="ignore"):
        at = int(apart[0]) if apart.size else int(np.nanargmax(np.abs(one - other)))
    change = f"{kinds[0][at]} → {kinds[1][at]}" if apart.size else "digits"
    return Difference(f"{quantity}: {change}", f"{one[at]:.9g}", f"{other[at]:.9g}", quantity, step)


def _class(value: float) -> str:
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf"
    return "number" if value else "zero"


def _note(  # noqa: PLR0917  # one difference with all that it is of
    found: History,
    versions: tuple[str, str],
    origin: Origin,
    case: Case,
    difference: Difference,
    own: tuple[Comparison, Comparison],
) -> None:
    size = sum(math.prod(step.forward.input.size or ()) for step in case.steps if step.forward)
    key = (versions[1], difference.what)
    change = found.changes.get(key)
    if change is None:
        change = Change(*versions, difference, case.id, origin.file, size)
        found.changes[key] = change
    elif size < change.size:
        change.difference, change.case, change.file, change.size = (
            difference,
            case.id,
            origin.file,
            size,
        )
    change.cases += 1
    old, new = (_ratio(each, difference.quantity) for each in own)
    change.nearer += new < old
    change.farther += new > old
    change.ratios = max(change.ratios[0], old), max(change.ratios[1], new)


def _ratio(own: Comparison, quantity: str) -> float:
    held = own.measures.items()
    return max((each.ratio for holding, each in held if holding.quantity == quantity), default=0.0)


def _kind(raised: Raised | str | None) -> object:
    """Return what counts of an error: its type, and its message but for numbers."""
    if isinstance(raised, Raised):
        return raised.type, re.sub(r"[-+\d.e]+", "#", raised.message)[:60]
    return raised and "unsupported"


def _sentence(old: Raised | None, new: Raised | None) -> str:
    """Return the name of a change of error: one for each kind of message."""
    told = [_told(each) for each in (old, new)]
    return "error: " + re.sub(r"[-+]?\d[\d.e+-]*", "#", f"{told[0][:70]} → {told[1][:70]}")


def _told(raised: Raised | str | None) -> str:
    text = str(raised or "no error").strip()
    return " ".join(text.split())[:160]


def _form(array: Array | None) -> str:
    return "None" if array is None else f"{array.dtype.name} {list(array.shape)}"


def _plain(change: Change) -> dict[str, Any]:
    return {
        "before": change.before,
        "since": change.since,
        "what": change.difference.what,
        "case": f"{change.file}::{change.case}",
        "step": change.difference.step + 1,
        "old": change.difference.old,
        "new": change.difference.new,
        "cases": change.cases,
        "nearer": change.nearer,
        "farther": change.farther,
        "accuracy": change.accuracy,
        "ratio": [rounded(each) for each in change.ratios],
    }


def markdown(document: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of a page that shows a history's document."""
    yield "# torch.nn.BatchNorm2d from version to version"
    yield ""
    yield "What each version does otherwise than the one before it in this table, on the same CPU."
    yield ""
    quantities = sorted({each for row in document["accuracy"].values() for each in row})
    yield f"| version | {' | '.join(quantities)} | cases outside its bound |"
    yield "|---" * (len(quantities) + 2) + "|"
    for name, row in document["accuracy"].items():
        classes = " | ".join(row.get(each, "") for each in quantities)
        yield f"| {name} | {classes} | {document['inaccurate'][name]} |"
    yield ""
    yield "A class is the strictest that every case holds (docs/tolerances.md)."
    last = None
    for each in document["changes"]:
        if each["since"] != last:
            last = each["since"]
            yield ""
            yield f"## {last}, after {each['before']}"
            yield ""
            yield "| what | smallest case | before | since | cases | accuracy |"
            yield "|---|---|---|---|---|---|"
        accuracy = each["accuracy"]
        if accuracy != "-":
            accuracy += f", error over bound {each['ratio'][0]} → {each['ratio'][1]}"
        told = [_cell(each[key]) for key in ("what", "case", "old", "new")]
        yield f"| {' | '.join(told)} | {each['cases']} | {accuracy} |"
    yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
