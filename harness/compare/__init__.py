"""Judges a target's trace against the baseline's and the exact result; it never runs anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.compare import discrete
from harness.compare.agreed import Agreement, agreements
from harness.compare.assess import assess
from harness.compare.documented import note, undocumented
from harness.compare.executions import compare_executions
from harness.compare.findings import Comparison, Divergence, Holding, Measure, Unforeseen
from harness.compare.follow import follow
from harness.compare.in_place import in_place, untold
from harness.compare.judged import Account, Assessed, Hearing
from harness.compare.published import published

__all__ = [
    "Account",
    "Agreement",
    "Comparison",
    "Divergence",
    "Hearing",
    "Holding",
    "Measure",
    "agreements",
    "judge",
]


def judge(hearings: Sequence[Hearing], accuracy: str | None = None) -> Iterator[list[Comparison]]:
    """Judge traces; many cases at once take a fraction of the time that they take one by one.

    Parameters
    ----------
    hearings : sequence of Hearing
    accuracy : str, optional
        The class whose bound is the standard; by default that of the input's type.

    Yields
    ------
    list of Comparison
        For each hearing that of the baseline, which is judged as any other, then the targets'.
    """
    heard = [
        (asked, account)
        for hearing in hearings
        for asked in [tuple(follow(hearing.case))]
        for account in hearing.accounts
    ]
    assessed = iter(assess(heard, accuracy))
    for hearing in hearings:
        theirs = next(assessed)
        yield [
            _compare(hearing, hearing.baseline, theirs, theirs),
            *[_compare(hearing, target, next(assessed), theirs) for target in hearing.targets],
        ]


def _compare(
    hearing: Hearing, target: Account, ours: list[Assessed], theirs: list[Assessed]
) -> Comparison:
    case = hearing.case
    found = Comparison(case.id, target.name)
    if _constructed(found, hearing, target):
        compare_executions(found, ours, theirs)
    if case.expect:
        _expected(found, hearing, target)
    if found.divergences:
        found.divergences = list(undocumented(found, found.divergences, target.semantics))
    checked = {name for each in case.expect for name, _ in each.numbers()}
    _conclude(found, checked, own=target is hearing.baseline)
    return found


def _expected(found: Comparison, hearing: Hearing, target: Account) -> None:
    """Compare with what the case publishes."""
    case, torch = hearing.case, hearing.torch
    found.divergences += published(case, target.trace, hearing.baseline.trace, torch)
    found.divergences += in_place(case, target.trace, hearing.baseline.trace, torch)
    if target.semantics.state is None:
        found.reason = found.reason or untold(case, target.trace, torch)
    elif any(each.in_place for each in case.expect):
        note(found, target.semantics.state)


def _constructed(found: Comparison, hearing: Hearing, target: Account) -> bool:
    """Compare the constructors; return whether there are steps to compare."""
    trace, baseline = target.trace, hearing.baseline.trace
    if trace.unsupported is not None:
        found.reason = trace.unsupported
        found.bitwise_equal = False
        return False
    wanted = hearing.case.raises
    found.divergences += discrete.errors((-1, 0), wanted, trace.raised, baseline.raised)
    if wanted is None and baseline.raised is not None:
        found.unforeseen = Unforeseen(-1, baseline.raised)
    if trace.raised is not None or baseline.raised is not None:
        found.bitwise_equal = trace.raised is not None and baseline.raised is not None
        return False
    if trace is not baseline:
        found.divergences += discrete.initial(trace.initial, baseline.initial)
    return True


def _conclude(found: Comparison, checked: set[str], *, own: bool) -> None:
    """Give the verdict; `checked` are the quantities that the case publishes numbers of."""
    culprits = {each.culprit for each in found.divergences}
    if culprits & {"target", "both"}:
        found.verdict = "diverge"
    elif found.reason is not None:
        found.verdict = "unsupported"
    elif culprits:
        # Outside its bound as the baseline is, and no worse, a target is what it claims to be.
        inside = all(each.figures.ratio <= 1 for each in found.measured)
        found.verdict = "baseline_inaccurate" if inside or own else "agree"
    elif _nothing_judged(found, checked):
        found.verdict = "unjudged"


def _nothing_judged(found: Comparison, checked: set[str]) -> bool:
    nothing = True
    for each in found.measured:
        if each.figures.unjudged < each.elements:
            return False
        if each.elements:
            nothing = False
            if each.holding.quantity in checked:
                return False
    return not nothing
