"""Runs in worker processes: what one case does to its process stays with that case."""

from __future__ import annotations

import multiprocessing
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_files import MARKED, THREE

from harness.case.suite import load
from harness.errors import InvalidInput
from harness.plan import Plan
from harness.reference import BatchNorm2d
from harness.report.document import to_json
from harness.runner import run

TARGETS = """
import ctypes, os, sys, time

class Well(Marked):
    def act(self):
        pass

class Segfaults(Marked):
    def act(self):
        ctypes.string_at(0)

class Exits(Marked):
    def act(self):
        os._exit(7)

class Leaves(Marked):
    def act(self):
        sys.exit(0)

class Hangs(Marked):
    def act(self):
        open(os.path.join(os.path.dirname(__file__), "hanging"), "w").close()
        time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path):
    """Return a folder with three cases, of which the second is marked, and targets."""
    (tmp_path / "cases.yaml").write_text(THREE)
    (tmp_path / "targets.py").write_text(MARKED + TARGETS)
    return tmp_path


def outcome(folder, *names, against="torch", jobs=1, timeout=60, **more):
    """Run the cases by targets of the file."""
    specs = tuple(f"{folder}/targets.py:{name}" for name in names)
    plan = Plan(specs, against, timeout=timeout)
    return run(load([folder / "cases.yaml"]), plan, jobs=jobs, **more)


def verdicts(report, name):
    """Return the verdict of each case by the target of a class."""
    target = next(each for each in report.summary if each.endswith(name))
    return {
        case.id: case.results[target].verdict for case in report.cases if target in case.results
    }


@pytest.mark.parametrize(
    ("name", "verdict", "reason"),
    [
        ("Segfaults", "crash", "the process ended with SIGSEGV"),
        ("Exits", "crash", "the process ended with exit code 7"),
        ("Hangs", "timeout", "there is no result after 1 s"),
    ],
)
def test_only_the_guilty_case_of_the_guilty_target_is_lost(folder, name, verdict, reason):
    """A case whose process dies or hangs has that verdict; its neighbours and others are judged."""
    found = outcome(folder, name, "Well", timeout=1)

    agree = {"first": "agree", "marked": "agree", "last": "agree"}
    assert verdicts(found.report, name) == {**agree, "marked": verdict}
    assert verdicts(found.report, "Well") == agree
    assert found.report["marked"].results[found.report.targets[0]].reason == reason
    assert [(each.id, each.verdict) for each in found.failures] == [("marked", verdict)]
    assert found.report.summary["torch"].cases == 3


def test_two_guilty_targets_are_both_blamed(folder):
    """Two targets that end the same case's process have each its own reason."""
    found = outcome(folder, "Exits", "Segfaults")

    assert verdicts(found.report, "Exits")["marked"] == "crash"
    reasons = {each.reason for each in found.report["marked"].results.values()}
    assert reasons == {"the process ended with SIGSEGV", "the process ended with exit code 7"}


def test_a_baseline_that_ends_its_process_is_told_apart(folder):
    """Where the baseline crashes it is blamed, and the target cannot be judged."""
    found = outcome(folder, "Well", against=f"{folder}/targets.py:Exits")

    assert verdicts(found.report, "Exits") == {"marked": "crash"}
    assert verdicts(found.report, "Well")["marked"] == "unjudged"
    assert [each.target for each in found.failures] == [found.report.baseline]


def test_a_target_that_wants_to_exit_is_wrong(folder):
    """sys.exit in a target is its error, and does not end the run as if all were well."""
    assert verdicts(outcome(folder, "Leaves").report, "Leaves")["marked"] == "diverge"


