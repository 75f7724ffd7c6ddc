"""The report as text: a summary table, and what diverges with the command that reproduces it."""

from __future__ import annotations

import math
import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

from rich.table import Table
from rich.text import Text

from harness.case.matrix import Matrix
from harness.case.suite import Entry, Suite
from harness.compare.findings import CONSISTENCY
from harness.report.console import Output
from harness.report.failing import (
    declarable,
    failures,
    kinds,
    listed,
    looser,
    samples,
    telling,
)
from harness.report.model import CaseResult, Divergence, Report
from harness.verdicts import HELD, VERDICTS

_REASONS = 3
"""Most reasons that are shown of what could not be judged."""

SHOWN = 10
"""Most failing cases of a target that are shown one by one."""

_HELD = ("unjudged", "elements")

_LITTLE = 0.1
"""Share of the numbers without a finite bound that goes without saying."""

_NEAR = 1e-6
"""Relative difference below which a published number was meant, and its rounding forgotten."""

PYTHON = "(python)"
"""In place of the file, for cases that were made in Python."""

_MEANT = (
    "a counter or a backward pass that is absent, a memory format of its own, a state that steps "
    "replace, or results whose memory is used again, can be declared where it is meant: "
    'docs/targets.md, "Documented differences"'
)

_COUNTS = ("cases", *VERDICTS, "bitwise_equal")


@dataclass(frozen=True)
class Sources:
    """The case files of a run, for what a report does not hold."""

    suite: Suite

    def why(self, case: CaseResult) -> str:
        """Return the `why` of a case, of its matrix for a matrix case."""
        entry = self._entry(case)
        return entry.item.why if entry else ""

    def kinds(self, case: CaseResult) -> list[str]:
        """Return the kind of each step of a case, "train" for one; none where it is not there."""
        entry = self._entry(case)
        if entry is None:
            return []
        if isinstance(entry.item, Matrix):
            return entry.item.kinds(case.id)
        return [step.kind for step in entry.item.steps]

    def _entry(self, case: CaseResult) -> Entry | None:
        at = case.file, case.line
        return next((each for each in self.suite.entries if (each.file, each.line) == at), None)


def reproduction(
    cases: str, target: str = "reference", baseline: str = "torch", accuracy: str | None = None
) -> str:
    """Return the shell command that runs cases, as ``file.yaml::id`` names them, by one target."""
    command = ["bn-harness", "run", cases]
    if target != "reference":
        command += ["--target", target]
    if baseline != "torch":
        command += ["--against", baseline]
    if accuracy is not None:
        command += ["--accuracy", accuracy]
    return shlex.join(command)


def _repeated(cases: str, target: str, baseline: str, accuracy: str | None) -> str:
    """Return what repeats a case: a command, or for a class that no SPEC names a call in Python."""
    module, _, name = target.rpartition(":")
    cls = name.rpartition("<locals>.")[2]
    # What is imported as __main__ is the command itself, and what a notebook defines has no file.
    if module == "__main__" or cls != name:
        more = {"against": baseline if baseline != "torch" else None, "accuracy": accuracy}
        options = "".join(f", {key}={value!r}" for key, value in more.items() if value is not None)
        return f"harness.assert_conforms({cls}, {cases!r}{options})"
    found, here = sys.modules.get(module), Path.cwd()
    file = Path(getattr(found, "__file__", None) or "")
    # A module in a folder that is no package, as of tests, is not found by its name from here.
    named = "." in module or hasattr(found, "__path__") or file.parent == here
    if not named and file.is_relative_to(here):
        target = f"{file.relative_to(here)}:{name}"
    return reproduction(cases, target, baseline, accuracy)


