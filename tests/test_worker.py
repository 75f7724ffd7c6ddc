"""One process's part of a run: as many cases as there is time for, by all or by none."""

from __future__ import annotations

import gc
import math
import time
import tracemalloc

import pytest

from harness.case.model import Case
from harness.case.suite import Selection, load
from harness.plan import Plan
from harness.reference import BatchNorm2d
from harness.report.collect import Origin
from harness.worker import Worker

SLEEP = 0.05
"""Seconds, longer than a turn."""


class Slow(BatchNorm2d):
    """Takes its time."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        time.sleep(SLEEP)


@pytest.fixture(scope="module")
def tasks():
    """Return 60 cases."""
    suite = load(["cases/core"]).select(Selection(sample=60))
    return [(Origin.of(entry), case) for entry, case in suite.cases()]


def counts(batch):
    """Return of how many cases each implementation was judged."""
    return {name: tally["cases"] for name, tally in batch.collector.verdicts.items()}


@pytest.mark.parametrize("seconds", [0, 3 * SLEEP])
def test_what_there_is_time_for_is_executed_by_all(tasks, seconds):
    """When the time is over, every implementation was judged in the same cases, at least one."""
    batch, done = Worker(Plan((Slow, "reference"))).take(tasks, seconds)

    assert set(counts(batch).values()) == {done}
    assert 1 <= done <= 1 + seconds / SLEEP


def test_parts_make_the_whole(tasks):
    """Cases that are taken a few at a time come to what they come to all at once."""
    worker = Worker(Plan(("reference",), full=True))
    whole, done = worker.take(tasks, math.inf)
    parts, start = worker.batch(), 0
    while start < len(tasks):
        part, count = worker.take(tasks[start:], 0.004)
        parts.merge(part)
        start += count

    assert done == start == len(tasks)
    assert parts.collector == whole.collector


def test_what_a_large_case_was_judged_by_is_gone_with_it():
    """No array is left in a circle of references, for Python to find when memory is full."""
    elements = 2**18
    given = {"shape": [2, 1, 1, elements // 2], "fill": "normal"}
    step = {"train": {"input": given, "grad_output": {"fill": "ones"}}}
    case = {"id": "large", "why": "long rows.", "module": {"num_features": 1}, "steps": [step]}
    task = Origin("here", 1, (), None), Case.model_validate(case)
    worker = Worker(Plan(("reference",)))
    worker.run([task])  # what is imported and kept for the next
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        worker.run([task])
        left, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()

    assert most > 8 * elements
    assert left < elements
