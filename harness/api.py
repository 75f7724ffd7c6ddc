"""The harness from Python: one call that returns a report, one line for anyone's tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from harness.case.model import Case
from harness.case.suite import Entry, Selection, Suite, load
from harness.report.model import Report
from harness.report.text import Sources, explained, failures
from harness.runner import run as run_suite
from harness.worker import Plan

Cases = str | Path | Case | Iterable[str | Path | Case] | None


def run(
    cases: Cases = None,
    targets: Sequence[str | type[Any]] = ("reference",),
    *,
    against: str = "torch",
    accuracy: str | None = None,
    tags: Sequence[str] = (),
    expression: str = "",
    sample: int | None = None,
) -> Report:
    """Execute cases in this process, judge the targets and return the report.

    Parameters
    ----------
    cases : path, Case, or an iterable of these, optional
        Files, folders, ``file.yaml::glob``; None for the shipped suite.
    targets : sequence of str or class
        SPECs as on the command line, or classes.
    against : str
        The baseline.
    accuracy : "wide", "tree" or "any-order", optional
        The class whose bound is the standard; by default that of the input's type.
    tags : sequence of str
        Only cases with one of these.
    expression : str
        Words in ids, joined by and, or, not.
    sample : int, optional
        At most this many cases, chosen by their ids.

    Raises
    ------
    InvalidInput
        A case file, a target or a selection that cannot be used; its text says where and why.
    """
    return _run(cases, targets, against, accuracy, Selection(expression, tuple(tags), sample))[1]


def _run(
    cases: Cases,
    targets: Sequence[str | type[Any]],
    against: str,
    accuracy: str | None,
    selection: Selection,
) -> tuple[Suite, Report]:
    suite = _suite(cases).select(selection)
    plan = Plan(tuple(targets), against, accuracy, full=cases is not None)
    return suite, run_suite(suite, plan, jobs=0).report


def _suite(cases: Cases) -> Suite:
    if cases is None:
        return load()
    given = [cases] if isinstance(cases, str | Path | Case) else list(cases)
    paths = [each for each in given if not isinstance(each, Case)]
    entries = [Entry(each, "(python)", 0) for each in given if isinstance(each, Case)]
    if not paths:
        return Suite(tuple(entries), {})
    read = load(paths)
    return Suite((*read.entries, *entries), read.globs)


def assert_conforms(
    target: str | type[Any],
    cases: Cases = None,
    *,
    against: str = "torch",
    tags: Sequence[str] = (),
    expression: str = "",
    sample: int | None = None,
    shown: int = 5,
) -> Report:
    """Raise AssertionError with the evidence unless a target conforms; return the report.

    Parameters
    ----------
    target : str or class
    cases, against, tags, expression, sample
        As for `run`.
    shown : int
        Most failing cases that the message explains.
    """
    __tracebackhide__ = True
    selection = Selection(expression, tuple(tags), sample)
    suite, report = _run(cases, [target], against, None, selection)
    failed = list(failures(report))
    if failed:
        explanations = ["\n".join(explained(*each, Sources(suite))) for each in failed[:shown]]
        total = next(iter(report.summary.values())).cases
        raise AssertionError(
            f"{len(failed)} of {total} cases diverge from {against}\n\n" + "\n\n".join(explanations)
        )
    return report