def test_the_report_is_the_same_however_it_is_run(folder):
    """In this process, in one worker and in two, the report has the same bytes."""
    texts = {to_json(outcome(folder, "Well", jobs=jobs).report) for jobs in (0, 1, 2)}

    assert len(texts) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise ValueError('not today')", "cannot be imported: ValueError: not today"),
        (
            "import torch; torch.batch_norm = print\nclass Well:\n    __call__ = None",
            "replaces `torch.batch_norm`, which the baseline would run too",
        ),
        ("import os; os._exit(3)", "a process ended while it loaded the targets"),
        ("import os; os._exit(0)", "a process ended while it loaded the targets"),
    ],
)
def test_a_target_that_cannot_be_loaded_is_one_message(folder, text, message):
    """A target that fails while it loads, or ends its process, is refused and no more."""
    (folder / "targets.py").write_text(text)
    with pytest.raises(InvalidInput) as refusal:
        outcome(folder, "Well")

    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_an_import_without_end_is_one_message(folder, monkeypatch):
    """A target that hangs while it is imported is refused once its time is over."""
    monkeypatch.setattr("harness.engines.workers.LOADING", 1.0)
    (folder / "targets.py").write_text("import time; time.sleep(1000)")
    plan = Plan((f"{folder}/targets.py:Well",), timeout=2.0)
    with pytest.raises(InvalidInput) as refusal:
        run(load([folder / "cases.yaml"]), plan, jobs=1)

    assert "torch are not loaded after 4 s; if they only need longer" in str(refusal.value)


def test_two_targets_of_one_name_are_refused():
    """Two classes that a report could not tell apart are refused."""
    classes = tuple(type("Same", (), {"__call__": lambda *_: None}) for _ in range(2))

    with pytest.raises(InvalidInput, match="two targets have the name"):
        run(load(), Plan(classes), jobs=0)


def test_a_baseline_that_is_absent_is_refused(monkeypatch):
    """A baseline that cannot run here is refused with the reason."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)

    with pytest.raises(InvalidInput, match="torch:device=cuda cannot run here: no CUDA device"):
        run(load(), Plan(("reference",), "torch:device=cuda"), jobs=0)


@pytest.mark.parametrize("jobs", [0, 1])
def test_an_interruption_gives_what_was_found(folder, jobs):
    """A run that is interrupted after its first part has a partial report of that part."""

    def interrupt(_):
        raise KeyboardInterrupt

    found = outcome(folder, "Well", jobs=jobs, listener=interrupt, chunk=2)

    assert found.report.partial
    # On a busy machine a part may end by its time before it has two cases.
    assert found.report.summary["torch"].cases in {1, 2}
    assert multiprocessing.active_children() == []


def test_an_interruption_during_a_chunk_loses_no_case(folder, request):
    """Cases that were executed before Ctrl-C are judged, without a worker process too."""
    # Whoever runs the tests may have them ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    calls = []

    class Interrupted(BatchNorm2d):
        def __init__(self, **arguments):
            super().__init__(**arguments)
            calls.append(self)
            if len(calls) == 3:
                raise KeyboardInterrupt

    found = run(load([folder / "cases.yaml"]), Plan(("reference", Interrupted)), jobs=0)

    assert found.report.partial
    assert {each.cases for each in found.report.summary.values()} == {2}


def children(pid):
    """Return the processes that have a process for an ancestor."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found += [int(stat.parent.name), *children(int(stat.parent.name))]
    return found


def gone(processes):
    """Whether the processes end within some seconds."""
    end = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in processes):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_an_interrupted_command_leaves_no_process(folder):
    """Ctrl-C ends the command with 130, its partial report written, and all its processes."""
    report = folder / "report.json"
    # A shell that runs tests in the background has its children ignore Ctrl-C.
    start = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from harness.cli import main; main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", start, "run", "-j", "2", "--report", str(report)]
    target = ["--target", f"{folder}/targets.py:Hangs", str(folder / "cases.yaml")]
    with subprocess.Popen(
        command + target,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        end = time.monotonic() + 60
        while not (folder / "hanging").exists() and time.monotonic() < end:
            time.sleep(0.1)
        started = children(process.pid)
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()

    assert len(started) >= 3
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "partial: the run was interrupted" in out
    assert '"partial": true' in report.read_text()
    assert gone(started)
