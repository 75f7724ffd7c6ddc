"""Workers that fail: each fault is one verdict, and the rest of the run is unharmed."""

from __future__ import annotations

import gc
import sys
import time
from pathlib import Path

import pytest

from harness.case.suite import load
from harness.errors import InvalidInput
from harness.plan import Plan
from harness.runner import run
from harness.targets import resolve

CASES = """
- id: first
  why: it is well.
  module: {num_features: 1}
- id: marked
  why: the worker does what it does.
  module: {num_features: 2}
- id: last
  why: it is well too.
  module: {num_features: 1}
"""
WORKER = """
import base64, json, os, signal, struct, sys, time

def array(code, name, *values, **more):
    data = base64.b64encode(struct.pack("<%d%s" % (len(values), code), *values)).decode()
    return {"dtype": name, "shape": [len(values)], "data": data, **more}

def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()

def trace(case):
    count = case["module"]["num_features"]
    ones, zeros = array("f", "float32", *[1] * count), array("f", "float32", *[0] * count)
    return {"number": case["number"], "initial": {
        "weight": ones, "bias": zeros, "running_mean": zeros, "running_var": ones,
        "num_batches_tracked": {**array("q", "int64", 0), "shape": []}}}

def hello(protocol=1):
    say(json.dumps({"hello": {"protocol": protocol, "dtypes": ["float32"]}}) + "\\n")

FAULT, MARK = sys.argv[1:]
met = os.path.exists(MARK)
sys.stdin.readline()
if FAULT == "a word before":
    say("loading weights\\n")
    time.sleep(60)
if FAULT == "a word and hello":
    say("loading weights\\n" + json.dumps({"hello": {"protocol": 1}}) + "\\n")
    time.sleep(60)
if FAULT == "integer statistics":
    lower = {"parameters": "float16", "reason": "why not", "statistics": "int64"}
    say(json.dumps({"hello": {"protocol": 1, "dtypes": ["float32"], "declares": [lower]}}) + "\\n")
    time.sleep(60)
if FAULT == "no hello":
    sys.exit(3)
if FAULT == "no hello again" and met:
    sys.exit(4)
hello(2 if FAULT == "wrong version" or (FAULT == "wrong version again" and met) else 1)
for line in sys.stdin:
    case = json.loads(line)["case"]
    answer = trace(case)
    text = json.dumps({"trace": answer}) + "\\n"
    if case["module"]["num_features"] == 2:
        open(MARK, "w").close()
        if FAULT == "gone":
            os.remove(sys.argv[0])
        if FAULT in ("exit", "gone", "no hello again", "wrong version again"):
            sys.exit(7)
        elif FAULT == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif FAULT == "real-time signal":
            os.kill(os.getpid(), 40)
        elif FAULT == "hang":
            time.sleep(60)
        elif FAULT == "child":
            os.system("sleep 60; : " + MARK)
        elif FAULT == "partial line and hang":
            say(text[:20])
            time.sleep(60)
        elif FAULT == "partial line":
            say(text[:20])
            sys.exit(0)
        elif FAULT == "closed":
            os.close(1)
            time.sleep(60)
        elif FAULT == "garbage":
            text = "it works for me\\n"
        elif FAULT == "bytes":
            sys.stdout.buffer.write(b"\\xff\\xfe\\n")
            text = ""
        elif FAULT == "another key":
            text = json.dumps({"trace": {**answer, "speed": 9}}) + "\\n"
        elif FAULT == "another hello":
            text = json.dumps({"hello": {"protocol": 1, "dtypes": []}}) + "\\n"
        elif FAULT == "wrong shape":
            answer["initial"]["weight"]["shape"] = [3]
            text = json.dumps({"trace": answer}) + "\\n"
        elif FAULT == "wrong strides":
            answer["initial"]["weight"]["strides"] = [-1]
            text = json.dumps({"trace": answer}) + "\\n"
        elif FAULT == "wrong data":
            answer["initial"]["weight"]["data"] = "AAAA"
            text = json.dumps({"trace": answer}) + "\\n"
        elif FAULT == "steps":
            answer["steps"] = [{"step": 0, "repetition": 0}]
            text = json.dumps({"trace": answer}) + "\\n"
        elif FAULT == "no initial":
            del answer["initial"]
            text = json.dumps({"trace": answer}) + "\\n"
        elif FAULT == "huge":
            while True:
                say("x" * 2**16)
        elif FAULT == "two lines":
            text += text
        elif FAULT == "out of turn":
            answer["number"] = 77
            text = json.dumps({"trace": answer}) + "\\n"
    say(text)
"""
FAULTS = {
    "exit": ("crash", "the worker ended with exit code 7"),
    "kill": ("crash", "the worker ended with SIGKILL"),
    "real-time signal": ("crash", "the worker ended with signal 40"),
    "hang": ("timeout", "there is no answer after 2 s"),
    "child": ("timeout", "there is no answer after 2 s"),
    "partial line and hang": ("timeout", 'only \'{"trace": {"number":\' without an end'),
    "partial line": ("crash", 'ended with exit code 0 in the line \'{"trace": {"number":\''),
    "closed": ("crash", "the worker closed its standard output"),
    "garbage": ("crash", "not of the protocol"),
    "bytes": ("crash", "not of the protocol"),
    "another key": ("crash", "at trace.speed: Extra inputs are not permitted"),
    "no initial": ("crash", "it lacks 'initial', the state before the first step"),
    "another hello": ("crash", "answered out of turn: no trace to case 2"),
    "wrong shape": ("crash", "weight: shape [3] with strides [1] has 3 elements in memory"),
    "wrong strides": ("crash", "weight: strides [-1] do not fit the shape [2]"),
    "wrong data": ("crash", "weight: 3 bytes are no whole number of float32"),
    "steps": ("crash", "its steps are not those of the case"),
    "huge": ("crash", "the answer is longer than the"),
    "two lines": ("crash", "the worker said more than one line"),
    "out of turn": ("crash", "answered out of turn: the trace of case 77 to case 2"),
}


