"""What changed between two reports."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_reports import case, matrix, report

from harness.errors import InvalidInput
from harness.report.diff import BADNESS, diff
from harness.report.diff_words import code, to_markdown, to_text
from harness.verdicts import VERDICTS


def only(old, new, **options):
    """Return the one change between two reports."""
    (change,) = diff(old, new, **options).changes
    return change


def test_a_report_equals_itself():
    """The same report twice has no change, and says so."""
    one = report([case()], [matrix(agree=3)])
    found = diff(one, one)

    assert found.changes == []
    assert to_text(found) == "nothing changed\n"


@pytest.mark.parametrize("bad", ["diverge", "crash", "timeout", "unsupported", "unjudged"])
def test_a_verdict_that_got_bad_is_a_regression(bad):
    """A case that agreed and does not any more is worse, whatever it became."""
    change = only(report([case()]), report([case(verdict=bad)]))

    assert (change.kind, change.old, change.new, change.worse) == ("verdict", "agree", bad, True)


def test_every_verdict_has_a_rank():
    """A verdict that reports can have can be compared."""
    assert set(BADNESS) == set(VERDICTS)


@given(st.sampled_from(sorted(BADNESS)), st.sampled_from(sorted(BADNESS)))
def test_no_change_of_a_verdict_is_worse_both_ways(one, other):
    """Where a change is a regression, its reverse is none."""
    there = diff(report([case(verdict=one)]), report([case(verdict=other)]))
    back = diff(report([case(verdict=other)]), report([case(verdict=one)]))

    assert not (there.regressions and back.regressions)


def test_being_right_where_the_baseline_is_not_is_no_regression():
    """From agree to baseline_inaccurate the target stays within its bound."""
    change = only(report([case()]), report([case(verdict="baseline_inaccurate")]))

    assert not change.worse


def test_added_and_removed_cases_are_named():
    """A case that only one report has is added or removed, and no regression."""
    found = diff(report([case("old")]), report([case("new", "diverge")]))

    kinds = {(change.kind, change.subject, change.worse) for change in found.changes}
    assert kinds == {("added", "new", False), ("removed", "old", False)}


def test_a_matrix_case_that_begins_to_diverge_is_a_regression():
    """Agreeing cases of a matrix are not listed; one that appears agreed before."""
    found = diff(
        report([], [matrix(agree=3)]),
        report([case("grid/a=1", "diverge", line=99)], [matrix(agree=2, diverge=1)]),
    )

    assert [(each.subject, each.old) for each in found.regressions] == [
        ("grid/a=1", "agree"),
        ("grid", {"cases": 3, "agree": 3}),
    ]


def test_a_matrix_case_that_is_mended_leaves_the_list():
    """One that is not listed any more agrees now."""
    found = diff(
        report([case("grid/a=1", "diverge", line=99)], [matrix(agree=2, diverge=1)]),
        report([], [matrix(agree=3)]),
    )

    assert ("diverge", "agree") in [(change.old, change.new) for change in found.changes]
    assert not found.regressions


def test_where_a_matrix_has_other_cases_nobody_knows_what_an_unlisted_one_did():
    """With another number of cases a matrix's unlisted case may not have been there."""
    found = diff(
        report([case("grid/a=1", "diverge", line=99)], [matrix(agree=2, diverge=1)]),
        report([], [matrix(agree=2)]),
    )

    assert "unlisted" in [change.new for change in found.changes]


@pytest.mark.parametrize(
    ("old", "new", "worse"),
    [
        ({"agree": 3}, {"agree": 5}, False),
        ({"agree": 3}, {"agree": 1}, False),
        ({"agree": 3}, {"agree": 2, "unjudged": 1}, True),
        ({"agree": 1, "diverge": 2}, {"agree": 1, "unsupported": 2}, False),
        ({"agree": 1, "diverge": 2}, {"agree": 2, "crash": 1}, True),
    ],
)
def test_counts_are_worse_where_more_cases_are_as_bad(old, new, worse):
    """A matrix got worse where more cases than before have a verdict as bad, or worse."""
    change = only(report([], [matrix(**old)]), report([], [matrix(**new)]))

    assert (change.kind, change.worse) == ("counts", worse)


