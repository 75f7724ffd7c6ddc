"""Test vectors: whoever conforms passes them, whoever does not fails, in a few lines of NumPy."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import nullcontext, suppress
from fnmatch import fnmatchcase
from fractions import Fraction
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from harness import known
from harness.case.suite import load
from harness.cli import cli, main
from harness.oracle import QUANTITIES, Step, exact, ratios
from harness.vectors import export
from harness.vectors.expectation import expectation
from harness.vectors.store import Store

torch.set_num_threads(1)

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs/vectors.md").read_text(encoding="utf-8")
CASES = """
- id: two-values
  why: the unbiased variance of two values is twice the biased one.
  module: {num_features: 1, momentum: 1, affine: false}
  steps:
    - train: {input: {values: [[[[1, 3]]]]}}
    - set: {momentum: null}
    - train: {input: {values: [[[[3, 5]]]]}, grad_output: {fill: ones}}
    - train: {input: {values: [[[[1]]]]}}
- id: no-features
  why: the constructor refuses what is no number of channels.
  module: {num_features: -1}
"""


def loaded():
    """Return examples/check_vectors.py as a module."""
    place = importlib.util.spec_from_file_location("checker", ROOT / "examples/check_vectors.py")
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


@pytest.fixture
def checker():
    """Return the example, with bfloat16 as a type of its own."""
    module = loaded()
    module.bfloat16 = lambda words: words.view(ml_dtypes.bfloat16)
    return module


@pytest.fixture(scope="module")
def edge(tmp_path_factory):
    """Return the vectors of the edge cases."""
    folder = tmp_path_factory.mktemp("vectors") / "edge"
    done = CliRunner().invoke(cli, ["vectors", "cases/edge", "-o", str(folder)])
    assert (done.exit_code, done.stdout) == (0, "")
    return folder


@pytest.fixture
def suite(tmp_path):
    """Return two cases."""
    (tmp_path / "few.yaml").write_text(CASES)
    return load([tmp_path / "few.yaml"])


def tensor(array):
    """Return an array as a tensor in memory of its own."""
    if array is None:
        return None
    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(array.copy())


def by_torch(x, grad_output, state, step):
    """Run torch's function and its gradients."""
    x = tensor(x).requires_grad_()
    held = {name: tensor(array) for name, array in state.items()}
    parameters = {
        name: held[name].requires_grad_() for name in ("weight", "bias") if held[name] is not None
    }
    running = {name: held[name] for name in ("running_mean", "running_var")}
    if step["batch_statistics"] and step["factor"] is None:
        running = dict.fromkeys(running)
    found = dict(running)
    with suppress(RuntimeError) if "raises" in step else nullcontext():
        found["output"] = torch.nn.functional.batch_norm(
            x,
            **running,
            weight=held["weight"],
            bias=held["bias"],
            training=step["batch_statistics"],
            momentum=float(step["factor"] or 0),
            eps=float(step["eps"]),
        )
    if grad_output is not None and any(name.startswith("grad_") for name in step["expect"]):
        leaves = {"grad_input": x, **{f"grad_{name}": each for name, each in parameters.items()}}
        gradients = torch.autograd.grad(found["output"], list(leaves.values()), tensor(grad_output))
        found |= zip(leaves, gradients, strict=True)
    return {
        name: each.detach().to(torch.float64).numpy()
        for name, each in found.items()
        if each is not None
    }


def test_files_of_one_name_have_each_their_arrays(tmp_path):
    """No file of arrays is written twice, whatever the case files are called."""
    for number, place in enumerate(("x/a.yaml", "y/a.yaml", "z/a-2.yaml")):
        (tmp_path / place).parent.mkdir()
        (tmp_path / place).write_text(CASES.replace("- id: ", f"- id: its-{number}-"))
    export(load([tmp_path / "x", tmp_path / "y", tmp_path / "z"]), tmp_path / "vectors")
    index = json.loads((tmp_path / "vectors/index.json").read_text(encoding="utf-8"))

    assert len({(each["file"], each["arrays"]) for each in index["cases"]}) == 3
    assert len({each["arrays"] for each in index["cases"]}) == 3


def test_torch_passes_the_vectors_of_the_edge_cases(checker, edge):
    """Torch is within the bounds of all edge cases but those that it is known to get wrong."""
    checked = list(checker.check(edge, by_torch))

    cases = json.loads((edge / "index.json").read_text(encoding="utf-8"))["cases"]
    steps = [step for case in cases for step in case.get("steps", ())]

    assert len(checked) == sum(len(step.get("expect", ())) for step in steps)
    outside = {case for case, *_, inside in checked if not inside}
    patterns = [entry.case for entry in known.load(known.files()).entries]
    assert [case for case in outside if not any(fnmatchcase(case, each) for each in patterns)] == []


