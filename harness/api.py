"""The harness from Python: one call that returns a report, one line for anyone's tests."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.case.model import Case
from harness.case.suite import Entry, Selection, Suite, load
from harness.errors import InvalidInput
from harness.explanation import explain
from harness.plan import Plan
from harness.report.failing import kinds, listed, looser, samples
from harness.report.model import Report
from harness.report.selection import selection as chosen_by
from harness.report.selection import selectors
from harness.report.text import PYTHON, Sources, allowing, explained, judged, reasons
from harness.report.unforeseen import unforeseen
from harness.runner import Outcome
from harness.runner import run as run_suite
from harness.verdicts import CLASSES

__all__ = ["Case", "assert_conforms", "explain", "run"]

Cases = str | Path | Case | Iterable[str | Path | Case] | None


def run(
    cases: Cases = None,
    targets: str | type[Any] | Sequence[str | type[Any]] = ("reference",),
    *,
    against: str = "torch",
    accuracy: str | None = None,
    tags: str | Sequence[str] = (),
    expression: str = "",
    sample: int | None = None,
    known: str | Path | Sequence[str | Path] = (),
) -> Report:
    """Execute cases in this process, judge the targets and return the report.

    Parameters
    ----------
    cases : path, Case, or an iterable of these, optional
        Files, folders, ``file.yaml::glob``; None for the shipped suite.
    targets : str, class, or a sequence of these
        SPECs as on the command line, or classes.
    against : str
        The baseline.
    accuracy : "wide", "tree" or "any-order", optional
        The class whose bound is the standard; by default that of the input's type.
    tags : str, or sequence of str
        Only cases with one of these.
    expression : str
        Words in ids, joined by and, or, not.
    sample : int, optional
        At most this many cases, chosen by their ids.
    known : path, or sequence of paths
        Files of known divergences, beside those of the suite and of folders in `cases`. An entry
        that no longer diverges is a warning; so is a case that the baseline refuses and that
        does not say so.

    Raises
    ------
    InvalidInput
        A case file, a target or a selection that cannot be used; its text says where and why.
    """
    __tracebackhide__ = True
    asked: list[Any] = [targets]
    if isinstance(targets, Iterable) and not isinstance(targets, str | type):
        asked = [*targets]
    if not asked:
        raise InvalidInput("targets: there are none; name at least one")
    try:
        selection = _selection(expression, tags, sample)
        _, outcome = _run(cases, asked, selection, known, against=against, accuracy=accuracy)
    except InvalidInput as error:
        raise error.with_traceback(None) from None  # as in assert_conforms
    for mistake in (*outcome.mistakes, *unforeseen(outcome.report)):
        warnings.warn(mistake, stacklevel=2)
    return outcome.report


def _selection(expression: str, tags: str | Sequence[str], sample: int | None) -> Selection:
    return Selection(expression, tuple(_listed("tags", tags, str)), sample)


def _listed(name: str, given: Any, *kinds: type[Any]) -> list[Any]:  # noqa: ANN401  # from a user
    """Return one value, or several, as a list; InvalidInput where they are of no kind allowed."""
    listed = [given] if isinstance(given, kinds) or not isinstance(given, Iterable) else [*given]
    for each in listed:
        if not isinstance(each, kinds):
            expected = " or ".join("path" if kind is Path else kind.__name__ for kind in kinds)
            raise InvalidInput(f"{name}: expected {expected}, or a list of them, got {each!r:.80}")
    return listed


def _run(
    cases: Cases,
    targets: Sequence[str | type[Any]],
    selection: Selection,
    known: str | Path | Sequence[str | Path],
    *,
    against: str,
    accuracy: str | None = None,
) -> tuple[Suite, Outcome]:
    if accuracy not in {None, *CLASSES}:
        raise InvalidInput(f"accuracy: expected one of {', '.join(CLASSES)}, got {accuracy!r}")
    suite = _suite(cases).select(selection)
    listed = _listed("known", known, str, Path)
    full = cases is not None
    plan = Plan(tuple(targets), against, accuracy, full, known=(*suite.known, *map(Path, listed)))
    options = {**asdict(selection), "tags": list(selection.tags), "accuracy": accuracy}
    chosen = chosen_by(selectors(suite), **options)
    return suite, run_suite(suite, plan, jobs=0, selection=chosen, whole=not chosen)


def _suite(cases: Cases) -> Suite:
    if cases is None:
        return load()
    given: list[Any] = [cases]
    if isinstance(cases, Iterable) and not isinstance(cases, str | Path | Case):
        given = [*cases]
    for each in given:
        if not isinstance(each, str | Path | Case):
            kind = type(each).__name__
            raise InvalidInput(f"a case is a path or a Case, not an instance of {kind}")
    paths = [each for each in given if not isinstance(each, Case)]
    made = [each for each in given if isinstance(each, Case)]
    # Cases that no file has are told apart by their place in the list.
    entries = tuple(Entry(case, PYTHON, place) for place, case in enumerate(made, 1))
    read = load(paths) if paths else Suite((), {})
    together = (*read.entries, *entries)
    for name, count in Counter(entry.item.id for entry in together).items():
        if count > 1:
            raise InvalidInput(f"{count} cases have the id '{name}'; an id names one case")
    own: dict[str, tuple[str, ...]] = {PYTHON: ("*",)} if made else {}
    return Suite(together, {**read.globs, **own}, known=read.known)


def assert_conforms(
    target: str | type[Any],
    cases: Cases = None,
    *,
    against: str = "torch",
    accuracy: str | None = None,
    tags: str | Sequence[str] = (),
    expression: str = "",
    sample: int | None = None,
    known: str | Path | Sequence[str | Path] = (),
    shown: int = 5,
) -> Report:
    """Raise AssertionError with the evidence unless a target conforms; return the report.

    A target of which no case could be judged, as it is absent or supports none, does not conform.
    An entry of `known` that no longer diverges is an error.

    Parameters
    ----------
    target : str or class
    cases, against, accuracy, tags, expression, sample, known
        As for `run`.
    shown : int
        Most failing cases that the message explains.
    """
    __tracebackhide__ = True
    try:
        selection = _selection(expression, tags, sample)
        suite, outcome = _run(cases, [target], selection, known, against=against, accuracy=accuracy)
    except InvalidInput as error:
        raise error.with_traceback(None) from None  # where in the harness says nothing to a user
    report = outcome.report
    found = samples(report, shown)
    if found:
        name, (failing, more) = next(iter(found.items()))
        sources, total = Sources(suite), report.summary[name].cases
        explanations = ["\n".join(explained(report, case, name, sources)) for case in failing]
        if (enough := looser(report, name)) is not None:
            explanations.append(allowing(name, enough))
        raise AssertionError(
            f"{len(failing) + more} of {total} cases diverge from {against}, "
            f"by {listed(kinds(report)[name])}\n\n" + "\n\n".join(explanations)
        )
    if not any(judged(report, name) for name in report.targets):
        raise AssertionError(f"no case could be judged: {reasons(report)}")
    if outcome.mistakes:
        raise AssertionError("\n".join(outcome.mistakes))
    for refusal in unforeseen(report):
        warnings.warn(refusal, stacklevel=2)
    return report
