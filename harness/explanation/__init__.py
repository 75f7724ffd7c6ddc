"""A case explained: each step worked, what each implementation computed beside the exact result.

harness.explain("cases/seed/notebook.yaml::notebook-14-hundred-train-steps-then-eval")
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.case import needs
from harness.case.find import find
from harness.case.model import Case
from harness.compare import Account, Comparison, Hearing, judge
from harness.compare.assess import assess
from harness.compare.findings import CONSISTENCY
from harness.compare.follow import follow
from harness.errors import InvalidInput
from harness.explanation.blocks import Block, Heading, Lines, Words
from harness.explanation.forms import to_html, to_markdown, to_text
from harness.explanation.numbers import numbers
from harness.explanation.story import Told, story
from harness.plan import Plan
from harness.report.result import reported, telling
from harness.report.text import describe
from harness.targets import Target, blinded
from harness.targets.base import Crashed
from harness.worker import Worker

__all__ = ["Explanation", "explain"]


@dataclass(frozen=True)
class Explanation:
    """A case explained; it shows itself in a notebook, and as text when printed.

    Attributes
    ----------
    case : Case
    told : tuple of Told
        What the baseline did, and the target.
    found : Comparison
        Of the target.
    """

    case: Case
    told: tuple[Told, ...]
    found: Comparison

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """What there is to say, whatever form it is shown in."""
        return (*story(self.case, self.told), *_verdict(self.found, self.told[0].name))

    def to_json(self) -> str:
        """Return every number of it as strict JSON: docs/explain.md."""
        plain = numbers(self.case, self.told, self.found)
        return json.dumps(plain, allow_nan=False, ensure_ascii=False) + "\n"

    def __str__(self) -> str:
        return to_text(self.blocks)

    def __repr__(self) -> str:
        return f"<Explanation of {self.case.id}>"

    def _repr_markdown_(self) -> str:
        return to_markdown(self.blocks)

    def _repr_html_(self) -> str:
        return to_html(self.blocks)


def explain(
    case: str | Case, target: str | type[Any] = "reference", *, against: str = "torch"
) -> Explanation:
    """Explain a case step by step.

    Parameters
    ----------
    case : str or Case
        ``file.yaml::id``, an id in the shipped suite, or a case.
    target : str or class
        What is shown beside the baseline.
    against : str
        The baseline.

    Raises
    ------
    InvalidInput
        There is no such case or target, one of them cannot run here, or the case does not hold
        for the baseline's version of torch.
    """
    __tracebackhide__ = True
    try:
        return _explained(case, target, against)
    except InvalidInput as error:
        raise error.with_traceback(None) from None  # where in the harness says nothing to a user


def _explained(case: str | Case, target: str | type[Any], against: str) -> Explanation:
    known: tuple[Path, ...] = ()
    if not isinstance(case, str | Case):
        kind = type(case).__name__
        raise InvalidInput(f"a case is named by a text, or is a Case, not an instance of {kind}")
    if not isinstance(case, Case):
        suite, _, case = find(case)
        known = suite.known
    return explained(Worker(Plan((target,), against, known=known)), case)


def explained(here: Worker, case: Case) -> Explanation:
    """Explain a case by the targets that a process has loaded.

    Raises
    ------
    InvalidInput
        The target cannot run here, or the case does not hold for the baseline's version of torch.
    """
    for name, reason in here.absent.items():
        raise InvalidInput(f"{name} cannot run here: {reason}")
    if not needs.applies(case, here.torch):
        raise InvalidInput(f"{case.id}: the case does not hold for torch {here.torch}")
    heard = [_heard(case, each) for each in (here.baseline, *here.targets)]
    assessed = assess((tuple(follow(case)), account) for account in heard)
    told = (Told(each.name, each.trace, found) for each, found in zip(heard, assessed, strict=True))
    baseline, *targets = heard
    ((*_, found),) = judge([Hearing(case, here.torch, baseline, tuple(targets))])
    here.known.unmet().apply(found)
    return Explanation(case, tuple(told), found)


def written(here: Worker, case: Case, form: str) -> str:
    """Return the explanation of a case as "text", "markdown", "html" or "json"."""
    found = explained(here, case)
    if form == "json":
        return found.to_json()
    forms = {"text": to_text, "markdown": to_markdown, "html": to_html}
    return forms[form](found.blocks)


def _heard(case: Case, target: Target) -> Account:
    info = target.info
    try:
        trace = target.execute(blinded(case))
    except Crashed as error:
        raise InvalidInput(f"{info.name} gives no result to explain: {error}") from None
    return Account(info.name, trace, info.declares, info.semantics)


def _verdict(found: Comparison, baseline: str) -> list[Block]:
    return [
        Heading(2, "Verdict"),
        Words(_sentence(found, baseline)),
        *([Lines(tuple(_differences(found, baseline)))] if found.divergences else []),
    ]


def _sentence(found: Comparison, baseline: str) -> str:
    words = f"{found.target}: {found.verdict}"
    if found.reason:
        words += f", {found.reason.rstrip('.')}"
    if found.link:
        words += f" ({found.link})"
    if found.bitwise_equal and found.target != baseline:
        words += f"; equal to {baseline} bit for bit"
    if found.worst is not None:
        words += (
            f". The largest error is {found.worst.ratio:.3g} of its bound, "
            f"in {found.worst.quantity} of step {found.worst.step + 1}"
        )
    judged = [each for each in found.measured if each.holding.quantity != CONSISTENCY]
    unjudged = sum(each.figures.unjudged for each in judged)
    if unjudged:
        elements = sum(each.elements for each in judged)
        words += f". {unjudged:,} of {elements:,} numbers have no finite bound, and are held to "
        words += "published ones alone"
    return f"{words}."


def _differences(found: Comparison, baseline: str) -> list[str]:
    return [describe(reported(each), baseline) for each in telling(found.divergences)]
