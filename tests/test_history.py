"""Torch through time: which differences between two traces are told, and how."""

from __future__ import annotations

import json
import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from harness.case import needs
from harness.case.model import Case
from harness.case.suite import Entry, Suite, load
from harness.cli import cli
from harness.errors import InvalidInput
from harness.history import differences, history, markdown, record, recordings
from harness.reference import BatchNorm2d
from harness.targets import TargetInfo, resolve
from harness.targets.base import Crashed, TimedOut
from harness.trace import Trace

torch.set_num_threads(1)

ROOT = Path(__file__).parents[1]
WORKER = f"{shlex.quote(sys.executable)} {ROOT}/harness/workers/torch_worker.py"
INPUT = {"shape": [4, 2, 3, 3], "fill": "normal", "seed": 1}
CASES = """
- id: large
  why: the same as the small one, on more data.
  module: {num_features: 2}
  steps: [{train: {input: {shape: [8, 2, 3, 3], fill: normal, seed: 1}}}]
- id: small
  why: the same on less data.
  module: {num_features: 2}
  steps: [{train: {input: {shape: [4, 2, 3, 3], fill: normal, seed: 1}}}]
- id: constant
  why: the smallest that shows it.
  module: {num_features: 1, affine: false}
  steps: [{train: {input: {shape: [2, 1, 1, 1], fill: ones}}}]
"""


class Biased(BatchNorm2d):
    """Keeps the biased variance."""

    def __call__(self, input):
        """Normalise, and halve the variance that is kept."""
        output = super().__call__(input)
        if self.training and self.running_var is not None:
            self.running_var *= 0.5
        return output


class Strict(BatchNorm2d):
    """Refuses what others take."""

    def __call__(self, input):
        """Refuse."""
        del input
        raise ValueError("not today")


def case(*steps, **module):
    """Return a case of a module with two channels."""
    module = {"num_features": 2, **module}
    return Case.model_validate({"id": "a", "why": "b.", "module": module, "steps": list(steps)})


@pytest.fixture
def suite(tmp_path):
    """Return three cases."""
    (tmp_path / "cases.yaml").write_text(CASES)
    return load([tmp_path / "cases.yaml"])


def test_a_change_names_the_smallest_case_and_who_is_more_accurate(suite):
    """A wrong running variance is one change, in all cases, shown by the smallest, and worse."""
    found = history(suite, [("old", resolve(BatchNorm2d)), ("new", resolve(Biased))]).document()

    (digits,) = (each for each in found["changes"] if each["what"] == "running_var: digits")
    assert (digits["since"], digits["before"]) == ("new", "old")
    assert digits["case"].endswith("::constant")
    assert (digits["cases"], digits["farther"], digits["accuracy"]) == (3, 3, "worse")
    assert found["accuracy"]["old"]["running_var"] != found["accuracy"]["new"]["running_var"]


def test_the_page_says_in_how_many_cases_accuracy_changed(suite):
    """Beside each change stands in how many cases it is nearer or farther, and the error."""
    found = history(suite, [("old", resolve(BatchNorm2d)), ("new", resolve(Biased))]).document()
    (line,) = (each for each in markdown(found) if each.startswith("| running_var: digits |"))

    assert re.search(r"\| 3 \| worse in 3; at most [\d.]+ → [\d.e+]+ of the bound \|$", line)


def test_a_case_shows_a_change_once():
    """However many of its steps differ, a case counts once, and its first such step is told."""
    repeated = case({"eval": {"input": INPUT}}, {"train": {"input": INPUT, "repeat": 3}})
    suite = Suite((Entry(repeated, "cases.yaml", 1),), {})
    found = history(suite, [("old", resolve(BatchNorm2d)), ("new", resolve(Biased))]).document()

    (digits,) = (each for each in found["changes"] if each["what"] == "running_var: digits")
    assert (digits["cases"], digits["shown_by"], digits["step"]) == (1, ["cases.yaml::a"], 2)


def test_a_new_error_is_a_change_and_ends_the_comparison(suite):
    """Where one version raises, the error is told and nothing that follows from it."""
    found = history(suite, [("old", resolve(BatchNorm2d)), ("new", resolve(Strict))]).document()

    told = [(each["what"], each["old"], each["new"]) for each in found["changes"]]
    error = "ValueError: not today"
    assert told == [(f"error: no error → {error}", "no error", error)]