@pytest.fixture
def spec(tmp_path):
    """Return what makes the SPEC of a worker with a fault."""
    (tmp_path / "cases.yaml").write_text(CASES)
    (tmp_path / "worker.py").write_text(WORKER)

    def make(fault):
        return f"exec:{sys.executable} {tmp_path}/worker.py '{fault}' {tmp_path}/met"

    return make


def outcome(folder, target, *, jobs=0, against="torch", timeout=2, **more):
    """Run the three cases by a worker."""
    suite = load([folder / "cases.yaml"])
    return run(suite, Plan((target,), against, timeout=timeout), jobs=jobs, **more)


def verdicts(report, name):
    """Return verdicts and reasons of one target."""
    results = {case.id: case.results[name] for case in report.cases if name in case.results}
    return {key: (found.verdict, found.reason) for key, found in results.items()}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_verdict(tmp_path, spec, fault):
    """The case in which a worker fails says how; those before and after it are judged."""
    found = outcome(tmp_path, spec(fault))
    (name,) = found.report.targets
    verdict, reason = verdicts(found.report, name).pop("marked")

    assert (verdict, FAULTS[fault][1] in reason) == (FAULTS[fault][0], True), reason
    neighbours = {key: each[0] for key, each in verdicts(found.report, name).items()}
    assert neighbours == {"first": "agree", "marked": verdict, "last": "agree"}
    assert [(each.id, each.verdict) for each in found.failures] == [("marked", verdict)]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("no hello again", "the worker ended with exit code 4"),
        ("wrong version again", "the worker speaks version 2 of the protocol, the harness 1"),
    ],
)
def test_a_worker_that_does_not_start_again_is_told_case_by_case(tmp_path, spec, fault, reason):
    """After a crash, a start without a good hello is the verdict of the case that needed it."""
    target = spec(fault)
    found = verdicts(outcome(tmp_path, target).report, target)

    assert found["first"] == ("agree", None)
    assert found["marked"] == ("crash", "the worker ended with exit code 7")
    assert found["last"] == ("crash", reason)


def test_a_worker_whose_command_is_gone_is_told_case_by_case(tmp_path, spec):
    """After a crash, a command that is no longer there is the verdict of the case after it."""
    worker = tmp_path / "worker.py"
    worker.write_text(f"#!{sys.executable}\n{WORKER}")
    worker.chmod(0o755)
    target = spec("gone").replace(f"{sys.executable} ", "")
    found = verdicts(outcome(tmp_path, target).report, target)

    assert {key: verdict for key, (verdict, _) in found.items()} == {
        "first": "agree",
        "marked": "crash",
        "last": "crash",
    }
    assert "cannot be started again: [Errno 2] No such file" in found["last"][1]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("no hello", "cannot be started: the worker ended with exit code 3"),
        ("wrong version", "the worker speaks version 2 of the protocol, the harness 1"),
        ("integer statistics", "at hello.declares.0.statistics: Input should be 'float16'"),
        ("a word before", "'loading weights', where {\"hello\": …} was expected"),
        ("a word and hello", "more than one line: 'loading weights', and then '{\"hello\""),
    ],
)
def test_a_worker_without_a_hello_is_refused(spec, fault, message):
    """A worker that gives no hello at its first start is one message, with what it said instead."""
    with pytest.raises(InvalidInput) as refusal:
        resolve(spec(fault))

    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("", "name the command"),
        ("no-such-program --now", "No such file or directory: 'no-such-program'"),
        ("python 'unclosed", "No closing quotation"),
    ],
)
def test_a_command_that_is_none_is_refused(command, message):
    """A command that is empty, cannot be found or cannot be parsed is one message."""
    with pytest.raises(InvalidInput, match=message):
        resolve(f"exec:{command}")


def test_a_baseline_that_fails_leaves_the_targets_unjudged(tmp_path, spec):
    """Where a worker that is the baseline crashes it is blamed, and the target is not."""
    baseline = spec("exit")
    found = outcome(tmp_path, "torch", against=baseline)

    reason = "the worker ended with exit code 7"
    assert verdicts(found.report, baseline)["marked"] == ("crash", reason)
    unjudged = verdicts(found.report, "torch")["marked"]
    assert unjudged == ("unjudged", f"of {baseline}, {reason}")
    assert [(each.id, each.target) for each in found.failures] == [("marked", baseline)]


def test_processes_of_a_run_have_each_their_worker(tmp_path, spec):
    """In a pool, too, a worker that hangs costs its case alone, in its own time."""
    found = outcome(tmp_path, spec("hang"), jobs=1)

    (name,) = found.report.targets
    kinds = {key: verdict for key, (verdict, _) in verdicts(found.report, name).items()}
    assert kinds == {"first": "agree", "marked": "timeout", "last": "agree"}


@pytest.fixture
def uncollected():
    """Have Python not look for circles of objects that nobody holds."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("jobs", [0, 1])
def test_no_worker_outlives_its_run(tmp_path, spec, jobs):
    """Neither a worker nor the child of one that was killed waits for Python to collect it."""
    outcome(tmp_path, spec("child"), jobs=jobs)
    end = time.monotonic() + 5
    while left(str(tmp_path)) and time.monotonic() < end:
        time.sleep(0.05)

    assert left(str(tmp_path)) == []


def left(text):
    """Return the command lines of processes that name a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        found += [line] if text in line else []
    return found
