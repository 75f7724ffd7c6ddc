"""Worker processes as targets: torch behind the protocol, and what a hello rules out."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import harness
from harness.case.layouts import LAYOUTS
from harness.case.model import Case
from harness.case.suite import load
from harness.targets import blinded, resolve, wire
from harness.trace import same_bits

ROOT = Path(__file__).parents[2]
TORCH = f"exec:{shlex.quote(sys.executable)} {ROOT}/harness/workers/torch_worker.py"
NODE = shutil.which("node")
INPUT = {"shape": [2, 2, 1, 2], "fill": "normal", "seed": 1}


def equal(one, other):
    """Whether two mappings hold the same arrays, bit for bit and in the same order."""
    if one is None or other is None or list(one) != list(other):
        return one is other
    return all(
        one[key] is other[key] is None
        or (one[key] is not None and other[key] is not None and same_bits(one[key], other[key]))
        for key in one
    )


def differences(ours, theirs):
    """Yield where two traces of a case differ."""
    for name in ("raised", "unsupported"):
        if getattr(ours, name) != getattr(theirs, name):
            yield name, getattr(ours, name), getattr(theirs, name)
    if not equal(ours.initial, theirs.initial):
        yield "initial", ours.initial, theirs.initial
    for one, other in zip(ours.steps, theirs.steps, strict=True):
        for name in ("step", "repetition", "raised", "unsupported", "input_changed", "layouts"):
            if getattr(one, name) != getattr(other, name):
                yield one.step, name, getattr(one, name), getattr(other, name)
        for name in ("results", "state", "saved"):
            if not equal(getattr(one, name), getattr(other, name)):
                yield one.step, name, getattr(one, name), getattr(other, name)


SPARSE = """
import sys
sys.path.insert(0, {folder!r})
import torch_worker
whole = torch_worker.Walk.state
torch_worker.Walk.state = lambda walk: {{
    name: array for name, array in whole(walk).items() if array is not None
}}
torch_worker.main()
"""


def test_a_worker_may_leave_out_what_it_has_not(tmp_path):
    """A state without an array says what a state with null in its place says."""
    (tmp_path / "sparse.py").write_text(SPARSE.format(folder=f"{ROOT}/harness/workers"))
    sparse = f"exec:{shlex.quote(sys.executable)} {tmp_path}/sparse.py"
    report = harness.run(ROOT / "cases/edge/buffers.yaml", [sparse])
    turned = harness.run(ROOT / "cases/edge/buffers.yaml", ["torch"], against=sparse)

    assert report.summary[sparse].bitwise_equal == report.summary[sparse].cases > 10
    assert turned.summary["torch"].bitwise_equal == turned.summary["torch"].cases


UNCOUNTED = """
import sys
sys.path.insert(0, {folder!r})
import torch_worker
whole, hello = torch_worker.Walk.state, torch_worker.hello
torch_worker.Walk.state = lambda walk: {{**whole(walk), "num_batches_tracked": None}}
torch_worker.hello = lambda: {{**hello(), **{said!r}}}
torch_worker.main()
"""


def test_a_worker_documents_what_it_means_otherwise(tmp_path):
    """A worker whose hello says that it counts no batches agrees by that, and else diverges."""
    meant = {"num_batches_tracked": {"is": "absent", "reason": "nothing is counted"}}
    verdicts = {}
    for said in ({}, {"differs": meant}):
        script = tmp_path / f"counts-{len(said)}.py"
        script.write_text(UNCOUNTED.format(folder=f"{ROOT}/harness/workers", said=said))
        name = f"exec:{shlex.quote(sys.executable)} {script}"
        report = harness.run(case({"train": {"input": INPUT}}), [name])
        result = report["a"].results[name]
        verdicts[len(said)] = result.verdict, result.declared

    assert verdicts == {0: ("diverge", []), 1: ("agree", ["no counter: nothing is counted"])}


def test_torch_behind_the_protocol_is_torch():
    """On the edge suite the torch worker's traces are those of torch in this process."""
    worker, torch = resolve(TORCH), resolve("torch")
    cases = [blinded(case) for _, case in load([ROOT / "cases/edge"]).cases()]
    found = {case.id: [*differences(worker.execute(case), torch.execute(case))] for case in cases}

    assert {key: each for key, each in found.items() if each} == {}
    assert len(found) > 200


def test_a_worker_is_judged_as_torch_is():
    """Across matrices, types and layouts included, the torch worker agrees bit for bit."""
    report = harness.run(ROOT / "cases/core", targets=[TORCH], sample=80)
    summary, own = report.summary[TORCH], report.summary["torch"]

    assert summary.bitwise_equal == summary.cases == 80
    assert (summary.diverge, summary.unsupported) == (0, 0)
    assert report.declared[TORCH] == report.declared["torch"]
    assert own.diverge == 0


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "bool", "complex64"])
def test_arrays_cross_the_wire_with_their_memory(layout, dtype):
    """An array arrives with its bits and its strides, in every type and layout."""
    spec = {"shape": [2, 3, 1, 2], "fill": "normal", "seed": 1, "layout": layout, "dtype": dtype}
    case = Case.model_validate(
        {
            "id": "a",
            "why": "b.",
            "module": {"num_features": 3},
            "steps": [{"eval": {"input": spec}}],
        }
    )
    given = case.steps[0].forward.input.array()
    received = wire.WireArray.model_validate(wire.packed(given))

    assert same_bits(received.array(), given)
    assert received.array().strides == given.strides