def test_equal_versions_have_no_history(suite):
    """The same implementation twice has changed nothing."""
    twice = [(name, resolve(BatchNorm2d)) for name in ("old", "new")]

    document = history(suite, twice).document()

    assert document["changes"] == []
    assert list(markdown(document))[-4:] == ["## new, after old", "", "No difference.", ""]


def test_a_value_that_becomes_zero_is_told_as_such():
    """A difference of kind, zero or not a number, is another change than one of digits."""
    target = resolve(BatchNorm2d)
    zero, number = (
        target.execute(case({"eval": {"input": {"shape": [2, 2, 1, 1], "fill": fill}}}))
        for fill in ("zeros", "ones")
    )
    (difference,) = differences(zero, number)

    assert (difference.what, difference.old) == ("output: zero → number", "0")


def test_one_version_is_refused(suite):
    """A history of one version has nothing to tell."""
    with pytest.raises(InvalidInput, match="at least two versions"):
        history(suite, [("only", resolve(BatchNorm2d))])


def test_the_verb_writes_both_files(tmp_path, suite):
    """bn-harness versions runs workers and writes versions.json and versions.md."""
    del suite
    cases, workers = str(tmp_path / "cases.yaml"), []
    for name in ("a", "b"):
        workers += ["--worker", f"{name}={WORKER}"]
    done = CliRunner().invoke(cli, ["versions", cases, *workers, "-o", str(tmp_path)])

    assert (done.exit_code, done.stdout) == (0, "0 changes\n")
    document = json.loads((tmp_path / "versions.json").read_text())
    assert list(document["versions"]) == ["a", "b"]
    assert (tmp_path / "versions.md").read_text() == "\n".join(markdown(document))


def test_versions_are_compared_by_their_numbers(suite):
    """The order is that of torch's versions, 1.9 before 1.13, whatever order they are given in."""

    def version(number):
        target = resolve(BatchNorm2d)
        return number, replace(target, info=replace(target.info, versions={"torch": number}))

    found = history(suite, [version(each) for each in ("2.0.1", "1.13.1", "1.9.1")])

    assert list(found.versions) == ["1.9.1", "1.13.1", "2.0.1"]


def test_a_counter_that_is_replaced_differs_from_one_that_is_updated():
    """A worker tells which arrays a step replaced; one that does not tell differs in nothing."""
    (step,) = resolve(BatchNorm2d).execute(case({"train": {"input": INPUT}})).steps
    in_place, rebound = (
        Trace(steps=(step._replace(replaced=frozenset(each)),))
        for each in ((), ("num_batches_tracked",))
    )
    (difference,) = differences(rebound, in_place)

    assert difference.what == "num_batches_tracked: replaced → updated in place"
    silent = Trace(steps=(step._replace(replaced=None),))
    assert list(differences(rebound, silent)) == []


def test_the_worker_tells_which_arrays_a_step_replaces(suite):
    """Torch of today updates statistics and counter in place, and says so in every train step."""
    target = resolve(f"exec:{WORKER}")
    traces = [target.execute(case) for _, case in suite.cases()]

    assert {step.replaced for trace in traces for step in trace.steps} == {frozenset()}


RICH = [
    {"train": {"input": {**INPUT, "layout": "channels_last"}, "grad_output": {"fill": "ones"}}},
    {"save": "before"},
    {"set": {"momentum": None}},
    {"train": {"input": {"shape": [2, 3, 1, 1], "fill": "ones"}}},
    {"train": {"input": {"shape": [0, 2, 3, 3], "fill": "ones"}}},
    {"load": {"from": "before"}},
    {"eval": {"input": {**INPUT, "dtype": "bfloat16"}}},
]


def test_a_recording_answers_as_the_version_did(tmp_path):
    """What is recorded of a worker comes back: arrays, layouts, errors, and who it was."""
    suite = Suite((Entry(case(*RICH), "cases.yaml", 1),), {})
    worker = resolve(f"exec:{WORKER}")

    assert record(suite, worker, tmp_path / "now.jsonl") == 1
    ((name, recording),) = recordings(tmp_path)
    done, again = (each.execute(case(*RICH)) for each in (worker, recording))
    assert name == "now"
    assert recording.info.versions == worker.info.versions
    assert recording.info.declarations == worker.info.declarations
    assert list(differences(done, again)) == []
    for one, other in zip(done.steps, again.steps, strict=True):
        assert one.layouts == other.layouts
        assert (one.raised, one.replaced) == (other.raised, other.replaced)
        assert (one.saved or {}).keys() == (other.saved or {}).keys()


