"""Judges a target's trace against the baseline's and the exact result; it never runs anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.case.model import Case
from harness.compare import discrete
from harness.compare.assess import Assessed, Declarations, Judged, assess
from harness.compare.blame import blame, equal_elements
from harness.compare.consistent import NAME, consistency
from harness.compare.documented import note_numbers, undocumented
from harness.compare.exactly import CLASSES
from harness.compare.findings import Comparison, Divergence, Holding, Measure, Worst, measured
from harness.compare.published import published
from harness.dtypes import name_of
from harness.oracle import Declared, Step
from harness.semantics import TORCH, Semantics
from harness.trace import RESULTS, STATE, Raised, Trace, same_bits

__all__ = ["CLASSES", "Comparison", "Divergence", "Holding", "Judge", "Measure"]


def _nothing(_: Step) -> Declared | None:
    return None


@dataclass(frozen=True)
class Judge:
    """The judge of one case: made with the baseline's trace, asked for each target's.

    Attributes
    ----------
    case : Case
    baseline : Trace
    torch : str
        The baseline's version, for expectations that hold in some versions only.
    declarations : callable
        What the baseline declares of its accuracy in a step.
    accuracy : str or None
        The class whose bound is the standard; None for that of the input's type.
    semantics : Semantics
        What the baseline documents to mean otherwise than torch.
    """

    case: Case
    baseline: Trace
    torch: str
    declarations: Declarations = _nothing
    accuracy: str | None = None
    semantics: Semantics = TORCH

    def __post_init__(self) -> None:
        judged = assess(
            self.case,
            self.baseline,
            self.declarations,
            self.accuracy,
            semantics=self.semantics,
        )
        object.__setattr__(self, "_judged", judged)

    def compare(
        self,
        target: str,
        trace: Trace,
        declarations: Declarations = _nothing,
        semantics: Semantics = TORCH,
    ) -> Comparison:
        """Judge a target's trace; the baseline's own trace is judged too, as any other.

        Parameters
        ----------
        target : str
            The target's name.
        trace : Trace
        declarations : callable
            From a step to what the target declares of its accuracy in it.
        semantics : Semantics
            What the target documents to mean otherwise than torch.
        """
        found = Comparison(self.case.id, target)
        theirs: tuple[Assessed, ...] = self._judged  # type: ignore[attr-defined]
        ours = (
            theirs
            if trace is self.baseline
            else assess(self.case, trace, declarations, self.accuracy, theirs, semantics=semantics)
        )
        if self._constructed(found, trace):
            self._steps(found, ours, theirs)
        found.divergences += published(self.case, trace, self.baseline, self.torch)
        found.divergences = list(undocumented(found, found.divergences, semantics))
        checked = {name for each in self.case.expect for name, _ in each.numbers()}
        _conclude(found, checked, own=trace is self.baseline)
        return found

    def _constructed(self, found: Comparison, trace: Trace) -> bool:
        """Compare the constructors; return whether there are steps to compare."""
        if trace.unsupported is not None:
            found.reason = trace.unsupported
            found.bitwise_equal = False
            return False
        found.divergences += discrete.errors(
            (-1, 0), self.case.raises, trace.raised, self.baseline.raised
        )
        if trace.raised is not None or self.baseline.raised is not None:
            found.bitwise_equal = trace.raised is not None and self.baseline.raised is not None
            return False
        found.divergences += discrete.initial(trace.initial, self.baseline.initial)
        return True

    def _steps(
        self, found: Comparison, ours: tuple[Assessed, ...], theirs: tuple[Assessed, ...]
    ) -> None:
        saved: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
        for target, baseline in zip(ours, theirs, strict=False):
            at = target.done.step, target.done.repetition
            go_on = _step(found, at, target, baseline, saved)
            for side, assessed in zip(saved, (target, baseline), strict=True):
                if assessed.done.saved is not None:
                    side[assessed.asked.step.save] = assessed.done.saved  # type: ignore[union-attr]
            if not go_on:
                found.bitwise_equal = False
                return


def _step(
    found: Comparison,
    at: tuple[int, int],
    target: Assessed,
    baseline: Assessed,
    saved: tuple[dict[str, Any], dict[str, Any]],
) -> bool:
    """Compare one execution; return whether the next is worth comparing."""
    missing = _unsupported(target, baseline.done.raised)
    if missing is not None:
        found.reason = found.reason or missing
        found.bitwise_equal = False
        if not target.done.results:
            return False
    else:
        differing = list(
            discrete.errors(
                at, target.asked.step.expected_error, target.done.raised, baseline.done.raised
            )
        )
        found.divergences += differing
        if any(each.aspect == "error" for each in differing):
            return False
    gradients = frozenset(RESULTS[1:]) if missing is not None else frozenset()
    found.divergences += discrete.results(at, target, baseline, gradients)
    _numbers(found, at, target, baseline)
    found.divergences += discrete.state(at, target, baseline, *saved)
    found.divergences += discrete.saved_keys(at, target, baseline)
    found.divergences += discrete.untouched(at, target)
    found.bitwise_equal = found.bitwise_equal and _bitwise(target, baseline)
    return True


def _unsupported(target: Assessed, baseline: Raised | None) -> str | None:
    if target.done.unsupported is not None:
        return target.done.unsupported
    raised = target.done.raised
    if raised is not None and raised.type == "NotImplementedError" and baseline is None:
        return raised.message or f"{raised.phase} is not implemented"
    return None


def _numbers(found: Comparison, at: tuple[int, int], target: Assessed, baseline: Assessed) -> None:
    reasons = set(found.declared)
    for quantity, ours in target.judged.items():
        if ours.declared is not None:
            reasons.add(ours.declared.reason)
        measure = measured(found.id, ours)
        if found.worst is None or measure.ratio > found.worst.ratio:
            found.worst = Worst(quantity, at[0], measure.ratio, measure.ulp)
        theirs = baseline.judged.get(quantity)
        if theirs is not None:
            measure.bitwise = equal_elements(ours, theirs)
            measure.nearer, measure.farther = ours.worst < theirs.worst, ours.worst > theirs.worst
            if measure.ratio > 1 or theirs.worst > 1:
                found.divergences += blame(at, ours, theirs)
        found.measure(_holding(target, ours), measure)
    found.declared = tuple(sorted(reasons))
    note_numbers(found, target)
    own = consistency(found.id, target)
    if own is not None:
        output = _holding(target, target.judged["output"])
        found.measure(output._replace(quantity=NAME), own)


def _holding(assessed: Assessed, judged: Judged) -> Holding:
    forward = assessed.asked.step.forward
    layout = forward.input.layout if forward is not None else "contiguous"
    return Holding(judged.quantity, assessed.asked.step.kind, name_of(judged.array.dtype), layout)


def _bitwise(target: Assessed, baseline: Assessed) -> bool:
    pairs: list[tuple[Any, Any]] = [
        (getattr(target.done, part).get(name), getattr(baseline.done, part).get(name))
        for part, names in (("results", RESULTS), ("state", STATE))
        for name in names
    ]
    return all(
        ours is theirs or (ours is not None and theirs is not None and same_bits(ours, theirs))
        for ours, theirs in pairs
    )


def _conclude(found: Comparison, checked: set[str], *, own: bool) -> None:
    """Give the verdict; `checked` are the quantities that the case publishes numbers of."""
    measures = [(each, held.quantity) for held, each in found.measures.items() if each.elements]
    culprits = {
        "target" if each.aspect == "published" else each.culprit for each in found.divergences
    }
    if culprits & {"target", "both"}:
        found.verdict = "diverge"
    elif found.reason is not None:
        found.verdict = "unsupported"
    elif culprits:
        # Outside its bound as the baseline is, and no worse, a target is what it claims to be.
        inside = all(measure.ratio <= 1 for measure in found.measures.values())
        found.verdict = "baseline_inaccurate" if inside or own else "agree"
    elif measures and not any(
        each.unjudged < each.elements or quantity in checked for each, quantity in measures
    ):
        found.verdict = "unjudged"
