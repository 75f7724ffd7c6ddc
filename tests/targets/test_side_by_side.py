"""Cases that are executed side by side, and each alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import recorded

from harness.case.suite import Selection, load
from harness.targets import blinded, resolve

torch.set_num_threads(1)

SUITES = [
    load(["cases/edge", "cases/seed", "cases/regressions"]),
    load(["cases/core"]).select(Selection(sample=100)),
]
CASES = [blinded(case) for suite in SUITES for _, case in suite.cases()]
NAMES = ["torch", "reference", "reference:arithmetic=fused"]
ALONE = {name: {} for name in NAMES}


def alone(name, place):
    """Return what is recorded of a case by itself."""
    if place not in ALONE[name]:
        ALONE[name][place] = recorded(resolve(name).execute(CASES[place]))
    return ALONE[name][place]


@pytest.mark.parametrize("name", NAMES)
def test_all_cases_side_by_side_are_recorded_as_each_alone(name):
    """Steps of every kind, and errors, are the case's own, whatever its neighbours do."""
    together = resolve(name).run_all(CASES)

    assert [recorded(trace) for trace in together] == [alone(name, n) for n in range(len(CASES))]


@given(st.lists(st.integers(0, len(CASES) - 1), max_size=12), st.sampled_from(NAMES))
@settings(max_examples=50, deadline=None)
def test_no_case_shows_in_what_is_recorded_of_another(places, name):
    """Any cases may be neighbours, a case and itself too."""
    together = resolve(name).run_all([CASES[place] for place in places])

    assert [recorded(trace) for trace in together] == [alone(name, place) for place in places]


@pytest.mark.parametrize("spec", ["torch:via=functional", torch.nn.SyncBatchNorm])
def test_who_might_do_harm_is_executed_case_by_case(spec):
    """What a module changes in its process is put back after each case, so none is in between."""
    assert resolve(spec).run_all is None