def test_numpy_alone_passes_them(checker, edge):
    """The example's own batch normalisation, in float64, is within all bounds."""
    checked = list(checker.check(edge, checker.batch_norm))

    assert {quantity for _, _, quantity, _ in checked} == set(QUANTITIES)
    assert [each for each in checked if not each[-1]] == []


def eps_outside(x, grad_output, state, step):
    """Divide by √v + ε."""
    del grad_output
    x, channels = x.astype(np.float64), (slice(None), None, None)
    if not x.size:
        return {}
    mean, variance = (
        (x.mean((0, 2, 3)), x.var((0, 2, 3)))
        if step["batch_statistics"]
        else (state[name].astype(np.float64) for name in ("running_mean", "running_var"))
    )
    weight, bias = (
        default if state[name] is None else state[name][channels]
        for name, default in (("weight", 1.0), ("bias", 0.0))
    )
    spread = np.sqrt(variance[channels]) + float(step["eps"])
    return {"output": (x - mean[channels]) / spread * weight + bias}


def test_a_folder_without_vectors_is_one_message(tmp_path):
    """The example says that a folder has no vectors, and exits with 2, without a traceback."""
    done = subprocess.run(
        [sys.executable, ROOT / "examples/check_vectors.py", tmp_path / "nowhere"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert f"{tmp_path}/nowhere: there are no vectors" in done.stderr
    assert "Traceback" not in done.stderr


def test_eps_outside_the_square_root_fails(checker, edge):
    """An implementation that divides by √v + ε is outside the bounds of many outputs."""
    checked = list(checker.check(edge, eps_outside))
    failed = {case for case, *_, right in checked if not right}

    assert {case for case in failed if case.startswith("eps-")}
    assert len(failed) > len({case for case, *_ in checked}) / 2


SPECIAL = st.sampled_from([0.0, 1.0, -3.0, 1e30, 3e38, -3e38, np.nan, np.inf, -np.inf])
DTYPES = st.sampled_from(["float16", "float32", "float64"])


@example(given_values=[1e30] * 4, grads=[0.0] * 4, dtype="float32")
@given(st.lists(SPECIAL, min_size=4, max_size=4), st.lists(SPECIAL, min_size=4, max_size=4), DTYPES)
def test_the_checker_judges_as_the_harness_does(tmp_path_factory, given_values, grads, dtype):
    """For all numbers, special ones too, the lines of the example say what the harness says."""
    checker = loaded()
    with np.errstate(all="ignore"):
        x, g = (np.reshape(each, (2, 1, 2, 1)).astype(dtype) for each in (given_values, grads))
    ones = np.ones(1, dtype)
    step = Step(
        x,
        1e-5,
        batch_statistics=True,
        weight=ones,
        bias=ones,
        running_mean=ones,
        running_var=ones,
        factor=0.5,
        grad_output=g,
    )
    results = exact(step)
    path = tmp_path_factory.mktemp("store") / "arrays.safetensors"
    with Store(path) as store:
        held = {each: expectation(results.expected(each), store) for each in results.quantities}
    arrays = checker.read(path)
    for quantity, keys in held.items():
        expected = results.expected(quantity)
        with np.errstate(all="ignore"):
            near = [expected.values + part * expected.bound for part in (0, 0.9, -1.1)]
        tried = [
            *near,
            *(np.full(expected.bound.shape, each) for each in (np.nan, np.inf, -np.inf)),
        ]
        for actual in tried:
            parts = {key: arrays[name] for key, name in keys.items() if key != "dtype"}
            judged = ratios(actual.astype(np.float64), expected) <= 1

            assert np.array_equal(checker.within(actual, **parts), judged)


def test_a_vector_goes_on_from_the_exact_state(suite, tmp_path, checker):
    """Statistics, factor, counter and errors of a sequence are as they are worked out by hand."""
    assert export(suite, tmp_path / "out") == 2
    index = json.loads((tmp_path / "out/index.json").read_text(encoding="utf-8"))
    arrays = checker.read(tmp_path / "out/few.safetensors")
    vector, refused = index["cases"]
    first, assigned, second, third = vector["steps"]

    def after(step):
        names = ("running_mean", "running_var", "num_batches_tracked")
        return [arrays[step["after"][name]].tolist() for name in names]

    assert [after(first), after(assigned)] == [[[2.0], [2.0], 1]] * 2
    assert assigned["spelled"] == {"set": {"momentum": None}}
    assert (first["factor"], second["factor"], second["momentum"]) == (1.0, 0.5, None)
    assert after(second) == [[3.0], [2.0], 2]
    assert arrays[second["expect"]["grad_input"]["exact"]].tolist() == [[[[0.0, 0.0]]]]
    assert third["raises"]["type"] == "ValueError"
    assert "expect" not in third
    assert after(third) == [[3.0], [2.0], 3]
    assert (refused["raises"]["phase"], "steps" in refused) == ("construct", False)


def test_float64_results_are_exact_beyond_float64(tmp_path, checker):
    """Where the data are float64, `low` has what float64 cannot hold of the exact value."""
    text = """
- id: thirds
  why: two thirds have no end in binary.
  module: {num_features: 1, momentum: 1, affine: false, dtype: float64}
  steps: [{train: {input: {values: [[[[0, 0, 1]]]]}}}]
"""
    (tmp_path / "thirds.yaml").write_text(text)
    export(load([tmp_path / "thirds.yaml"]), tmp_path / "out")
    index = json.loads((tmp_path / "out/index.json").read_text(encoding="utf-8"))
    arrays = checker.read(tmp_path / "out/thirds.safetensors")
    held = index["cases"][0]["steps"][0]["expect"]["running_mean"]
    high, low = (Fraction(float(arrays[held[key]][0])) for key in ("exact", "low"))

    assert 0 < abs(high - Fraction(1, 3)) < Fraction(1, 2**53)
    assert abs(high + low - Fraction(1, 3)) < Fraction(1, 2**62)


def test_the_same_cases_give_the_same_bytes(suite, tmp_path):
    """Two exports are equal, and a second one into the same folder replaces the first."""
    for name in ("one", "two", "two"):
        export(suite, tmp_path / name)
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("one", "two")
    )

    assert one == two
    assert set(one) == {"index.json", "few.safetensors"}


def test_an_export_that_fails_leaves_what_was_there(suite, tmp_path):
    """Nothing is half written: after an error the folder holds the earlier export, and no rest."""
    export(suite, tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(suite, tmp_path / "out", "wide", interrupt)

    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["few.yaml", "out"]


def test_each_array_is_in_the_file_once(tmp_path, checker):
    """Equal arrays of any number of steps share a name; the offsets leave no gap."""
    array = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    with Store(tmp_path / "a.safetensors") as store:
        names = [store.add(each) for each in (array, array[:, ::-1], array.copy(), array[0])]
    found = checker.read(tmp_path / "a.safetensors")

    assert names == ["0", "1", "0", "2"]
    assert [each.tolist() for each in found.values()] == [
        array.tolist(),
        array[:, ::-1].tolist(),
        array[0].tolist(),
    ]
    size = (tmp_path / "a.safetensors").stat().st_size
    assert size % 8 == 0
    assert size < 3 * array.nbytes + 256


@pytest.mark.parametrize(
    ("made", "arguments", "message"),
    [
        ("out/notes.txt", ["cases/seed"], "holds something else than test vectors"),
        ("out", ["cases/seed"], "is no folder"),
        (None, ["cases/seed", "-k", "nothing-like-it"], "no case is selected"),
        (None, ["cases/none"], "no such file or folder"),
    ],
)
def test_what_cannot_be_exported_is_said(  # noqa: PLR0917  # half of them are fixtures
    tmp_path, monkeypatch, capsys, made, arguments, message
):
    """Wrong usage ends with exit status 2 and one message, and touches nothing."""
    if made:
        (tmp_path / made).parent.mkdir(exist_ok=True)
        (tmp_path / made).write_text("mine")
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as ended:
        main(["vectors", *arguments, "-o", str(tmp_path / "out")])
    printed = capsys.readouterr()

    assert (ended.value.code, printed.out) == (2, "")
    assert message in printed.err
    assert len(printed.err.splitlines()) == 1
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")] == (
        [made] if made and "." in made else []
    )


def test_the_options_of_run_choose_cases(tmp_path):
    """-k and CASES select as they do in run; standard error says what was written."""
    arguments = ["vectors", "cases/seed", "-k", "momentum-1", "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(cli, arguments)
    index = json.loads((tmp_path / "out/index.json").read_text(encoding="utf-8"))

    assert [case["id"] for case in index["cases"]] == [
        "notebook-16-momentum-1-keeps-the-latest-batch"
    ]
    assert done.stderr == f"wrote {tmp_path / 'out'}: 1 cases\n"


def test_the_commands_of_the_document_do_what_it_shows(tmp_path):
    """docs/vectors.md: the export, the check by NumPy, and the reader in JavaScript."""
    for name in ("cases", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    export_words = shlex.split(re.search(r"^    bn-harness (.*)", DOCUMENT, re.MULTILINE)[1])
    shown, printed = re.search(r"```console\n\$ python (.*)\n(.*)\n```", DOCUMENT).groups()

    def run(*command):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    run(sys.executable, "-m", "harness", *export_words)

    assert run(sys.executable, *shlex.split(shown)) == printed
    if shutil.which("node"):
        script = re.search(r"```js\n(.*?)```", DOCUMENT, re.DOTALL)[1]
        (tmp_path / "read.mjs").write_text(script)
        assert "0.285714" in run("node", "read.mjs")
