"""From the reports of single runs to the landscape."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import get_args

from harness.case.model import Case
from harness.errors import InvalidInput
from harness.landscape.features import FEATURES, Feature, Told
from harness.landscape.model import Cell, Landscape, Row, State
from harness.report.model import CaseResult, Divergence, Report, Result
from harness.report.text import describe

ADAPTERS = "harness.adapters."
"""Package of the adapters; tox has an environment ``landscape-NAME`` for each."""

STATES: tuple[State, ...] = get_args(State)
Seen = tuple[State, Told, str]
"""What a case comes to, the case, and what is seen there."""


def landscape(reports: Sequence[tuple[str, Report]], cases: Mapping[str, Case]) -> Landscape:
    """Return what the targets of several reports make of each feature.

    Parameters
    ----------
    reports : sequence of (name, Report)
        Each lists all of its cases (``run --full``); several may be about one target.
    cases : mapping of str to Case
        The cases of the reports, by their ids.

    Raises
    ------
    InvalidInput
        The reports have not one baseline, a case is not known, or a report does not list all.
    """
    names = {report.baseline: name for name, report in reports}
    versions = {str(report.environment.get("torch")): name for name, report in reports}
    for what, found in (("baselines", names), ("versions of torch", versions)):
        if len(found) != 1:
            said = ", ".join(f"{value} in {name}" for value, name in sorted(found.items()))
            raise InvalidInput(f"the reports have not one of {what}: {said or 'there are none'}")
    seen: dict[str, dict[str, list[Seen]]] = {}
    about: dict[str, tuple[dict[str, str], set[str]]] = {}
    for name, report in reports:
        _complete(name, report)
        for target in report.targets:
            versions_of, declared = about.setdefault(target, ({}, set()))
            versions_of.update(report.environment.get("frameworks", {}).get(target, {}))
            declared.update(report.declared.get(target, []))
        for listed in report.cases:
            if listed.id not in cases:
                raise InvalidInput(f"{name}: the case '{listed.id}' is not of the suite")
            told = Told(cases[listed.id], listed.tags, listed.file)
            _see(told, listed, report, seen)
    rows = [
        Row(
            target=target,
            versions=dict(sorted(versions_of.items())),
            declared=sorted(declared),
            cells={
                each.name: _cell(target, each, seen.get(target, {}).get(each.name, []))
                for each in FEATURES
            },
        )
        for target, (versions_of, declared) in sorted(about.items())
    ]
    return Landscape(
        baseline=next(iter(names)),
        torch=next(iter(versions)),
        features=[each.name for each in FEATURES],
        rows=rows,
    )


def _complete(name: str, report: Report) -> None:
    listed = Counter(target for case in report.cases for target in case.results)
    for target in report.targets:
        if target in report.absent:
            raise InvalidInput(f"{name}: {target} is absent: {report.absent[target]}")
        if target not in report.summary:
            raise InvalidInput(f"{name}: it has no cases of {target}")
        count = report.summary[target].cases
        if listed[target] != count:
            raise InvalidInput(
                f"{name}: lists {listed[target]} of {count} cases of {target}; "
                "write it by 'bn-harness run --full --report'"
            )


def _see(
    told: Told, listed: CaseResult, report: Report, seen: dict[str, dict[str, list[Seen]]]
) -> None:
    for target in report.targets:
        result = listed.results.get(target)
        if result is None or result.verdict == "unjudged":
            continue
        for feature in FEATURES:
            if feature.speaks(told):
                state, shows = _state(feature, told, result, report.baseline)
                by_feature = seen.setdefault(target, {})
                by_feature.setdefault(feature.name, []).append((state, told, shows))


def _state(feature: Feature, told: Told, result: Result, baseline: str) -> tuple[State, str]:
    """Return what a case comes to, and what is seen there."""
    if result.verdict in ("crash", "timeout"):
        return "crash", result.reason or result.verdict
    held = [each for each in result.divergences if _held(each)]
    shown = [each for each in held if feature.shown_by(told, each)]
    if shown:
        return "diverges", describe(shown[0], baseline)
    errors = [each for each in held if each.aspect == "error"]
    if errors:  # nothing is compared from there on
        return "unreached", describe(errors[0], baseline)
    judged = feature.quantity in result.quantities or (
        feature.quantity == "num_batches_tracked" and bool(result.quantities)
    )
    if result.verdict == "unsupported" and not judged:
        return "unsupported", result.reason or ""
    for text in result.declared:
        if feature.declaration and text.startswith(feature.declaration):
            return "declared", text
    return "agree", ""


def _held(divergence: Divergence) -> bool:
    # What is published are rounded numbers of torch; the oracle says whether they had to differ.
    return divergence.culprit != "baseline" and divergence.aspect != "published"


def _cell(target: str, feature: Feature, seen: Sequence[Seen]) -> Cell:
    counts = Counter(state for state, _, _ in seen)
    if not counts:
        raise InvalidInput(f"no case of the reports speaks of '{feature.name}'; run more of them")
    state = next(each for each in STATES if counts[each])
    if state == "agree":
        return Cell(state=state, counts=dict(counts))
    _, told, shows = min((each for each in seen if each[0] == state), key=_size)
    found = Cell(state=state, counts=dict(counts), case=told.case.id, file=told.file, shows=shows)
    if state not in ("crash", "diverges"):
        return found
    return found.model_copy(update={"reproduce": _command(target, f"{told.file}::{told.case.id}")})


def _command(target: str, case: str) -> str:
    """Return the shell command that shows a case; an adapter's has the framework installed."""
    command = ["bn-harness", "run", case, "--target", target]
    module = target.partition(":")[0]
    if module.startswith(ADAPTERS):
        command = [
            "tox",
            "exec",
            "-e",
            f"landscape-{module.removeprefix(ADAPTERS)}",
            "--",
            *command,
        ]
    return shlex.join(command)


def _size(seen: Seen) -> tuple[bool, int, int, str]:
    """Order cases by how much there is to look at; one without elements shows least."""
    case = seen[1].case
    return not case.elements, case.elements, len(case.steps), case.id
