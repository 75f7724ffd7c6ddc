"""Case files, and the items that judge their cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from _pytest.subtests import SubtestContext  # has no public name; pytest.SubtestReport needs it

from harness.case.matrix import Matrix
from harness.case.suite import Entry, load
from harness.compare import Comparison
from harness.errors import InvalidInput
from harness.pytest_plugin.bench import Found, bench
from harness.pytest_plugin.gather import BEGUN, Record
from harness.verdicts import FAILED

PARTS = 8
"""Most items of a matrix and target; the first has every eighth case from the first on."""

SHOWN = 10
"""Most failing cases of an item that are shown one by one."""


class CaseFile(pytest.File):
    """A file of cases: an item for each hand-written case and target, some for each matrix."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield the items; every mistake of the file is one error."""
        here = bench(self.config)
        try:
            entries = load([self.path]).entries
            here.claim(entries)
        except InvalidInput as error:
            raise self.CollectError(str(error)) from None
        for entry in entries:
            parts = 1
            if isinstance(entry.item, Matrix):
                parts = min(PARTS, sum(1 for _ in entry.item.ids()))
            for target in here.plan.targets:
                for part in range(1, parts + 1):
                    yield CaseItem.from_parent(
                        self, entry=entry, entries=len(entries), target=target, part=(part, parts)
                    )


class CaseItem(pytest.Item):
    """A hand-written case, or a part of a matrix's cases, judged for one target.

    Parameters
    ----------
    entry : Entry
    entries : int
        How many entries the file has.
    target : str
        The SPEC.
    part : (int, int)
        Part I of N, I from 1.
    """

    def __init__(
        self,
        *,
        entry: Entry,
        entries: int,
        target: str,
        part: tuple[int, int],
        **node: Any,  # noqa: ANN401  # pytest's own
    ) -> None:
        which = f"-{part[0]}/{part[1]}" if entry.matrix else ""
        super().__init__(**_named(f"{entry.item.id}[{target}{which}]", node))
        self.entry, self.entries, self.target, self.part = entry, entries, target, part
        self.extra_keyword_matches.update(entry.item.tags)
        self.record: Record | None = None

    def setup(self) -> None:
        """Stop the session where a target cannot be loaded: the other items would say the same."""
        worker = bench(self.config).worker
        if isinstance(worker, InvalidInput):
            self.session.shouldstop = str(worker)
            pytest.fail(str(worker), pytrace=False)

    def runtest(self) -> None:
        """Judge the cases; fail, skip or xfail as their verdicts say."""
        found = bench(self.config).judge(self.entry, self.part, self.target)
        failing = [each for each in found.comparisons if each.verdict in FAILED]
        if self.entry.matrix:
            for comparison in failing[:SHOWN]:
                self._report_subtest(comparison.id, found.explained(comparison))
        self.record = Record(self.entry, self.entries, self.part, found.batch, found.about)
        for refusal in found.unforeseen():
            self.warn(pytest.PytestWarning(refusal))
        if failing:
            pytest.fail(self._failure(found, failing), pytrace=False)
        _conclude(found)
        noted = [each for each in found.comparisons if each.verdict == "baseline_inaccurate"]
        for comparison in noted[:SHOWN]:
            self.add_report_section("call", "conformance", found.explained(comparison))

    def _failure(self, found: Found, failing: list[Comparison]) -> str:
        if not self.entry.matrix:
            return found.explained(failing[0])
        text = f"{len(failing):,} of {len(found.comparisons):,} cases diverge"
        if len(failing) > SHOWN:
            text += f"; the first {SHOWN} are shown"
        return f"{text}\n  reproduce: {found.reproduction(f'{self.entry.item.id}/*')}"

    def _report_subtest(self, case: str, text: str) -> None:
        call = pytest.CallInfo.from_call(lambda: pytest.fail(text, pytrace=False), when="call")
        report = self.ihook.pytest_runtest_makereport(item=self, call=call)
        subtest = pytest.SubtestReport.__new__(pytest.SubtestReport)
        context = SubtestContext(msg=case.removeprefix(f"{self.entry.item.id}/"), kwargs={})
        vars(subtest).update(vars(report), context=context)
        capture = self.config.pluginmanager.get_plugin("capturemanager")
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            self.ihook.pytest_runtest_logreport(report=subtest)

    def annotate(self, report: pytest.TestReport) -> None:
        """Send with the report what was found, and say where the case stands."""
        sent: dict[str, Any] = vars(report)
        if report.when == "setup":
            sent["conformance"] = BEGUN
        elif report.when == "call" and self.record is not None:
            sent["conformance"] = self.record.packed()
        if isinstance(report.longrepr, tuple):
            report.longrepr = (str(self.path), self.entry.line, report.longrepr[2])

    def repr_failure(
        self,
        excinfo: pytest.ExceptionInfo[BaseException],
        style: Any = None,  # noqa: ANN401  # pytest's own
    ) -> Any:  # noqa: ANN401
        """Return the failure; of one that no verdict explains, where it is from here on."""
        if isinstance(excinfo.value, pytest.PytestWarning):  # with -W error
            return str(excinfo.value)
        excinfo.traceback = excinfo.traceback.cut(path=__file__)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Return where the case stands, and its name."""
        return self.path, self.entry.line - 1, self.name


class AbsentTarget(pytest.Item):
    """In place of all items of a target that cannot run on this machine.

    Parameters
    ----------
    target : str
        The SPEC.
    reason : str
    """

    def __init__(self, *, target: str, reason: str, **node: Any) -> None:  # noqa: ANN401  # pytest's own
        super().__init__(**_named(f"absent[{target}]", node))
        self.target, self.reason = target, reason

    def runtest(self) -> None:
        """Skip."""
        pytest.skip(f"absent: {self.reason}")

    def annotate(self, report: pytest.TestReport) -> None:
        """Say that no line of a file is meant."""
        if isinstance(report.longrepr, tuple):
            report.longrepr = (str(self.path), 1, report.longrepr[2])

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Return the name; no line is meant."""
        return self.path, None, self.name