def test_a_class_that_is_no_longer_held_is_a_regression():
    """From tree to any-order is worse, in the summary and in its row; back it is not."""
    found = diff(report(held="tree"), report(held="any-order"))
    back = diff(report(held="any-order"), report(held="tree"))

    assert [change.kind for change in found.regressions] == ["class", "class"]
    assert not back.regressions


@pytest.mark.parametrize(("new", "shown"), [(0.9, False), (1.1, True), (0.2, True), ("inf", True)])
def test_an_error_over_bound_that_moved_is_shown(new, shown):
    """It is, from 0.5, where it moved by more than twice; that alone is no regression."""
    found = diff(report([case()]), report([case(ratio=new)]))

    assert [change.kind for change in found.changes] == ["ratio"] * shown
    assert not found.regressions


def test_the_factor_is_the_users():
    """With a factor of 1.5 a smaller move is shown."""
    assert only(report([case()]), report([case(ratio=0.9)]), factor=1.5).new == 0.9


def test_errors_far_below_the_bound_do_not_count():
    """From 1e-9 to 1e-5 of the bound nothing is lost; the reports are not called equal."""
    found = diff(report([case(ratio=1e-9)]), report([case(ratio=1e-5)]))

    assert to_text(found).startswith("nothing that counts changed")


def test_another_environment_is_shown():
    """Another version of torch is a change, and no regression."""
    other = {"torch": "2.14.0", "threads": 1}
    change = only(report(), report(environment=other))

    assert (change.kind, change.subject, change.worse) == ("environment", "torch", False)


def test_a_target_that_became_absent_is_a_regression():
    """What was judged, and cannot be any more, is evidence lost."""
    change = only(report(), report(absent={"mine": "no CUDA device"}))

    assert change.worse


def test_an_interrupted_run_is_a_regression():
    """A partial report has lost evidence against a whole one."""
    assert only(report(), report(partial=True)).worse


def test_reports_without_a_target_in_common_cannot_be_compared():
    """A target that was renamed is no target that got no worse."""
    with pytest.raises(InvalidInput, match="no target in common: mine in the old one, yours in"):
        diff(report(), report().model_copy(update={"targets": ["yours"]}))


def test_reports_against_different_baselines_cannot_be_compared():
    """The message names both baselines."""
    with pytest.raises(InvalidInput, match=r"against torch.*against reference"):
        diff(report(), report(baseline="reference"))


def test_an_id_that_a_report_has_twice_is_refused():
    """A report that names a case twice is not as a run writes it."""
    with pytest.raises(InvalidInput, match="names 'one' twice"):
        diff(report([case(), case()]), report())


def test_regressions_come_first():
    """Text and Markdown begin with what is worse, however much else changed."""
    old = report([case("a"), case("b", "diverge")])
    found = diff(old, report([case("a", "crash"), case("b")]))

    for text in (to_text(found), to_markdown(found)):
        assert "1 regression in 2 changes" in text
        assert text.index("mine: a: agree → crash") < text.index("mine: b: diverge → agree")


def test_many_changes_are_counted():
    """Of many changes of a kind twenty are shown, and how many more there are."""
    new = report([case(f"new-{number}") for number in range(33)])

    assert "... and 13 more" in to_text(diff(report(), new))


def test_many_regressions_are_counted():
    """A target that breaks everywhere does not fill a page: a hundred are shown."""
    names = [f"case-{number}" for number in range(105)]
    old, new = (report([case(n, verdict) for n in names]) for verdict in ("agree", "crash"))

    assert "105 regressions" in to_text(diff(old, new))
    assert "... and 5 more" in to_text(diff(old, new))


def test_the_json_is_for_machines():
    """It has its schema's name, how many regressions there are, and each change."""
    plain = json.loads(diff(report([case()]), report([case(verdict="crash")])).to_json())

    assert plain["schema"] == "bn-harness/diff/1"
    assert plain["regressions"] == 1
    assert plain["changes"][0]["new"] == "crash"


@pytest.mark.parametrize(
    ("text", "span"),
    [("a|b", "`a|b`"), ("a`b", "`` a`b ``"), ("``", "``` `` ```"), ("a\nb", "`a b`")],
)
def test_a_code_span_holds_any_text(text, span):
    """The fence is longer than any run of backticks within; a line break is a space."""
    assert code(text) == span
