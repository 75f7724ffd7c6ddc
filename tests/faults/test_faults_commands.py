"""Faults around a command: its disk, its output, its signals, its worker processes."""

from __future__ import annotations

import multiprocessing
import os
import resource
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from table import COMMANDS, WORKERS

from harness.case.suite import Suite, load
from harness.cli import main
from harness.plan import Plan
from harness.report.document import read
from harness.runner import run

HERE = Path(__file__).parent
CASES = "".join(
    f"- {{id: case-{number}, why: it is short., module: {{num_features: {channels}}}}}\n"
    for number, channels in enumerate((1, 2, 1), 1)
)
HANGS = """
import os, time
from pathlib import Path
from harness.reference import BatchNorm2d

class Hangs(BatchNorm2d):
    def __init__(self, num_features, **more):
        super().__init__(num_features, **more)
        if num_features == 2:
            Path(__file__).with_name("pid").write_text(str(os.getpid()))
            time.sleep(600)
"""
LOADS_ONCE = """
import os
from pathlib import Path
from harness.reference import BatchNorm2d

loaded = Path(__file__).with_name("loaded")
if loaded.exists():
    os._exit(3)
loaded.touch()

class Exits(BatchNorm2d):
    def __init__(self, num_features, **more):
        super().__init__(num_features, **more)
        if num_features == 2:
            os._exit(7)
"""
SPOKEN = {fault.done: fault for fault in (*COMMANDS, *WORKERS)}
OLD = "what was written before"


@pytest.fixture
def folder(tmp_path):
    """Return a folder with three cases, a target that hangs in the second, and an old report."""
    (tmp_path / "cases.yaml").write_text(CASES)
    (tmp_path / "hangs.py").write_text(HANGS)
    (tmp_path / "report.json").write_text(OLD)
    return tmp_path


def started(folder, *arguments, **more):
    """Start ``bn-harness run``, to which no parent says that signals are to be ignored."""
    start = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "[signal.signal(each, signal.SIG_DFL) for each in (signal.SIGHUP, signal.SIGTERM)]; "
        "from harness.cli import main; main(sys.argv[1:])"
    )
    more = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **more}
    command = [sys.executable, "-c", start, "run", str(folder / "cases.yaml"), *arguments]
    return subprocess.Popen(command, cwd=folder, **more)


def finished(fault, process):
    """Assert that a command ends as its row says, in one line and without a traceback."""
    _, err = process.communicate(timeout=60)

    assert f"exit {process.returncode}" == SPOKEN[fault].outcome
    assert SPOKEN[fault].reason in err
    assert "Traceback" not in err


def test_a_report_that_does_not_fit_leaves_what_was_there(folder):
    """A disk that fills up, or a limit that is met, is one message; the old report is whole."""
    fault = "write the report over the limit of a file"

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    finished(fault, started(folder, "--report", "report.json", preexec_fn=limited))

    assert (folder / "report.json").read_text() == OLD


@pytest.mark.parametrize(
    ("fault", "report"),
    [
        ("write the report to a full disk", "/dev/full"),
        ("write the report below a file", "report.json/below.json"),
    ],
)
def test_a_report_that_cannot_be_written_is_one_message(folder, fault, report):
    """Where a report cannot be written, the command says so, and which file it is."""
    finished(fault, started(folder, "--report", report))

    assert (folder / "report.json").read_text() == OLD


def test_an_output_that_takes_no_more_is_one_message(folder):
    """A full disk behind standard output is no traceback."""
    with Path("/dev/full").open("w") as full:
        finished("print to a full disk", started(folder, stdout=full))


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_reader_that_has_left_is_one_message(folder, form):
    """A closed pipe behind standard output, as that of head, is no traceback and no verdict."""
    reader, writer = os.pipe()
    os.close(reader)
    process = started(folder, *form, stdout=writer)
    os.close(writer)

    finished("print to a reader that has left", process)


