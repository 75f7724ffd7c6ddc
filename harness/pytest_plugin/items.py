"""Case files, and the items that judge their cases."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from _pytest.subtests import SubtestContext  # what a report of a subtest needs beside the report

from harness.case.suite import Entry, load
from harness.compare import Comparison
from harness.errors import InvalidInput
from harness.pytest_plugin.gather import BEGUN, Record, plan
from harness.report.collect import Origin
from harness.report.model import CaseResult
from harness.report.text import FAILED, describe, reproduction
from harness.worker import About, Batch, Plan, Worker

PARTS = 8
"""Most items of a matrix and target: every eighth of its cases."""

SHOWN = 10
"""Most failing cases of an item that are shown one by one."""


class Bench:
    """What the items of a process share: the targets, loaded when the first is to run."""

    def __init__(self, asked: Plan, folder: Path) -> None:
        self.plan = asked
        self.folder = folder
        self.ids: dict[str, tuple[str, int]] = {}

    @cached_property
    def worker(self) -> Worker | InvalidInput:
        """The worker, or why there is none."""
        if str(self.folder) not in sys.path:
            sys.path.insert(0, str(self.folder))
        try:
            return Worker(self.plan)
        except InvalidInput as error:
            return error

    def judge(self, entry: Entry, part: int, parts: int, target: str) -> tuple[Worker, Batch]:
        """Judge some cases of an entry by one target."""
        here = self.worker
        if isinstance(here, InvalidInput):
            pytest.fail(str(here), pytrace=False)
        batch = here.batch()
        origin = Origin.of(entry)
        for case in islice(entry.cases(), part - 1, None, parts):
            here.share(batch, origin, case, [here.baseline.info.name, target])
        return here, batch