def worker(tmp_path, **hello):
    """Return a worker that says hello and answers each case with what it was asked."""
    script = tmp_path / "worker.py"
    script.write_text(
        "import json, sys\n"
        f"hello = {hello!r}\n"
        "sys.stdin.readline()\n"
        'print(json.dumps({"hello": {"protocol": 1, **hello}}), flush=True)\n'
        "for line in sys.stdin:\n"
        '    case = json.loads(line)["case"]\n'
        '    print(case, file=open("asked", "a"))\n'
        '    steps = [{"step": i, "repetition": 0} for i, _ in enumerate(case["steps"])]\n'
        '    trace = {"number": case["number"], "initial": {}, "steps": steps}\n'
        '    print(json.dumps({"trace": trace}), flush=True)\n'
    )
    return f"exec:{shlex.quote(sys.executable)} {script}"


def case(*steps, **more):
    """Return a case of a module with two channels."""
    module = {"num_features": 2, **more.pop("module", {})}
    return Case.model_validate(
        {"id": "a", "why": "b.", "module": module, "steps": list(steps), **more}
    )


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (case(module={"dtype": "float16"}), "the worker has no float16"),
        (case({"eval": {"input": {**INPUT, "dtype": "int64"}}}), "the worker has no int64"),
        (case({"cast": "bfloat16"}), "the worker has no bfloat16"),
        (case({"save": "x"}), "the worker has no state_dict"),
    ],
)
def test_what_a_hello_rules_out_is_unsupported(tmp_path, monkeypatch, asked, reason):
    """A case with a type, or a state_dict, that the worker has not is not sent."""
    monkeypatch.chdir(tmp_path)
    target = resolve(worker(tmp_path, dtypes=["float32"], state_dict=False))

    assert target.execute(asked).unsupported == reason
    assert not Path("asked").exists()


def test_gradients_are_not_asked_of_a_worker_without_backward(tmp_path, monkeypatch):
    """Such a worker gets the step without grad_output, and the step lacks its gradients."""
    monkeypatch.chdir(tmp_path)
    target = resolve(worker(tmp_path, dtypes=["float32"], backward=False))
    given = {"input": INPUT, "grad_output": {"fill": "ones"}}
    trace = target.execute(case({"train": given}, {"train": {"input": INPUT}}))

    reasons = [step.unsupported for step in trace.steps]
    assert reasons == ["the worker has no backward", None]
    assert "grad_output" not in Path("asked").read_text()


def test_the_baseline_s_version_decides_what_holds(tmp_path, monkeypatch):
    """Since and before follow the version of torch in the hello of the baseline."""
    monkeypatch.chdir(tmp_path)
    old = worker(tmp_path, dtypes=["float32"], versions={"torch": "1.8.1"})
    cases = [case(since="1.9").model_copy(update={"id": "new"}), case(before="1.9")]
    report = harness.run(cases, targets=[old], against=old)

    assert [each.id for each in report.cases] == ["a"]
    assert report.environment["workers"] == {old: {"torch": "1.8.1"}}


def test_what_a_case_expects_is_not_sent():
    """Neither published numbers nor expected errors are part of a message."""
    step = {"eval": {"input": INPUT, "raises": {"type": "ValueError", "match": "secret"}}}
    asked = case(step, expect=[{"after": 1, "running_mean": [0.125, 0.5]}], module={"eps": -1.0})
    message = json.dumps(wire.case_message(blinded(asked), 1))

    assert "secret" not in message
    assert "expect" not in message
    assert '"eps": -1.0' in message


def test_numbers_that_json_has_no_word_for_are_texts():
    """A momentum that is nan and an infinite eps are sent by their names."""
    asked = case({"set": {"eps": float("inf")}}, module={"momentum": float("nan")})
    message = wire.case_message(asked, 1)

    assert message["module"]["momentum"] == "nan"
    assert message["steps"] == [{"set": {"eps": "inf"}}]
    assert wire.line(case=message).endswith(b"\n")


def test_the_messages_of_the_documentation_are_of_the_protocol():
    """Each message that docs/protocol.md shows is one that the harness takes or sends."""
    shown = re.findall(r"```json\n(.*?)\n```", (ROOT / "docs/protocol.md").read_text(), re.DOTALL)
    asked, hello, question, answer = map(json.loads, shown)
    two = {"values": [[[[1, 3]]]]}
    steps = [{"train": {"input": two}}]
    documented = Case.model_validate(
        {
            "id": "two-steps",
            "why": "b.",
            "module": {"num_features": 1, "momentum": None},
            "state": {"weight": [2]},
            "steps": steps,
        }
    )
    trace = wire.Answer.model_validate(answer).trace.trace(documented)

    assert asked == {"hello": {"protocol": wire.PROTOCOL}}
    assert wire.Answer.model_validate(hello).hello.protocol == wire.PROTOCOL
    assert question == {"case": wire.case_message(documented, 1)}
    assert trace.steps[0].results["output"].tolist() == [[[[-2, 2]]]]
    assert np.array_equal(trace.steps[0].state["num_batches_tracked"], 1)


@pytest.mark.skipif(NODE is None, reason="there is no node")
def test_a_worker_in_another_language_conforms():
    """The worker in JavaScript agrees on forward cases, and declares all that it lacks."""
    target = f"exec:{NODE} {ROOT}/examples/worker.mjs"
    report = harness.assert_conforms(target, ROOT / "cases/edge", tags=["forward"])
    core = harness.run(ROOT / "cases/core", targets=[target], tags=["forward"], sample=80)

    assert report.summary[target].agree > 50
    assert core.summary[target].diverge == 0
