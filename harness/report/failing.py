"""What is held against targets: the cases that fail, and by what they do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from harness.report.model import CaseResult, Divergence, Report, Result
from harness.trace import BACKWARD, RESULTS, STATE
from harness.verdicts import FAILED, HELD, AccuracyClass

_PLAIN = frozenset(("value", "state", "error", "input", "published"))
"""Aspects that go without saying."""

_NO_GRADIENTS = f"error {BACKWARD}"

_DECLARED = frozenset(
    (
        _NO_GRADIENTS,
        "num_batches_tracked's presence",
        "output's layout",
        "grad_input's layout",
        *(f"{name}'s memory" for name in (*STATE, *RESULTS)),
    )
)
"""Differences that a class can declare by its attribute, or a worker in its hello."""


@dataclass(frozen=True)
class Kind:
    """One way in which a target fails.

    Attributes
    ----------
    words : str
        What differs, as "running_var" or "output's layout", else the verdict.
    cases : int
        How many fail by it.
    plainest : CaseResult
        Of those, the first in which the least else differs.
    """

    words: str
    cases: int
    plainest: CaseResult


def failures(report: Report) -> Iterator[tuple[CaseResult, str, Result]]:
    """Yield case, target and result of all that is held against a target."""
    for case in report.cases:
        for target, result in case.results.items():
            # The baseline's own divergences show with each target.
            own = target == report.baseline and target not in report.targets
            if result.verdict in FAILED and not (own and result.verdict == "diverge"):
                yield case, target, result


def telling(result: Result) -> list[Divergence]:
    """Return the differences by which a result is told: its own, else the baseline's."""
    blamed = [each for each in result.divergences if each.culprit != "baseline"]
    return blamed or result.divergences


def kinds(report: Report) -> dict[str, list[Kind]]:
    """Return by what each target fails, the kind of most cases first."""
    found: dict[str, dict[str, list[tuple[int, CaseResult]]]] = {}
    for case, target, result in failures(report):
        ways = _ways(result)
        for words in ways:
            found.setdefault(target, {}).setdefault(words, []).append((len(ways), case))
    return {
        target: sorted(
            (
                Kind(words, len(cases), min(cases, key=lambda each: each[0])[1])
                for words, cases in by_words.items()
            ),
            key=lambda kind: -kind.cases,
        )
        for target, by_words in found.items()
    }


def listed(kinds: Sequence[Kind]) -> str:
    """Return kinds as a list of words with their counts."""
    first, *rest = kinds
    words = [f"{first.words} ({first.cases:,} case{'s' if first.cases > 1 else ''})"]
    return ", ".join([*words, *(f"{kind.words} ({kind.cases:,})" for kind in rest)])


def declarable(kinds: Sequence[Kind]) -> bool:
    """Whether a target fails by what it could declare to be meant."""
    return not _DECLARED.isdisjoint(kind.words for kind in kinds)


def looser(report: Report, target: str) -> AccuracyClass | None:
    """Return the accuracy class by which nothing would be held against a target, if there is one.

    That is so where numbers alone are outside, and each of their quantities holds some class.
    """
    held: set[AccuracyClass] = set()
    for _, name, result in failures(report):
        if name == target:
            told = telling(result)
            if result.verdict != "diverge" or any(each.aspect != "value" for each in told):
                return None
            held |= {report.summary[name].accuracy.get(each.quantity, "none") for each in told}
    return None if not held or "none" in held else max(held, key=HELD.index)


def samples(report: Report, most: int) -> dict[str, tuple[list[CaseResult], int]]:
    """Return for each target failing cases to show, and how many it has besides.

    Where there are more than `most`, the plainest case of each kind comes first.
    """
    failing: dict[str, dict[str, CaseResult]] = {}
    for case, target, _ in failures(report):
        failing.setdefault(target, {})[case.id] = case
    chosen = {}
    for target, found in kinds(report).items():
        cases = failing[target]
        if len(cases) > most:
            cases = {kind.plainest.id: kind.plainest for kind in found} | cases
        chosen[target] = list(islice(cases.values(), most)), max(len(cases) - most, 0)
    return chosen


def _ways(result: Result) -> list[str]:
    if result.verdict != "diverge" or not result.divergences:
        return [result.verdict]
    return list(dict.fromkeys(map(_words, telling(result))))


def _words(divergence: Divergence) -> str:
    if divergence.aspect == "error" and BACKWARD in str(divergence.actual):
        return _NO_GRADIENTS
    if divergence.aspect in _PLAIN:
        return divergence.quantity
    return f"{divergence.quantity}'s {divergence.aspect}"
