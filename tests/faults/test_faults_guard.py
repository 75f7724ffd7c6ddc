"""Global state that a target changes is the caller's again after the case."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor

import acts
import numpy as np
import pytest
import torch
from table import GLOBAL

from harness.case.suite import load
from harness.targets import blinded, resolve
from harness.targets.guard import guarded, session, settings


def others():
    """Return the state that has another form than a setting's."""
    return {
        "NumPy's errors": np.geterr(),
        "warnings": list(warnings.filters),
        "NumPy's generator": np.random.get_state()[1].tobytes(),
        "torch's generator": torch.default_generator.get_state().numpy().tobytes(),
        "subnormals": repr(float("5e-324") * 1.0),  # flushed, it equals 0
    }


def state():
    """Return all of the state."""
    return {**{each.name: each.read() for each in settings()}, **others()}


def differing(before):
    """Return the names of what is not as it was."""
    return {name for name, value in state().items() if value != before[name]}


def changes(name):
    """Return what an act changes in a process, and what is still changed after the guard."""
    before = state()
    with guarded():
        inside = state()
        getattr(acts, name)()
        changed = differing(inside)
    return changed, differing(before)


def changes_in_a_row(name):
    """Return what is changed for the case after that of an act, and after both."""
    before = state()
    with session():
        with guarded():
            inside = state()
            getattr(acts, name)()
        with guarded():
            next_starts = differing(inside)
    return next_starts, differing(before)


@pytest.mark.parametrize("spec", ["torch", "reference", "reference:arithmetic=fused"])
def test_what_is_not_looked_after_changes_nothing(spec):
    """Torch and the reference leave the process as it was, in every hand-written case."""
    target, suite = resolve(spec), load(["cases/seed", "cases/edge", "cases/regressions"])
    for _, case in suite.cases():
        target.execute(blinded(case))  # SymPy, which torch imports for an error, adds a filter
    with session():
        before = state()
        for _, case in suite.cases():
            target.execute(blinded(case))
            assert differing(before) == set(), case.id


def for_each_row(function):
    """Return what a function finds for each row of the table, all in one process."""
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(1, context) as process:
        return {each.done: process.submit(function, each.name).result() for each in GLOBAL}


@pytest.fixture(scope="module")
def found():
    """Return for each row of the table what is changed in it and what is after it."""
    return for_each_row(changes)


def test_each_change_is_put_back(found):
    """What a target did to global state is undone, in one process, for all rows in turn."""
    assert {name: sorted(left) for name, (_, left) in found.items()} == {
        each.done: [] for each in GLOBAL
    }


def test_the_next_case_in_a_row_starts_as_the_one_before():
    """What a target did to global state is undone for the next case, and for the caller."""
    assert for_each_row(changes_in_a_row) == {each.done: (set(), set()) for each in GLOBAL}


def test_what_a_case_imports_is_watched_from_the_next_case_on():
    """Where a case is the first to import torch, its settings are put back after the next."""
    script = """
import sys
from harness.targets.guard import guarded, session
with session():
    with guarded():
        before = "torch" in sys.modules
        import torch
    with guarded():
        torch.set_default_dtype(torch.float64)
print(before, torch.get_default_dtype())
"""
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True)

    assert done.stdout.split() == [b"False", b"torch.float32"]


def test_each_row_changes_something_and_each_setting_is_changed(found):
    """No row of the table is idle, and no setting of the guard is without a row."""
    assert [name for name, (changed, _) in found.items() if not changed] == []
    changed = set().union(*(changed for changed, _ in found.values()))

    assert {each.name for each in settings()} | set(others()) == changed


def test_a_case_runs_in_a_known_state_whatever_the_callers():
    """The caller's default type, autograd mode and errors hold for the caller alone."""
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad(), np.errstate(all="raise"), guarded():
            inside = torch.get_default_dtype(), torch.is_grad_enabled(), np.geterr()["divide"]
        after = torch.get_default_dtype()
    finally:
        torch.set_default_dtype(torch.float32)

    assert (inside, after) == ((torch.float32, True, "warn"), torch.float64)


def test_each_case_draws_the_same_numbers_and_the_caller_goes_on_with_its_own():
    """The global generators begin anew in each case, and the caller's are where they were."""
    drawn = []
    np.random.seed(7)
    expected = np.random.rand(2).tolist()
    np.random.seed(7)
    own = [np.random.rand()]
    for _ in range(2):
        with guarded():
            drawn.append((np.random.rand(), torch.rand(()).item()))
    own.append(np.random.rand())

    assert drawn[0] == drawn[1]
    assert own == expected


def test_torch_draws_what_it_draws_after_its_seed_was_set_to_zero():
    """In a case torch's generator is that of `manual_seed(0)`, its normal numbers too."""
    with guarded():
        found = torch.randn(3).tolist(), torch.rand(2).tolist(), torch.initial_seed()
    with guarded():
        torch.default_generator.manual_seed(0)
        expected = torch.randn(3).tolist(), torch.rand(2).tolist(), 0

    assert found == expected


def test_the_default_device_is_read_however_it_is_chosen():
    """A context of a device is found like a default that was set."""
    (device,) = [each for each in settings() if each.name == "torch: default device"]
    with torch.device("meta"):
        inside = device.read()
    torch.set_default_device("meta")
    try:
        chosen = device.read()
    finally:
        torch.set_default_device(None)

    assert (inside.type, chosen.type, device.read().type) == ("meta", "meta", "cpu")
