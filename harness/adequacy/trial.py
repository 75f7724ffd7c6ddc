"""One case against many variants: the baseline runs, and is judged, only once."""

from __future__ import annotations

import pickle
from collections.abc import Collection
from dataclasses import dataclass

from harness.adequacy.catalogue import Variant, planted, sound
from harness.case import needs
from harness.case.arrays import elements
from harness.case.model import Case
from harness.compare import Account, Comparison, Hearing, judge
from harness.targets import Target, resolve


@dataclass(frozen=True)
class Finding:
    """What a case found.

    Attributes
    ----------
    id : str
    cost : int
        Elements that go through the module, over all steps.
    caught : tuple of str
        Planted mistakes that it catches.
    blamed : tuple of str
        Sound variants that it blames.
    """

    id: str
    cost: int
    caught: tuple[str, ...]
    blamed: tuple[str, ...]


class Trial:
    """The variants as targets, in one process.

    Parameters
    ----------
    baseline : str
        SPEC of the target that defines the expected behaviour.
    """

    def __init__(self, baseline: str = "torch") -> None:
        self.baseline = resolve(baseline)
        self.targets: dict[Variant, Target] = {
            variant: variant.target() for variant in (*planted(), *sound())
        }

    def run(self, case: Case, wanted: Collection[str]) -> Finding | None:
        """Judge the variants that are named in `wanted` on a case.

        Returns None where the case does not hold for the baseline's version of torch.
        """
        info = self.baseline.info
        if not needs.applies(case, info.versions["torch"]):
            return None
        own = Account(info.name, self.baseline.execute(case), info.declares)
        # Most mistakes do not show in most cases: equal traces have equal verdicts.
        alike: dict[bytes, tuple[Account, list[Variant]]] = {}
        for variant, target in self.targets.items():
            if variant.name not in wanted:
                continue
            done = target.execute(case)
            key = pickle.dumps((done, target.info.declarations))
            account = Account(variant.name, done, target.info.declares)
            alike.setdefault(key, (account, []))[1].append(variant)
        heard = tuple(account for account, _ in alike.values())
        ((_, *comparisons),) = judge([Hearing(case, info.versions["torch"], own, heard)])
        found: dict[str, list[str]] = {"planted": [], "sound": []}
        for comparison, (_, variants) in zip(comparisons, alike.values(), strict=True):
            for variant in variants if diverges(comparison) else ():
                found[variant.kind].append(variant.name)
        return Finding(case.id, cost(case), tuple(found["planted"]), tuple(found["sound"]))


def diverges(comparison: Comparison) -> bool:
    """Tell whether a comparison holds something against the target."""
    culprits = {each.culprit for each in comparison.divergences}
    return comparison.verdict == "diverge" and bool(culprits & {"target", "both"})


def cost(case: Case) -> int:
    """Return the number of elements that go through the module, and at least one a step."""
    total = 0
    for _, _, step in case.executions():
        shape = step.forward.input.size if step.forward else None
        total += 1 if shape is None else elements(shape)
    return total
