"""A case explained: each step worked, what each implementation computed beside the exact result.

harness.explain("cases/seed/notebook.yaml::notebook-14-hundred-train-steps-then-eval")
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from harness.case.find import find
from harness.case.model import Case
from harness.compare import Comparison, Judge
from harness.compare.assess import assess
from harness.errors import InvalidInput
from harness.explanation.blocks import Block, Heading, Lines, Words
from harness.explanation.forms import to_html, to_markdown, to_text
from harness.explanation.story import Told, story
from harness.report.collect import telling
from harness.report.model import Divergence
from harness.report.text import describe
from harness.targets import Target, blinded, resolve
from harness.targets.base import Crashed

__all__ = ["Explanation", "explain"]


@dataclass(frozen=True)
class Explanation:
    """A case explained; it shows itself in a notebook, and as text when printed.

    Attributes
    ----------
    case : Case
    blocks : tuple of Block
    """

    case: Case
    blocks: tuple[Block, ...]

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
        There is no such case or target, or one of them cannot run here.
    """
    chosen = case if isinstance(case, Case) else find(case)[1]
    baseline, other = _here(against), _here(target)
    told = [_told(chosen, baseline)]
    if other.info.name != baseline.info.name:
        told.append(_told(chosen, other))
    blocks = [*story(chosen, told), *_verdict(chosen, baseline, other, told)]
    return Explanation(chosen, tuple(blocks))


def _here(spec: str | type[Any]) -> Target:
    target = resolve(spec)
    if target.info.absent is not None:
        raise InvalidInput(f"{target.info.name} cannot run here: {target.info.absent}")
    return target


def _told(case: Case, target: Target) -> Told:
    try:
        trace = target.execute(blinded(case))
    except Crashed as error:
        raise InvalidInput(f"{target.info.name} gives no result to explain: {error}") from None
    info = target.info
    return Told(info.name, trace, assess(case, trace, info.declares, semantics=info.semantics))


def _verdict(case: Case, baseline: Target, target: Target, told: list[Told]) -> list[Block]:
    import torch  # slow, and the targets have it by now

    theirs, ours = baseline.info, target.info
    judge = Judge(
        case,
        told[0].trace,
        str(torch.__version__),
        theirs.declares,
        semantics=theirs.semantics,
    )
    found = judge.compare(ours.name, told[-1].trace, ours.declares, ours.semantics)
    return [
        Heading(2, "Verdict"),
        Words(_sentence(found, baseline.info.name)),
        *([Lines(tuple(_differences(found, baseline.info.name)))] if found.divergences else []),
    ]


def _sentence(found: Comparison, baseline: str) -> str:
    words = f"{found.target}: {found.verdict}"
    if found.reason:
        words += f", {found.reason}"
    if found.bitwise_equal and found.target != baseline:
        words += f"; equal to {baseline} bit for bit"
    if found.worst is not None:
        words += (
            f". The largest error is {found.worst.ratio:.3g} of its bound, "
            f"in {found.worst.quantity} of step {found.worst.step + 1}"
        )
    return f"{words}."


def _differences(found: Comparison, baseline: str) -> list[str]:
    reported = [
        Divergence.model_validate({**asdict(each), "index": list(each.index)})
        for each in telling(found.divergences)
    ]
    return [describe(each, baseline) for each in reported]