class Dies:
    """A target that gives no trace."""

    info = TargetInfo("dies", versions={"torch": "0.1"})

    def __init__(self, error):
        """Keep the error."""
        self.error = error

    def execute(self, _):
        """Die."""
        raise self.error


@pytest.mark.parametrize("error", [Crashed("died by SIGSEGV"), TimedOut("no answer after 60 s")])
def test_a_crash_is_recorded_and_is_a_change_too(suite, tmp_path, error):
    """A version that crashes, or hangs, where the next one does not has changed."""
    record(suite, Dies(error), tmp_path / "old.jsonl")
    now = resolve(BatchNorm2d)
    now = replace(now, info=replace(now.info, versions={"torch": "2.0"}))
    for old in (Dies(error), dict(recordings(tmp_path))["old"]):
        changes = history(suite, [("old", old), ("new", now)]).document()["changes"]

        assert [each["old"] for each in changes] == [f"{error.verdict}: {error}"]


def test_a_recording_of_other_cases_is_refused(suite, tmp_path):
    """A case that has changed since the recording is refused by name, and by what to do."""
    record(suite, resolve(BatchNorm2d), tmp_path / "old.jsonl")
    recording = dict(recordings(tmp_path))["old"]
    _, changed = next(iter(suite.cases()))
    changed = changed.model_copy(update={"module": changed.module.model_copy(update={"eps": 1})})

    for other in (changed, case({"train": {"input": INPUT}})):
        with pytest.raises(InvalidInput, match=f"case {other.id} as it is now; record it again"):
            recording.execute(other)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"case": 1}', "no JSON"])
def test_what_is_no_recording_is_refused(tmp_path, text):
    """A file of another kind, and a folder without recordings, are refused."""
    with pytest.raises(InvalidInput, match="holds no recordings"):
        list(recordings(tmp_path))
    (tmp_path / "a.jsonl").write_text(text)

    with pytest.raises(InvalidInput, match="not a recording; --record writes one"):
        list(recordings(tmp_path))


def test_versions_are_recorded_one_by_one_and_compared_together(tmp_path, suite):
    """--record keeps a worker's traces and writes no report; --recorded compares them."""
    del suite
    cases = str(tmp_path / "cases.yaml")
    for name in ("a", "b"):
        command = ["versions", cases, "--worker", f"{name}={WORKER}"]
        kept = CliRunner().invoke(cli, [*command, "--record", str(tmp_path / "kept")])
        assert (kept.exit_code, kept.stdout) == (0, "")
    options = ["--recorded", str(tmp_path / "kept"), "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(cli, ["versions", cases, *options, "--worker", f"c={WORKER}"])

    assert done.stdout == "0 changes\n"
    document = json.loads((tmp_path / "out/versions.json").read_text())
    assert sorted(document["versions"]) == ["a", "b", "c"]
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["a.jsonl", "b.jsonl"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "--record needs a --worker"),
        (["--worker", "1=python", "--recorded", "x"], "--record compares nothing"),
    ],
)
def test_what_does_not_go_with_record_is_wrong_usage(tmp_path, more, said):
    """--record without a worker, or with what it would leave out, says so."""
    done = CliRunner().invoke(cli, ["versions", "--record", str(tmp_path), *more])

    assert done.exit_code == 2
    assert said in done.stderr


@pytest.mark.parametrize("value", ["1.8.1", "=x", "1.8.1="])
def test_a_worker_without_name_or_command_is_wrong_usage(value):
    """--worker needs a version and a command."""
    done = CliRunner().invoke(cli, ["versions", "--worker", value])

    assert done.exit_code == 2
    assert "as 1.8.1=COMMAND" in done.stderr


@pytest.mark.parametrize(
    ("asked", "since"),
    [
        (case({"train": {"input": INPUT}}), None),
        (case(dtype="bfloat16"), "1.13"),
        (case({"cast": "float16"}), "2.2"),
        (case({"cast": "int32"}), None),
        (case({"train": {"input": {**INPUT, "dtype": "bfloat16"}}}), "1.13"),
        (case({"train": {"input": {**INPUT, "layout": "channels_last"}}}), "1.10"),
        (case({"eval": {"input": INPUT}}, dtype="float16", bias=False), "2.12"),
    ],
)
def test_what_a_case_uses_says_since_when_it_holds(asked, since):
    """Types, layouts and arguments that old torch lacks are found wherever a case names them."""
    assert needs.since(asked) == since
