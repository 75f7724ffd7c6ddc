"""Cases on their way to judgement, and which are executed at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from harness.batch import without_trace
from harness.case.model import Case
from harness.compare import Account, Comparison
from harness.report.collect import Origin
from harness.verdicts import Verdict

_MANY, _SMALL = 64, 2**15
"""Most cases that are executed side by side, and most elements of their inputs: what is larger
than the caches has nothing from its neighbours."""


@dataclass
class Executed:
    """A case on its way to judgement.

    Attributes
    ----------
    origin : Origin
    case : Case
    names : sequence of str
        The baseline and targets whose comparisons are kept.
    applies : bool
        The case holds for the baseline's version of torch.
    baseline : Account or None
        None where it gave nothing to judge.
    heard : list of Account
        Of the targets.
    lost : dict of str to Comparison
        Of those that gave no trace, or to which there is none.
    """

    origin: Origin
    case: Case
    names: Sequence[str]
    applies: bool = True
    baseline: Account | None = None
    heard: list[Account] = field(default_factory=list)
    lost: dict[str, Comparison] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Elements of the baseline's results."""
        steps = self.baseline.trace.steps if self.baseline is not None else ()
        arrays = (array for step in steps for array in step.results.values())
        return sum(array.size for array in arrays if array is not None)

    def lose(self, name: str, verdict: Verdict, reason: str) -> None:
        """Give up on a target."""
        self.lost[name] = without_trace(self.case, name, verdict, reason)


def at_once(cases: Iterable[Executed]) -> Iterator[list[Executed]]:
    """Yield cases in groups that are executed side by side; none is taken before it is needed."""
    some: list[Executed] = []
    size = 0
    for each in cases:
        some.append(each)
        size += each.case.elements
        if size > _SMALL or len(some) == _MANY:
            yield some
            some, size = [], 0
    if some:
        yield some
