"""What a run writes as it goes, and how it goes on after whatever has ended it."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest
from full_disk import files_of_at_most
from hypothesis import given, settings
from hypothesis import strategies as st
from made_files import SOMETIMES

from harness.case.suite import load
from harness.cli import main
from harness.errors import InvalidInput
from harness.journal import Journal
from harness.plan import Plan
from harness.report.document import to_json
from harness.runner import run

CASES = """
- id: alone
  why: a case that no matrix has.
  module: {num_features: 2}
  steps: [{train: {input: {shape: [4, 2, 3, 3], fill: normal, seed: 1}}}]
- id: several
  why: agreeing cases that are counted alone.
  matrix: {shape: [[2, 2, 1, 1], [3, 2, 2, 1]], sequence: [T, E], fill: normal, grad: true}
- id: wrong
  why: cases that are listed.
  tags: [wrong]
  matrix: {shape: [[2, 3, 1, 1]], momentum: [0.1, null], sequence: [T, TE], fill: normal}
- id: later
  why: a case that does not hold yet.
  since: '99'
  module: {num_features: 2}
  steps: [{eval: {input: {shape: [1, 2, 1, 1], fill: ones}}}]
"""
COUNT = 10
TARGETS = """
import time

class Slow(Sometimes):
    def __call__(self, given):
        time.sleep(0.1)
        return super().__call__(given)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with cases and targets, and the report of a run without a stop."""
    made = tmp_path_factory.mktemp("journal")
    (made / "cases.yaml").write_text(CASES)
    (made / "targets.py").write_text(SOMETIMES + TARGETS)
    (made / "plain.json").write_text(to_json(outcome(made).report))
    return made


@pytest.fixture(autouse=True)
def _every_part_is_a_line(monkeypatch):
    monkeypatch.setattr("harness.journal.EVERY", 0)


def outcome(folder, *, stop=None, jobs=0, journal=None, resume=False, **more):
    """Run the cases; `stop` interrupts the run after so many."""

    def listener(progress):
        if progress.done == stop:
            raise KeyboardInterrupt

    plan = Plan((f"{folder}/targets.py:Sometimes",), **more)
    suite = load([folder / "cases.yaml"])
    return run(suite, plan, jobs=jobs, listener=listener, journal=journal, resume=resume, chunk=1)


def stopped(folder, report, cases):
    """Leave a journal of the first cases; return its path."""
    with Journal(report) as journal:
        assert outcome(folder, stop=cases, journal=journal).report.partial
    return journal.path


def resumed(folder, report, jobs=0):
    """Return what a run that goes on comes to."""
    with Journal(report) as journal:
        return to_json(outcome(folder, jobs=jobs, journal=journal, resume=True).report)


@pytest.mark.parametrize(("cases", "jobs"), [(1, 0), (4, 0), (4, 2), (COUNT, 0)])
def test_a_run_goes_on_to_the_same_report(folder, tmp_path, cases, jobs):
    """However far it came, a run that is resumed has the bytes of one that was not stopped."""
    stopped(folder, tmp_path / "report.json", cases)

    assert resumed(folder, tmp_path / "report.json", jobs) == (folder / "plain.json").read_text()


def test_a_run_that_lists_all_cases_goes_on_too(folder, tmp_path):
    """Agreeing cases of matrices, where a report lists them, are the same after a stop."""
    with Journal(tmp_path / "report.json") as journal:
        outcome(folder, stop=5, journal=journal, full=True)
    with Journal(tmp_path / "report.json") as journal:
        found = outcome(folder, journal=journal, resume=True, full=True)

    assert to_json(found.report) == to_json(outcome(folder, full=True).report)


def test_a_run_goes_on_where_it_stopped(folder, tmp_path):
    """Cases that the journal has are not run again."""
    stopped(folder, tmp_path / "report.json", 6)
    seen = []
    with Journal(tmp_path / "report.json") as journal:
        plan = Plan((f"{folder}/targets.py:Sometimes",))
        suite = load([folder / "cases.yaml"])
        run(suite, plan, jobs=0, listener=seen.append, journal=journal, resume=True, chunk=1)

    assert [each.done for each in seen] == [7, 8, 9, 10]


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):
    """Return the bytes of a journal that has all cases, one a line."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.journal.EVERY", 0)
        return stopped(folder, tmp_path_factory.mktemp("whole") / "report.json", COUNT).read_bytes()


@settings(max_examples=25)
@given(st.data())
def test_a_torn_journal_is_as_good_as_its_whole_lines(folder, whole, tmp_path_factory, data):
    """Cut at whatever byte, also in its first line, a journal is gone on from."""
    report = tmp_path_factory.mktemp("torn") / "report.json"
    cut = data.draw(st.integers(0, len(whole)))
    report.with_name("report.json.journal").write_bytes(whole[:cut])

    assert resumed(folder, report) == (folder / "plain.json").read_text()


