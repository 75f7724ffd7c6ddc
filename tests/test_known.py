"""Divergences that are known: their verdict, and how an entry goes stale."""

from __future__ import annotations

import pickle
import re

import pytest

from harness.compare import Comparison, Divergence
from harness.errors import InvalidCases
from harness.known import KnownDivergences, files, load

TEXT = """
- target: mine
  case: one-*
  quantity: output
  reason: it rounds twice.
  link: https://example.org/1
- target: mine
  case: one-thing
  quantity: running_*
  reason: it forgets.
  link: https://example.org/2
- target: theirs
  case: two
  quantity: output
  reason: it guesses.
  link: https://example.org/3
"""


@pytest.fixture
def known(tmp_path):
    """Return three entries: a glob of cases, one of quantities, and another target's."""
    path = tmp_path / "known.yaml"
    path.write_text(TEXT)
    return load([path])


def comparison(case, *quantities, target="mine", verdict="diverge", culprit="target"):
    """Return what was found of a case."""
    divergences = [Divergence(0, 0, each, "value", culprit) for each in quantities]
    return Comparison(case, target, verdict, divergences)


def judged(known, *comparisons):
    """Return the verdicts after the known divergences are taken note of."""
    for each in comparisons:
        known.apply(each)
    return [each.verdict for each in comparisons]


def test_a_known_divergence_has_its_reason_and_link(known):
    """A case whose divergences are all listed is known, with reason and link."""
    found = comparison("one-case", "output")
    known.apply(found)

    assert (found.verdict, found.reason) == ("known", "it rounds twice.")
    assert found.link == "https://example.org/1"


def test_every_divergence_must_be_listed(known):
    """One divergence that no entry covers, and the case diverges as before."""
    verdicts = judged(
        known,
        comparison("one-thing", "output", "running_var"),
        comparison("one-thing", "output", "weight"),
        comparison("one-other", "running_var"),
        comparison("one-thing", "output", target="yours"),
    )

    assert verdicts == ["known", "diverge", "diverge", "diverge"]


@pytest.mark.parametrize(("entry", "name"), [("a.py:A", "./a.py:A"), ("./a.py:*", "a.py:A")])
def test_a_file_of_this_folder_is_the_same_with_its_dot_and_without(tmp_path, entry, name):
    """An entry and a SPEC need not spell the path alike; it goes stale under either name."""
    path = tmp_path / "known.yaml"
    path.write_text(TEXT.replace("target: mine", f"target: {entry}", 1))

    assert judged(load([path]), comparison("one-case", "output", target=name)) == ["known"]
    found = load([path])
    assert judged(found, comparison("one-case", target=name, verdict="agree")) == ["agree"]
    assert "one-* no longer diverges in output" in found.mistakes([name], whole=True)[0]


def test_the_baselines_own_mistakes_can_be_known(known):
    """A baseline that is inaccurate in what is listed for it is known as such."""
    found = comparison("one-case", "output", verdict="baseline_inaccurate", culprit="baseline")

    assert judged(known, found) == ["known"]


def test_what_the_baseline_does_wrong_needs_no_entry_for_a_target(known):
    """A target's divergence is known although the baseline has one that is not listed."""
    found = comparison("one-case", "output")
    found.divergences.append(Divergence(0, 0, "grad_input", "value", "baseline"))

    assert judged(known, found) == ["known"]


@pytest.mark.parametrize("verdict", ["crash", "timeout"])
def test_a_crash_and_a_timeout_can_be_known(tmp_path, verdict):
    """What ends without numbers is listed by its verdict, and by no other quantity."""
    (tmp_path / "known.yaml").write_text(
        f"- {{target: a, case: one, quantity: {verdict}, reason: it does., link: there}}\n"
        "- {target: b, case: one, quantity: output, reason: it does., link: there}\n"
        "- {target: c, case: one, quantity: '*', reason: it does., link: there}\n"
    )
    known = load([tmp_path / "known.yaml"])
    ends = [comparison("one", target=name, verdict=verdict) for name in "abc"]

    assert judged(known, *ends) == ["known", verdict, "known"]
    assert [message.split(": ")[0] for message in known.mistakes("abc", whole=False)] == [
        f"{tmp_path}/known.yaml:2:3"
    ]


def test_a_published_number_that_the_baseline_misses_is_not_known(known):
    """A wrong number in a case diverges for every target, whatever is listed for others."""
    found = Comparison("one-case", "mine", "diverge")
    found.divergences.append(Divergence(0, 0, "weight", "published", "baseline"))

    assert judged(known, found) == ["diverge"]