def replace_absent(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Load the targets; put one item in place of all those of a target that is absent."""
    absent = bench(config).absent
    kept: list[pytest.Item] = []
    dropped: list[pytest.Item] = []
    said: set[str] = set()
    for item in items:
        if not isinstance(item, CaseItem) or item.target not in absent:
            kept.append(item)
        elif item.target in said:
            dropped.append(item)
        else:
            said.add(item.target)
            kept.append(
                AbsentTarget.from_parent(
                    item.parent,  # type: ignore[arg-type]  # typed as if it could be missing
                    target=item.target,
                    reason=absent[item.target],
                )
            )
    if said:
        items[:] = kept
    if dropped:
        config.hook.pytest_deselected(items=dropped)


def _named(name: str, node: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of an item, its id spelled so that pytest reads back what it wrote."""
    return {**node, "name": name, "nodeid": f"{node['parent'].nodeid}::{name}"}


def _conclude(found: Found) -> None:
    """Skip or xfail where no case is a pass."""
    if any(each.verdict in ("agree", "baseline_inaccurate") for each in found.comparisons):
        return
    known = [each for each in found.comparisons if each.verdict == "known"]
    if known:
        pytest.xfail(_reasons(known))
        # With --runxfail that does nothing.
        pytest.fail(found.explained(known[0]), pytrace=False)
    if not found.comparisons:
        pytest.skip(f"does not hold for torch {found.about.torch}")
    pytest.skip(_reasons(found.comparisons))


def _reasons(comparisons: Iterable[Comparison]) -> str:
    """Return why cases are no pass, each reason once."""
    reasons = Counter(_reason(each) for each in comparisons)
    return "; ".join(
        f"{reason} ({count:,} cases)" if count > 1 else reason
        for reason, count in reasons.most_common(3)
    )


def _reason(comparison: Comparison) -> str:
    match comparison.verdict:
        case "known":
            return f"known: {comparison.reason} ({comparison.link})"
        case "unjudged":
            return "unjudged: none of its numbers has a finite bound"
        case verdict:
            return f"{verdict}: {comparison.reason}"