@settings(max_examples=25)
@given(st.data())
def test_a_damaged_line_is_ignored(folder, whole, tmp_path_factory, data):
    """Bytes of other values anywhere after the first line cost their lines, and nothing else."""
    report = tmp_path_factory.mktemp("damaged") / "report.json"
    damaged = bytearray(whole)
    places = st.integers(whole.index(b"\n") + 1, len(whole) - 1)
    for place in data.draw(st.lists(places, min_size=1, max_size=4)):
        damaged[place] ^= data.draw(st.integers(1, 255))
    report.with_name("report.json.journal").write_bytes(damaged)

    assert resumed(folder, report) == (folder / "plain.json").read_text()


def test_a_line_that_is_there_twice_counts_once(folder, whole, tmp_path):
    """No case is counted twice, whatever the journal repeats."""
    last = whole.splitlines(keepends=True)[-1]
    (tmp_path / "report.json.journal").write_bytes(whole + last)

    assert resumed(folder, tmp_path / "report.json") == (folder / "plain.json").read_text()


@pytest.fixture
def bn(folder, tmp_path, capsys, monkeypatch):
    """Return a function that runs the command line in this process: exit code and messages."""
    monkeypatch.setattr("harness.runner.run", lambda *a, **named: run(*a, **{**named, "jobs": 0}))
    for name in ("cases.yaml", "targets.py"):
        (tmp_path / name).write_text((folder / name).read_text())
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        target = [] if "--target" in arguments else ["--target", "targets.py:Sometimes"]
        with pytest.raises(SystemExit) as ended:
            main(["run", "cases.yaml", "--report", "report.json", *target, *arguments])
        return ended.value.code, capsys.readouterr().err

    return call


@pytest.fixture
def interrupted(bn, tmp_path, monkeypatch):
    """Return the folder with a journal that an interrupted command has left."""

    def here(*arguments, **named):
        def listener(_):
            raise KeyboardInterrupt

        return run(*arguments, **{**named, "jobs": 0, "listener": listener})

    with monkeypatch.context() as patch:
        patch.setattr("harness.runner.run", here)
        code, err = bn()
    assert code == 130
    (tmp_path / "said").write_text(err)
    return tmp_path


def test_an_interrupted_command_keeps_its_journal_and_goes_on(bn, interrupted, folder):
    """After Ctrl-C the report is partial; --resume makes it whole and removes the journal."""
    partial = json.loads((interrupted / "report.json").read_text())["partial"]
    kept = (interrupted / "report.json.journal").exists()
    code, err = bn("--resume")
    expected = json.loads((folder / "plain.json").read_text())
    found = json.loads((interrupted / "report.json").read_text())

    assert (partial, kept, code) == (True, True, 1)
    assert "1 case does not hold" in err
    assert found["summary"]["torch"] == expected["summary"]["torch"]
    assert not (interrupted / "report.json.journal").exists()


def test_an_interrupted_command_says_how_it_goes_on(interrupted):
    """What an interrupted run says last is the command that makes its report whole."""
    last = (interrupted / "said").read_text().splitlines()[-1]
    command = shlex.split(last.removeprefix("go on with: bn-harness "))
    with pytest.raises(SystemExit) as ended:
        main(command)

    assert (command[:2], ended.value.code) == (["run", "--resume"], 1)
    assert "partial" not in json.loads((interrupted / "report.json").read_text())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--target", "reference"], "targets: "),
        (["--accuracy", "wide"], 'accuracy: null there, "wide" here'),
        (["--timeout", "5"], "timeout: 60.0 there, 5.0 here"),
        (["-k", "several"], "selection: "),
        (["--full"], "full: false there, true here"),
    ],
)
def test_the_journal_of_another_plan_is_refused(bn, interrupted, arguments, said):
    """Other options are told in one message, exit 2, and the journal is left as it was."""
    before = (interrupted / "report.json.journal").read_bytes()
    code, err = bn("--resume", *arguments)

    assert code == 2
    assert f"report.json.journal: the journal of another run: {said}" in err
    assert err.count("\n") == 1
    assert (interrupted / "report.json.journal").read_bytes() == before


@pytest.mark.parametrize(
    ("file", "said"), [("cases.yaml", "cases"), ("targets.py", "files: targets.py")]
)
def test_the_journal_of_other_cases_or_targets_is_refused(bn, interrupted, file, said):
    """Where a case or the target's own file has changed, its results are not gone on from."""
    text = (interrupted / file).read_text()
    (interrupted / file).write_text(text.replace("seed: 1", "seed: 2").replace("+= 1", "+= 2"))
    code, err = bn("--resume")

    assert code == 2
    assert f"another run: {said}: changed since" in err