def test_an_entry_that_no_longer_diverges_is_a_mistake(known, tmp_path):
    """A case that agrees though it is listed is told with the entry's place."""
    judged(known, comparison("one-thing", verdict="agree"))
    messages = known.mistakes(["mine"], whole=False)

    assert messages == [
        f"{tmp_path}/known.yaml:7:3: one-thing no longer diverges in running_* for mine; "
        "remove the entry"
    ]


def test_a_glob_is_stale_only_when_all_cases_ran(known):
    """An entry for many cases may be needed by one that did not run."""
    judged(known, comparison("one-case", verdict="agree"))

    assert known.mistakes(["mine"], whole=False) == []
    assert "one-* no longer diverges" in known.mistakes(["mine"], whole=True)[0]


def test_an_entry_that_matches_nothing_is_a_mistake_of_whole_runs(known):
    """An entry whose case does not exist is told when all cases ran, by its targets."""
    judged(known, comparison("one-thing", "output", "running_mean"))

    assert known.mistakes(["mine", "theirs"], whole=False) == []
    (message,) = known.mistakes(["mine", "theirs"], whole=True)
    assert "no case matches two" in message
    assert known.mistakes(["mine"], whole=True) == []


def test_an_entry_is_not_stale_where_another_divergence_is_new(known):
    """A listed divergence that comes with an unlisted one is still needed."""
    judged(known, comparison("one-thing", "output", "running_var", "weight"))

    assert known.mistakes(["mine"], whole=True) == []


def test_of_an_excused_case_nothing_is_stale(known):
    """A case that does not hold for this torch, or whose process ended, makes no entry stale."""
    known.excuse("one-thing")
    known.excuse("two")

    assert known.mistakes(["mine", "theirs"], whole=True) == []


def test_parts_of_a_run_meet_entries_together(known):
    """What one part needed and another only tried is not stale."""
    one, other = known.unmet(), known.unmet()
    judged(one, comparison("one-thing", "output", "running_var"))
    judged(other, comparison("one-thing", verdict="agree"))
    other.merge(one)

    assert other.mistakes(["mine"], whole=True) == []


def test_mistakes_of_the_file_are_located(tmp_path):
    """Every mistake of the file is told at once, with line and column."""
    path = tmp_path / "known.yaml"
    path.write_text("- target: mine\n  case: one\n  quantity: output\n  raison: why\n  link: ''\n")
    with pytest.raises(InvalidCases) as refusal:
        load([path])

    assert len(refusal.value.mistakes) == 3
    assert all(each.startswith(f"{path}:") for each in refusal.value.mistakes)
    assert any(":4:3: " in each and "reason" in each for each in refusal.value.mistakes)


def test_a_file_that_is_no_list_is_refused(tmp_path):
    """A mapping at the top of the file is told as such."""
    path = tmp_path / "known.yaml"
    path.write_text("target: mine\n")

    with pytest.raises(InvalidCases, match="1:1: expected a list of known divergences"):
        load([path])


def test_without_a_file_nothing_is_known(tmp_path, monkeypatch):
    """A suite without known divergences needs no file."""
    monkeypatch.setattr("harness.known.shipped", lambda: tmp_path)

    assert load(files()) == KnownDivergences()


def test_mistakes_survive_the_way_between_processes():
    """The mistakes of a file are the same after pickling, message and list."""
    error = InvalidCases(["a:1:1: one", "a:2:1: two"])
    copied = pickle.loads(pickle.dumps(error))  # noqa: S301  # its own bytes

    assert (str(copied), copied.mistakes) == (str(error), error.mistakes)


@pytest.mark.parametrize(
    ("quantity", "message"),
    [
        ("runing_var", "5:13: no quantity matches 'runing_var'; did you mean 'running_var'?"),
        ("volume", "5:13: no quantity matches 'volume'; there are output, grad_input,"),
    ],
)
def test_a_quantity_that_no_divergence_has_is_a_mistake(tmp_path, quantity, message):
    """An entry of a quantity that is none would never be met."""
    path = tmp_path / "known.yaml"
    path.write_text(
        "- target: mine\n  case: one\n  reason: it rounds.\n  link: https://example.org\n"
        f"  quantity: {quantity}\n"
    )

    with pytest.raises(InvalidCases, match=re.escape(message)):
        load([path])