def hanging(folder):
    """Wait until the target hangs and return the id of its process."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if (folder / "pid").exists() and (found := (folder / "pid").read_text()):
            return int(found)
        time.sleep(0.05)
    raise TimeoutError("the target was not reached")


def gone(pid):
    """Whether a process ends within some seconds."""
    end = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
        time.sleep(0.05)
    return not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    ("fault", "number"),
    [
        ("ask the command to end", signal.SIGTERM),
        ("hang up on the command", signal.SIGHUP),
    ],
)
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_a_command_that_is_asked_to_end_keeps_what_it_has(folder, fault, number):
    """A command that is asked to end writes its partial report, and no process stays."""
    process = started(folder, "--report", "report.json", "--target", "hangs.py:Hangs")
    worker = hanging(folder)
    process.send_signal(number)
    finished(fault, process)

    assert read(folder / "report.json").partial
    assert gone(worker)


def test_a_worker_that_is_killed_from_outside_costs_one_case(folder):
    """Each time that someone kills the process of a case, that is the case's verdict alone."""
    arguments = ("--target", "hangs.py:Hangs", "--report", "report.json", "--full")
    process = started(folder, *arguments)
    killed = 0
    while process.poll() is None:
        with_pid = folder / "pid"
        if with_pid.exists() and (found := with_pid.read_text()):
            with_pid.unlink()
            os.kill(int(found), signal.SIGKILL)
            killed += 1
        time.sleep(0.02)
    _, err = process.communicate()
    fault = SPOKEN["kill a worker from outside"]
    results = [case.results["hangs.py:Hangs"] for case in read(folder / "report.json").cases]

    assert (f"exit {process.returncode}", "Traceback" in err, killed > 0) == (
        fault.outcome,
        False,
        True,
    )
    assert [each.verdict for each in results] == ["agree", "crash", "agree"]
    assert results[1].reason == fault.reason


@pytest.mark.parametrize("seconds", [0, 0.5])
def test_a_worker_that_is_killed_while_it_waits_costs_nothing(folder, monkeypatch, seconds):
    """Where the processes end before they have a case, or as they get it, others take theirs."""
    whole = Suite.cases

    def cases(suite):
        for number, each in enumerate(whole(suite)):
            if number == 1:  # the first is drawn before the processes are asked for
                for worker in multiprocessing.active_children():
                    os.kill(worker.pid, signal.SIGKILL)
                time.sleep(seconds)
            yield each

    monkeypatch.setattr(Suite, "cases", cases)
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as ended:
        main(["run", "cases.yaml", "-j", "2", "--target", "reference", "--report", "report.json"])
    summary = read(folder / "report.json").summary["reference"]

    assert f"exit {ended.value.code or 0}" == SPOKEN["kill a worker that waits"].outcome
    assert (summary.cases, summary.agree) == (3, 3)


@pytest.mark.parametrize("jobs", "12")
def test_a_target_that_cannot_be_loaded_again_is_one_message(folder, jobs):
    """A process that ends as it takes the place of another ends the run, in one message."""
    (folder / "once.py").write_text(LOADS_ONCE)

    finished(
        "end the process that loads again",
        started(folder, "--target", "once.py:Exits", "-j", jobs),
    )


@pytest.mark.parametrize("fault", WORKERS, ids=lambda fault: fault.name)
def test_a_fault_of_a_worker_is_one_verdict(folder, fault):
    """The case in which a worker of its own fails says how; its neighbours are judged."""
    target = f"exec:{shlex.join([sys.executable, str(HERE / 'worker.py'), fault.done])}"
    plan = Plan((target,), full=True, timeout=4)
    report = run(load([folder / "cases.yaml"]), plan, jobs=0).report
    first, hit, last = (case.results[target] for case in report.cases)

    assert (hit.verdict, fault.reason in (hit.reason or "")) == (fault.outcome, True), hit.reason
    assert (first.verdict, last.verdict) == ("agree", "agree")
