"""--memory: a target that wants more than it may take is blamed, and nothing else is."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from made_files import MARKED, THREE

from harness.case.suite import load
from harness.errors import InvalidInput
from harness.memory import size
from harness.plan import Plan
from harness.runner import run

TARGETS = """
import numpy as np
import torch

class Hungry(Marked):
    kept = []

class AtOnce(Hungry):
    def act(self):
        self.kept.append(np.ones(600 << 17))

class BitByBit(Hungry):
    def act(self):
        while len(self.kept) < 600:
            self.kept.append(bytearray(1 << 20))

class Raising(Hungry):
    def act(self):
        try:
            np.ones(600 << 17)
        except MemoryError:
            raise RuntimeError("std::bad_alloc") from None

class Modest(Hungry):
    def act(self):
        self.kept.append(np.ones(50 << 17))

class Leaking(BatchNorm2d):
    kept = []
    def __call__(self, given):
        self.kept.append(np.ones(150 << 17))
        return super().__call__(given)

class LeakingAndHungry(Leaking):
    def __call__(self, given):
        if given.size == 2:
            np.ones(600 << 17)
        return super().__call__(given)

class Module(torch.nn.BatchNorm2d):
    def forward(self, given):
        if given.numel() == 2:
            torch.ones(600 << 17, dtype=torch.float64)
        return super().forward(given)
"""
MEMORY = 300 << 20
pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """Return a function: the verdict and reason of each case by classes, within the memory."""
    folder = tmp_path_factory.mktemp("memory")
    (folder / "cases.yaml").write_text(THREE)
    (folder / "targets.py").write_text(MARKED + TARGETS)

    def judged(*names, memory=MEMORY):
        targets = tuple(f"{folder}/targets.py:{name}" for name in names)
        report = run(load([folder / "cases.yaml"]), Plan(targets, memory=memory)).report
        return {
            name: {case.id: case.results[target] for case in report.cases}
            for name, target in zip(names, targets, strict=True)
        }

    return judged


def test_who_wants_more_than_the_memory_crashes_alone(verdicts):
    """However a target asks for memory, its case is a crash that says so; others are judged."""
    hungry = ("AtOnce", "BitByBit", "Raising", "Module")
    found = verdicts(*hungry, "Modest")
    well = {"first": "agree", "marked": "agree", "last": "agree"}

    for name, results in found.items():
        expected = {**well, "marked": "crash"} if name in hungry else well
        assert {case: each.verdict for case, each in results.items()} == expected
    reasons = {found[name]["marked"].reason for name in hungry}
    assert reasons == {"it wants more than the 314,572,800 bytes of memory that it may take"}


@pytest.mark.parametrize("memory", [200 << 20, MEMORY])
def test_what_a_target_has_kept_of_other_cases_is_not_held_against_one(verdicts, memory):
    """A target that leaks a part of the memory with each case has another process in time."""
    found = verdicts("Leaking", memory=memory)["Leaking"]

    assert {case: each.verdict for case, each in found.items()} == dict.fromkeys(found, "agree")


def test_a_case_that_wants_too_much_itself_is_told_from_those_that_meet_what_is_kept(verdicts):
    """Of a target that leaks, only the case that alone wants more than the memory is a crash."""
    found = verdicts("LeakingAndHungry", memory=200 << 20)["LeakingAndHungry"]
    expected = {"first": "agree", "marked": "crash", "last": "agree"}

    assert {case: each.verdict for case, each in found.items()} == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("500MiB", 500 << 20), ("2GB", 2 * 10**9), ("1.5 gib", 3 << 29), ("4096", 4096), ("1K", 1000)],
)
def test_a_size_is_read_as_it_is_written(text, expected):
    """Sizes are in bytes, in units of 1000s, or with an i of 1024s."""
    assert size(text) == expected


@pytest.mark.parametrize("text", ["", "much", "-1GB", "0", "2 XB", "GB", "1e9", "0.0001K"])
def test_what_is_no_size_is_refused(text):
    """What is no size above 0 is one message that says how to write one."""
    with pytest.raises(InvalidInput, match=re.escape(f"--memory {text}: should be a size, as")):
        size(text)


def test_only_processes_of_the_run_are_limited():
    """The caller's process, or an executor's, would end with a target; both are refused."""
    with ThreadPoolExecutor(1) as executor:
        for more in ({"jobs": 0}, {"executor": executor}):
            with pytest.raises(InvalidInput, match="worker processes of the run's own"):
                run(load(), Plan(("reference",), memory=MEMORY), **more)