def describe(divergence: Divergence, baseline: str = "torch", kinds: Sequence[str] = ()) -> str:
    """Return one difference as a sentence; `kinds` are those of the case's steps, if known."""
    place = "before the first step" if divergence.step < 0 else f"step {divergence.step + 1}"
    if 0 <= divergence.step < len(kinds):
        place += f" ({kinds[divergence.step]})"
    if divergence.repetition:
        place += f", repetition {divergence.repetition + 1}"
    where = f"{divergence.quantity}{divergence.index or ''}"
    match divergence.aspect:
        case "value":
            text = (
                f"{where} is {divergence.actual}, exactly {divergence.exact}, "
                f"{divergence.ratio:.3g} times the bound"
                if isinstance(divergence.ratio, float)
                else f"{where} is {divergence.actual}, exactly {divergence.exact}"
            )
            if isinstance(divergence.ulp, float):
                text += f", {divergence.ulp:.3g} ulp"
            if divergence.count > 1:
                text += f", {divergence.count} elements outside"
        case "published" if divergence.quantity == "error":
            text = f"raises {divergence.actual}, the case expects {divergence.expected}"
        case "published":
            text = f"{where} is {divergence.actual}, published as {divergence.expected}"
            text += _forgotten(divergence)
        case "error":
            text = f"raises {divergence.actual}, {baseline} raises {divergence.expected}"
        case "input":
            text = "the input was changed"
        case "presence":
            text = f"{where} is {_there(divergence.actual)}, {baseline}'s is "
            text += _there(divergence.expected)
        case aspect:
            text = f"{where} has {aspect} {divergence.actual}, {baseline} has {divergence.expected}"
            if aspect in ("state", "memory"):
                text = f"{where} is {divergence.actual}, it should be {divergence.expected}"
    blame = {
        "target": "",
        "baseline": f" ({baseline}'s own)",
        "both": f" ({baseline} is outside too)",
    }
    return f"{place}: {text}{blame[divergence.culprit]}"


def _forgotten(divergence: Divergence) -> str:
    """Return a word on a published number that was meant, and its rounding forgotten."""
    ours, theirs = divergence.actual, divergence.expected
    if not (isinstance(ours, float) and isinstance(theirs, float)):
        return ""
    near = math.isclose(ours, theirs, rel_tol=_NEAR)
    return "; `within` says how far it may be, 0 unless given" if near else ""


def _there(value: object) -> str:
    return "missing" if value == "None" else f"a {value}"


def judged(report: Report, target: str) -> int:
    """Return how many cases of a target could be judged; with none, it does not conform."""
    counts = report.summary.get(target)
    return counts.cases - counts.unsupported - counts.unjudged if counts else 0


def nothing_judged(report: Report) -> str | None:
    """Return why no number of any target was judged; None where one was, or there was no case."""
    counts = {name: report.summary[name] for name in report.targets if name in report.summary}
    if any(each.accuracy or judged(report, name) for name, each in counts.items()):
        return None
    if not report.absent and not any(each.cases for each in counts.values()):
        return None
    return reasons(report)


def reasons(report: Report) -> str:
    """Return why targets are absent, and the commonest reasons of what was not judged."""
    found = Counter(
        each.reason
        for case in report.cases
        for target, each in case.results.items()
        if each.reason and each.verdict != "known" and target in report.targets
    )
    common = [reason for reason, _ in found.most_common(_REASONS)]
    return "; ".join([*report.absent.values(), *common]) or "none applies"


Answer = Literal["absent", "diverges", "incomplete", "conforms"]


def answers(report: Report) -> dict[str, Answer]:
    """Return of each target whether it conforms; *incomplete* where no case could be judged."""
    failed = {target for _, target, _ in failures(report)}

    def answer(target: str) -> Answer:
        if target in report.absent:
            return "absent"
        if target in failed:
            return "diverges"
        return "conforms" if judged(report, target) else "incomplete"

    return {target: answer(target) for target in report.targets}


def allowing(target: str, accuracy: str) -> str:
    """Return the words for a target that fails by its accuracy alone."""
    return (
        f"{target} is within the bounds of --accuracy {accuracy}, which allow it larger errors: "
        "docs/tolerances.md"
    )


