"""What a part of a run has found; parts are merged in any order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from harness.case.model import Case
from harness.compare import Agreement, Comparison
from harness.known import KnownDivergences
from harness.report.collect import Collector, Origin
from harness.report.model import Report
from harness.verdicts import FAILED, Verdict


class Failure(NamedTuple):
    """What is held against a target, small enough to keep of every case."""

    id: str
    """The case's."""
    target: str
    verdict: Verdict


@dataclass(frozen=True)
class About:
    """What a run's processes say of themselves.

    Attributes
    ----------
    baseline : str
        The baseline's name.
    names : list of str
        Of the targets, those that are absent included.
    absent : dict of str to str
        Targets that cannot run here, and why.
    environment : dict
    torch : str
        The baseline's version, which decides what cases hold.
    """

    baseline: str
    names: list[str]
    absent: dict[str, str]
    environment: dict[str, Any]
    torch: str

    def quiet(self, name: str) -> bool:
        """Whether a target is the baseline, and not judged itself."""
        return name == self.baseline and name not in self.names


@dataclass
class Batch:
    """What a part of a run has found.

    Attributes
    ----------
    collector : Collector
    known : KnownDivergences
    failures : list of Failure
        What is held against a target.
    inapplicable : int
        How many cases do not hold for this version of torch.
    """

    collector: Collector
    known: KnownDivergences
    failures: list[Failure] = field(default_factory=list)
    inapplicable: int = 0

    def keep(self, origin: Origin, comparison: Comparison, about: About) -> None:
        """Collect a comparison, known divergences taken note of."""
        self.known.apply(comparison)
        quiet, verdict = about.quiet(comparison.target), comparison.verdict
        self.collector.add(origin, comparison, baseline=quiet)
        # What a case publishes and the baseline does not hold shows with each target too.
        if verdict in FAILED and not (quiet and verdict == "diverge"):
            self.failures.append(Failure(comparison.id, comparison.target, verdict))

    def keep_agreement(self, origin: Origin, agreement: Agreement) -> None:
        """Collect cases of a matrix that agree, and are not listed."""
        self.known.meet(agreement.target, agreement.cases)
        self.collector.add_agreement(origin, agreement)

    def merge(self, other: Batch) -> None:
        """Add what another part has found."""
        self.collector.merge(other.collector)
        self.known.merge(other.known)
        self.failures += other.failures
        self.inapplicable += other.inapplicable

    def reported(
        self, about: About, *, partial: bool, selection: dict[str, Any], whole: bool
    ) -> tuple[Report, list[str]]:
        """Return the report of a run that came to this, and the mistakes in what is known.

        Parameters
        ----------
        about : About
        partial : bool
            The run was interrupted.
        selection : dict
            What the report says of which cases were chosen.
        whole : bool
            The run was to be of all cases, so that each known divergence must be met.
        """
        report = self.collector.report(
            about.environment,
            about.baseline,
            about.names,
            partial=partial,
            absent=about.absent,
            selection=selection,
        )
        if selection.get("accuracy"):  # what is known was seen by the bounds of each type
            return report, []
        return report, self.known.mistakes([*about.names, about.baseline], whole and not partial)

    @property
    def cases(self) -> int:
        """How many cases it is of."""
        counts = self.collector.verdicts.values()
        return max((each["cases"] for each in counts), default=0) + self.inapplicable


def without_trace(case: Case, target: str, verdict: Verdict, reason: str) -> Comparison:
    """Return the comparison of a target that gave no trace, or to which there is none."""
    return Comparison(case.id, target, verdict, bitwise_equal=False, reason=reason)