def test_without_resume_a_journal_is_started_anew(bn, interrupted):
    """The same command without --resume forgets the journal, whatever it was of."""
    code, _ = bn("--accuracy", "wide")

    assert code == 1
    assert not (interrupted / "report.json.journal").exists()


def test_resume_without_a_report_is_refused(capsys):
    """--resume needs to know whose journal, and says so."""
    with pytest.raises(SystemExit) as ended:
        main(["run", "--resume"])

    assert ended.value.code == 2
    assert "name it by --report" in capsys.readouterr().err


def test_a_second_run_of_the_same_report_is_refused(bn, tmp_path):
    """While one run writes a report, another is told so, and the first is not disturbed."""
    with Journal(tmp_path / "report.json") as journal:
        code, err = bn()

    assert code == 2
    assert "another run is writing this report" in err
    assert not journal.path.exists()


def test_a_file_that_is_no_journal_is_left_alone(bn, tmp_path):
    """A file of the journal's name that no run has written is neither read nor overwritten."""
    (tmp_path / "report.json.journal").write_text("my diary\n")
    code, err = bn()

    assert code == 2
    assert "is not the journal of a run" in err
    assert (tmp_path / "report.json.journal").read_text() == "my diary\n"


@pytest.mark.parametrize("lines", [0, 3])
def test_a_full_disk_is_one_message_and_leaves_whole_lines(folder, whole, tmp_path, lines):
    """Where a line has no room, the run ends with one message; it goes on when there is room."""
    size = len(b"".join(whole.splitlines(keepends=True)[:lines])) + 50
    with (
        pytest.raises(InvalidInput, match=r"cannot be written: .*; make room") as refusal,
        files_of_at_most(size),
        Journal(tmp_path / "report.json") as journal,
    ):
        outcome(folder, journal=journal)
    left = sum(1 for _ in tmp_path.iterdir())
    text = journal.path.read_bytes() if lines else b""

    assert "\n" not in str(refusal.value)
    assert (left, text.count(b"\n"), text[-1:]) == ((1, lines, b"\n") if lines else (0, 0, b""))
    assert resumed(folder, tmp_path / "report.json") == (folder / "plain.json").read_text()


def test_a_run_of_no_case_leaves_no_journal(bn, tmp_path):
    """What comes to nothing leaves nothing beside the report."""
    code, err = bn("-k", "neither")

    assert code == 2
    assert "no case is selected" in err
    assert not list(tmp_path.glob("*.json*"))


def test_a_folder_that_cannot_be_written_is_told_before_the_run(bn, tmp_path, monkeypatch):
    """Where there is no room for a journal, nothing is run in vain, and nothing is left."""
    monkeypatch.setattr("harness.runner.run", lambda *_, **__: pytest.fail("it ran"))
    code, err = bn("--report", "cases.yaml/report.json")

    assert code == 2
    assert "cannot be written" in err
    assert sorted(each.name for each in tmp_path.iterdir()) == ["cases.yaml", "targets.py"]


KILLS = int(os.environ.get("BN_HARNESS_KILLS", "2"))
"""How many times the run is killed; more take a while."""


def test_a_run_that_is_killed_again_and_again_comes_to_the_same_report(folder, tmp_path):
    """SIGKILL to all its processes, at moments of chance, changes no byte of the report."""
    chance = random.Random(KILLS)  # noqa: S311  # no secret
    target = f"{folder}/targets.py:Slow"
    suite = [str(folder / "cases.yaml"), "cases/edge/counter.yaml"]
    command = [sys.executable, "-m", "harness", "run", *suite, "--target", target, "--report"]
    plain, report = tmp_path / "plain.json", tmp_path / "report.json"
    subprocess.run([*command, str(plain)], capture_output=True, check=False)
    journal, left = tmp_path / "report.json.journal", []
    for _ in range(KILLS):
        jobs = chance.choice("12")
        killed_in_time(
            [*command, str(report), "--resume", "-j", jobs],
            journal,
            chance.uniform(0, 0.5),
        )
        left.append(lines(journal))
    subprocess.run([*command, str(report), "--resume"], capture_output=True, check=False)

    assert left[0] > 1
    assert report.read_bytes() == plain.read_bytes()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["plain.json", "report.json"]


def lines(journal):
    """Return how many whole lines a journal has, where there is one."""
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def killed_in_time(command, journal, seconds):
    """Start a command; kill all its processes some time after its journal has another part."""
    before = max(1, lines(journal))
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        end = time.monotonic() + 60
        while lines(journal) <= before and time.monotonic() < end and process.poll() is None:
            time.sleep(0.01)
        time.sleep(seconds)
        with suppress(ProcessLookupError):  # it was faster
            os.killpg(process.pid, signal.SIGKILL)
