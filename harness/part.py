"""A part of a run as one line of JSON: which cases, and the report of what was found."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

from harness.batch import About, Batch, Failure
from harness.known import KnownDivergences
from harness.report.collect import Collector
from harness.report.model import Report

T = TypeVar("T")
Spans = list[tuple[int, int]]
"""Places of cases in the order of the suite: each span from its first to before its last."""


@dataclass(frozen=True)
class Part:
    """What was found of some of a run's cases.

    Attributes
    ----------
    spans : Spans
        Which cases, all of them finished.
    batch : Batch
    """

    spans: Spans
    batch: Batch

    def to_json(self, about: About) -> str:
        """Return one line; what was found is a report, without what the whole run's says once."""
        batch = self.batch
        report = batch.collector.report({}, about.baseline, about.names)
        plain = {
            "cases": self.spans,
            "failures": batch.failures,
            "inapplicable": batch.inapplicable,
            "tried": sorted(batch.known.tried),
            "used": sorted(batch.known.used),
            "report": report.model_dump(mode="json", by_alias=True, exclude_defaults=True),
        }
        return json.dumps(plain, sort_keys=True, allow_nan=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str, known: KnownDivergences) -> Part:
        """Return the part that a line holds; `known` are the entries that it counts."""
        plain = json.loads(text)
        batch = Batch(
            Collector.of(Report.model_validate(plain["report"])),
            KnownDivergences(known.entries, known.places, {*plain["tried"]}, {*plain["used"]}),
            [Failure(*each) for each in plain["failures"]],
            plain["inapplicable"],
        )
        return cls([(start, stop) for start, stop in plain["cases"]], batch)


def joined(spans: Iterable[tuple[int, int]]) -> Spans:
    """Return spans in order, those that touch as one."""
    found: Spans = []
    for start, stop in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(stop, found[-1][1])
        else:
            found.append((start, stop))
    return found


def spans_of(places: Iterable[int]) -> Spans:
    """Return the spans of places."""
    return joined((place, place + 1) for place in places)


def meets(spans: Spans, others: Spans) -> bool:
    """Whether a place is in both of two joined lists of spans."""
    total = sum(stop - start for start, stop in chain(spans, others))
    return sum(stop - start for start, stop in joined(chain(spans, others))) < total


def without(items: Iterable[T], spans: Spans) -> Iterator[tuple[int, T]]:
    """Yield the items that are in none of the joined spans, each with its place."""
    left = iter(spans)
    start, stop = next(left, (-1, -1))
    for place, item in enumerate(items):
        if place == stop:
            start, stop = next(left, (-1, -1))
        if not start <= place < stop:
            yield place, item
