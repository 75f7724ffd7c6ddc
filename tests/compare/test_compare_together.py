"""Cases that are judged together, and each alone."""

from __future__ import annotations

from functools import cache

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.case.model import Case
from harness.case.suite import Selection, load
from harness.compare import Account, Hearing, judge
from harness.oracle import parts
from harness.targets import blinded, resolve

torch.set_num_threads(1)


@cache
def hearings():
    """Return what torch and the reference did with hand-written and generated cases."""
    suites = load(["cases/edge"]), load(["cases/core"]).select(Selection(sample=150))
    baseline, target = resolve("torch"), resolve("reference")

    def account(of, case):
        return Account(of.info.name, of.execute(blinded(case)), of.info.declares)

    return [
        Hearing(case, torch.__version__, account(baseline, case), (account(target, case),))
        for suite in suites
        for _, case in suite.cases()
    ]


@cache
def alone(place):
    """Return the comparisons of a case that is judged by itself."""
    (found,) = judge([hearings()[place]])
    return found


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_no_case_shows_in_the_judgement_of_another(data):
    """Whatever cases are judged together, each has the comparisons that it has alone."""
    places = data.draw(st.lists(st.integers(0, len(hearings()) - 1), min_size=2, max_size=40))
    together = judge([hearings()[place] for place in places])

    assert list(together) == [alone(place) for place in places]


def test_all_at_once_are_judged_as_each_alone():
    """The largest stacks there are find of each case what it has alone."""
    together = judge(hearings())

    assert list(together) == [alone(place) for place in range(len(hearings()))]


def test_parts_do_not_show_in_a_judgement(monkeypatch):
    """Rows that are cut into parts of 128 elements are judged as rows in one piece."""
    whole = list(judge(hearings()))
    monkeypatch.setattr(parts, "ELEMENTS", 128)

    assert list(judge(hearings())) == whole


def test_large_arrays_are_judged_as_each_alone():
    """Beyond the size of a stack, what implementations share is what each would have alone."""
    given = {"shape": [1, 2, 200, 200], "fill": "normal", "mean": 3.0}
    step = {"input": given, "grad_output": {"fill": "normal", "seed": 50}}
    other = {**step, "input": {**given, "seed": 1}}
    case = Case.model_validate(
        {
            "id": "large",
            "why": "It is.",
            "module": {"num_features": 2},
            "steps": [{"train": step}, {"train": other}, {"eval": step}],
        }
    )
    targets = [resolve(each) for each in ("torch", "reference", "reference:arithmetic=fused")]
    accounts = [Account(each.info.name, each.execute(case)) for each in targets]
    (together,) = judge([Hearing(case, torch.__version__, accounts[0], tuple(accounts[1:]))])
    alone = [next(judge([Hearing(case, torch.__version__, each)]))[0] for each in accounts]

    assert [[each.figures for each in found.measured] for found in together] == [
        [each.figures for each in found.measured] for found in alone
    ]
    assert len({tuple(each.figures for each in found.measured) for found in alone}) > 1