def show(report: Report, sources: Sources, stream: TextIO) -> None:
    """Write what failed, and the summary table."""
    console = Output(stream, highlight=False)
    failing = samples(report, SHOWN)
    for target, (cases, more) in failing.items():
        for case in cases:
            lines = explained(report, case, target, sources)
            console.print(Text("\n".join(lines) + "\n"), soft_wrap=True)
        if more:
            console.print(Text(f"... and {more:,} more cases of {target}\n"))
    console.print(_table(report))
    failed = kinds(report)
    for target, found in failed.items():
        cases, more = failing[target]
        if len(cases) + more > 1:
            console.print(Text(f"{target} fails by {listed(found)}"), soft_wrap=True)
        if (accuracy := looser(report, target)) is not None:
            console.print(Text(allowing(target, accuracy)), soft_wrap=True)
    if any(map(declarable, failed.values())):
        console.print(Text(_MEANT), soft_wrap=True)
    for target in report.targets:
        for line in (*_unsupported(report, target), *_unbounded(report, target)):
            console.print(Text(line), soft_wrap=True)
    for target, reason in report.absent.items():
        console.print(Text(f"{target} is absent: {reason}"))
    if report.partial:
        console.print(Text("partial: the run was interrupted"))


def _unsupported(report: Report, target: str) -> Iterator[str]:
    """Yield why most cases that a target does not support are that."""
    results = [case.results[target] for case in report.cases if target in case.results]
    counts = Counter(each.reason for each in results if each.verdict == "unsupported")
    shown = counts.most_common(_REASONS)
    for reason, count in shown:
        yield f"{target}: {count:,} unsupported: {reason}"
    others = counts.total() - sum(count for _, count in shown)
    if others:
        yield f"{target}: {others:,} unsupported for other reasons"


def _unbounded(report: Report, target: str) -> Iterator[str]:
    """Yield how much of a target no bound holds, where that is more than a little."""
    rows = [each for each in report.accuracy.get(target, ()) if each.quantity != CONSISTENCY]
    unjudged, elements = (sum(getattr(each, name) for each in rows) for name in _HELD)
    if unjudged > _LITTLE * elements:
        yield (
            f"{target}: {unjudged:,} of {elements:,} numbers have no finite bound, and are held to "
            "published ones alone"
        )


def explained(report: Report, case: CaseResult, target: str, sources: Sources) -> Iterator[str]:
    """Yield the lines that tell a user what failed and how to see it again."""
    result = case.results[target]
    yield f"{result.verdict.upper()} {target}: {case.id}  ({case.file}:{case.line})"
    why = sources.why(case)
    if why:
        yield f"  why: {why}"
    if result.reason:
        also = "" if result.verdict in ("crash", "timeout") else "unsupported: "
        yield f"  {also}{result.reason}"
    yield from (f"  {line}" for line in differences(report, case, target, sources))
    if case.file != PYTHON:
        accuracy = report.selection.get("accuracy")
        run = target if target in report.targets else report.targets[0]
        name = f"{case.file}::{case.id}"
        yield f"  reproduce: {_repeated(name, run, report.baseline, accuracy)}"


def differences(report: Report, case: CaseResult, target: str, sources: Sources) -> list[str]:
    """Return what a target does otherwise in a case, each difference as a sentence."""
    steps = sources.kinds(case)
    return [describe(each, report.baseline, steps) for each in telling(case.results[target])]


def _table(report: Report) -> Table:
    used = [
        name
        for name in _COUNTS
        if name in ("cases", "agree", "diverge")
        or any(getattr(summary, name) for summary in report.summary.values())
    ]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("target")
    for name in used:
        table.add_column(name.replace("_", " "), justify="right")
    table.add_column("accuracy")
    for target, summary in report.summary.items():
        name = f"{target} (baseline)" if target == report.baseline else target
        held = sorted(set(summary.accuracy.values()), key=HELD.index)
        table.add_row(
            Text(name),
            *(f"{getattr(summary, each):,}" for each in used),
            " to ".join(dict.fromkeys([held[0], held[-1]])) if held else "",
        )
    return table
