"""``bn-harness run``: what it prints, and what it exits with."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys

import pytest

from harness.cli import main

CASES = """
- id: variance
  why: running_var is unbiased.
  tags: [running-stats]
  module: {num_features: 2}
  steps: [{train: {input: {shape: [2, 2, 2, 1], fill: normal, seed: 1}}}]
- id: output
  why: the output is normalised.
  module: {num_features: 2}
  steps: [{eval: {input: {shape: [2, 2, 2, 1], fill: normal, seed: 2}}}]
"""
TARGETS = """
import os
import numpy as np
import torch
from harness.reference import BatchNorm2d

print("a word while it loads")

class Biased(BatchNorm2d):
    def __call__(self, given):
        print("a word on standard output")
        os.write(1, b"and one below it")
        before = None if self.running_var is None else self.running_var.copy()
        output = super().__call__(given)
        if self.training and before is not None:
            count = given.size // given.shape[1]
            gained = self.running_var - np.float32(0.9) * before
            self.running_var[...] = np.float32(0.9) * before + gained * (count - 1) / count
        return output

class BiasedModule(torch.nn.BatchNorm2d):
    def forward(self, given):
        output = super().forward(given)
        if self.training:
            self.running_var.mul_(0.9)
        return output

class Module(torch.nn.BatchNorm2d):
    pass
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return the working folder, with cases and targets."""
    (tmp_path / "cases.yaml").write_text(CASES)
    (tmp_path / "targets.py").write_text(TARGETS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def bn(capsys):
    """Return a function that runs the command line: exit code, output, messages."""

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([str(each) for each in arguments])
        return ended.value.code, *capsys.readouterr()

    return call


@pytest.mark.usefixtures("folder")
def test_a_target_that_conforms_exits_with_0(bn):
    """The reference conforms: exit 0, a summary on standard output, nothing beside it."""
    code, out, err = bn("run", "cases.yaml")

    assert (code, err) == (0, "")
    assert re.search(r"^reference +2 +2 +0", out, re.MULTILINE)


def test_what_torch_refuses_and_no_case_foresees_is_told(bn, folder):
    """A case of a mistyped shape agrees; on standard error stands what torch raises, and where."""
    mistyped = CASES.replace("num_features: 2", "num_features: 3")
    (folder / "typed.yaml").write_text(mistyped)
    code, _, err = bn("run", "typed.yaml", "--report", "r.json")
    found = json.loads((folder / "r.json").read_text())["cases"][0]["results"]["reference"]
    error = "RuntimeError: running_mean should contain 2 elements not 3"

    assert code == 0
    assert err.splitlines() == [
        f"typed.yaml:{line}: {name}: torch refuses step 1: {error}; if that is the fact, say so: "
        "raises: {type: RuntimeError}"
        for name, line in (("output", 7), ("variance", 2))
    ]
    assert found["verdict"] == "agree"
    assert found["unforeseen"]["step"] == 0


def test_what_many_cases_do_not_foresee_is_counted(bn, folder):
    """Ten cases that torch refuses are told one by one, the others counted."""
    one = "- {{id: c{}, why: torch has no such size., module: {{num_features: -1}}}}\n"
    (folder / "many.yaml").write_text("".join(map(one.format, range(12))))
    lines = bn("run", "many.yaml")[2].splitlines()

    assert len(lines) == 11
    assert all("torch refuses the constructor: RuntimeError" in line for line in lines[:10])
    assert lines[10] == "... and 2 more cases with an error that they do not expect"


def test_a_matrix_foresees_what_its_axes_meet_in(bn, folder):
    """A single value a channel in a matrix, which torch refuses in training, is not told."""
    (folder / "m.yaml").write_text(
        "- id: m\n  why: w\n  matrix: {shape: [[1, 2, 1, 1]], sequence: [T, E], fill: [normal]}\n"
    )

    assert bn("run", "m.yaml", "--full")[::2] == (0, "")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", ["Biased", "BiasedModule"])
def test_a_target_that_diverges_exits_with_1_and_says_how_to_see_it(bn, name):
    """A failing class names the quantity, the case's why, and a command that fails alike."""
    code, out, _ = bn("run", "cases.yaml", "--target", f"targets.py:{name}")
    command = shlex.split(re.search("reproduce: bn-harness (.*)", out)[1])
    again, shown, _ = bn(*command)

    assert (code, again) == (1, 1)
    assert "running_var[" in out
    assert "why: running_var is unbiased." in out
    assert command[1] == "cases.yaml::variance"
    assert re.search(rf"^targets.py:{name} +1 +0 +1", shown, re.MULTILINE)


@pytest.mark.usefixtures("folder")
def test_a_reproduction_repeats_baseline_and_accuracy(bn):
    """The command that reproduces a failure names what the run was asked for."""
    arguments = ["--target", "targets.py:Biased", "--against", "reference", "--accuracy", "wide"]
    _, out, _ = bn("run", "cases.yaml", *arguments)

    assert "--against reference --accuracy wide" in out


@pytest.mark.usefixtures("folder")
def test_a_module_from_a_file_conforms(bn):
    """A would-be drop-in that is an nn.Module is judged from its file, bit for bit."""
    code, out, _ = bn("run", "cases.yaml", "--target", "targets.py:Module", "--json")

    assert code == 0
    assert json.loads(out)["summary"]["targets.py:Module"]["bitwise_equal"] == 2


NOTHING = """
from harness.reference import BatchNorm2d

class Nothing(BatchNorm2d):
    def __init__(self, size):
        raise AssertionError("is not reached")
"""


def test_a_run_that_judges_nothing_does_not_conform(bn, folder, monkeypatch):
    """Where no target supports a case, or none is here, the status is 2 and the reason is said."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    (folder / "nothing.py").write_text(NOTHING)
    code, out, err = bn("run", "cases.yaml", "--target", "nothing.py:Nothing")
    absent = bn("run", "cases.yaml", "--target", "torch:device=cuda")
    both = bn("run", "cases.yaml", "--target", "torch:device=cuda", "--target", "reference")

    assert (code, "unsupported" in out) == (2, True)
    assert "no case could be judged: the constructor has no argument" in err
    assert absent[0] == 2
    assert "no case could be judged: no CUDA device" in absent[2]
    assert (both[0], "no CUDA device" in both[1]) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "over"),
    [
        (("--report", "cases.yaml"), "cases.yaml"),
        (("--html", "targets.py"), "targets.py:Biased"),
        (("--against", "exec:python targets.py", "--report", "targets.py"), "exec:python"),
        (("--report", "one.json", "--html", "./one.json"), "--report"),
    ],
)
def test_what_a_run_reads_is_not_written_over(bn, folder, arguments, over):
    """A report in the place of a case file, a target or another report is refused at once."""
    before = (folder / "cases.yaml").read_text(), (folder / "targets.py").read_text()
    code, out, err = bn("run", "cases.yaml", "--target", "targets.py:Biased", *arguments)

    assert (code, out) == (2, "")
    assert f"would be written over {over}" in err
    assert "; name another file" in err
    assert ((folder / "cases.yaml").read_text(), (folder / "targets.py").read_text()) == before


@pytest.mark.usefixtures("folder")
def test_json_is_all_that_is_printed(bn):
    """With --json standard output is the report, and it is the one that is written."""
    code, out, err = bn("run", "cases.yaml", "--json", "--report", "new/report.json")
    report = json.loads(out, parse_constant=pytest.fail)

    assert (code, err) == (0, "")
    assert report["summary"]["reference"]["agree"] == 2
    with open("new/report.json") as written:  # noqa: PTH123  # as a user would
        assert written.read() == out


def test_a_chatty_target_spoils_no_output(folder):
    """What a target prints goes to standard error, and no escape code goes to a pipe."""
    command = [sys.executable, "-m", "harness", "run", "cases.yaml"]
    ended = subprocess.run(  # this Python
        [*command, "--target", "targets.py:Biased", "--json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    assert "\x1b" not in ended.stdout + ended.stderr
    assert "a word" not in ended.stdout
    assert "a word on standard output" in ended.stderr
    assert "and one below it" in ended.stderr
    assert json.loads(ended.stdout)["targets"] == ["targets.py:Biased"]


def test_what_a_target_prints_at_the_end_spoils_no_output(folder):
    """A target's last words, when the process ends, go to standard error, too."""
    (folder / "late.py").write_text(
        "import atexit\nfrom harness.reference import BatchNorm2d as Late\n"
        "atexit.register(print, 'a last word')\n"
    )
    fuzz = ["fuzz", "--target", "late.py:Late", "--time", "0", "--save", "saved", "--json"]
    command = [sys.executable, "-m", "harness", *fuzz]
    ended = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )

    assert "a last word" in ended.stderr
    assert json.loads(ended.stdout)


def test_a_baseline_that_crashes_exits_with_1(bn, folder):
    """A crash is a crash, the baseline's too: the status is 1, and the command repeats the run."""
    (folder / "ends.py").write_text(
        "import os\nfrom harness.reference import BatchNorm2d\n"
        "class Ends(BatchNorm2d):\n    def __call__(self, given):\n        os.abort()\n"
    )
    code, out, err = bn("run", "cases.yaml::output", "--against", "ends.py:Ends")

    assert code == 1
    assert "the process ended with SIGABRT" in out
    assert "reproduce: bn-harness run cases.yaml::output --against ends.py:Ends\n" in out
    assert "no case could be judged" in err


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "cases"),
    [
        (["-k", "vari and not out"], 1),
        (["--tag", "running-stats"], 1),
        (["--sample", "1"], 1),
        (["--tag", "running-stats", "--tag", "other"], 1),
        ([], 2),
    ],
)
def test_cases_are_selected(bn, arguments, cases):
    """Words, tags and samples choose cases, and the report says what was chosen."""
    _, out, _ = bn("run", "cases.yaml", "--json", *arguments)

    assert json.loads(out)["summary"]["reference"]["cases"] == cases


@pytest.mark.usefixtures("folder")
def test_shards_part_the_cases(bn):
    """Every case is in one shard of two."""
    found = []
    for part in ("1/2", "2/2"):
        code, out, _ = bn("run", "cases.yaml", "--json", "--shard", part)
        found += [case["id"] for case in json.loads(out)["cases"]] if code == 0 else []

    assert sorted(found) == ["output", "variance"]


@pytest.mark.usefixtures("folder")
def test_cases_of_other_versions_are_counted_aside(bn, tmp_path):
    """A case that does not hold for this torch is left out, and said to be."""
    text = CASES.replace("- id: output\n", "- id: output\n  since: '99'\n")
    (tmp_path / "cases.yaml").write_text(text)
    code, out, err = bn("run", "cases.yaml", "--json")

    assert code == 0
    assert "1 case does not hold for torch" in err
    assert json.loads(out)["summary"]["reference"]["cases"] == 1


@pytest.mark.usefixtures("folder")
def test_cases_of_other_versions_alone_are_no_conformance(bn, tmp_path):
    """Where no case holds for this torch nothing was judged, and the status says so."""
    text = CASES.replace("  why:", "  since: '99'\n  why:")
    (tmp_path / "cases.yaml").write_text(text)
    code, _, err = bn("run", "cases.yaml")

    assert code == 2
    assert "no case could be judged: none holds for this version" in err


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.yaml"], "nowhere.yaml"),
        (["cases.yaml::nobody"], "cases.yaml::nobody"),
        (["cases.yaml", "--target", "nobody"], "nobody: no such target"),
        (["cases.yaml", "--target", "targets.py:Nobody"], "there is no class Nobody"),
        (["cases.yaml", "--against", "nobody"], "nobody: no such target"),
        (["cases.yaml", "-j", "0"], "'0' is neither a number from 1 nor 'auto'"),
        (["cases.yaml", "-j", "many"], "'many' is neither a number from 1 nor 'auto'"),
        (["cases.yaml", "--shard", "3/2"], "'3/2' should be I/N"),
        (["cases.yaml", "--sample", "0"], "0"),
        (["cases.yaml", "--timeout", "0"], "0.1"),
        (["cases.yaml", "--accuracy", "perfect"], "perfect"),
        (["cases.yaml", "--nonsense"], "--nonsense"),
        (["cases.yaml", "-k", "and and"], "join words by and, or, not"),
        (["cases.yaml", "-k", "neither"], "no case is selected by expression neither"),
        (["cases.yaml", "--tag", "neither"], "no case is selected by tags neither"),
        (["cases.yaml", "--report", "."], "directory"),
        (["cases.yaml", "--report", "-"], "'-' is not standard output here; --json prints"),
        (["cases.yaml", "--html", "-"], "'-' is not standard output here; name a file"),
        (["cases.yaml", "--json", "--format", "markdown"], "--json and --format markdown exclude"),
        (["cases.yaml", "--dask", "tcp://127.0.0.1:1", "-j", "2"], "--dask and -j exclude"),
        (["cases.yaml", "--report", "cases.yaml/report.json"], "cannot be written"),
    ],
)
def test_wrong_usage_is_one_message_and_exits_with_2(bn, arguments, message):
    """Whatever a user gives wrong is told once on standard error, without a traceback."""
    code, _, err = bn("run", *arguments)

    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) <= 4


@pytest.mark.usefixtures("folder")
def test_invalid_cases_are_told_all_at_once(bn, tmp_path):
    """Every mistake of a case file is told with its place; nothing is run."""
    text = CASES.replace("module", "modul").replace("seed: 1", "seed: one")
    (tmp_path / "cases.yaml").write_text(text)
    code, out, err = bn("run", "cases.yaml")

    assert (code, out) == (2, "")
    assert len(re.findall(r"^cases.yaml:\d+:\d+: ", err, re.MULTILINE)) >= 3


@pytest.fixture
def listed(folder):
    """Return a function that lists one known divergence of a target."""

    def write(target, case, quantity, name="known.yaml"):
        (folder / name).write_text(
            f"- target: {target}\n  case: {case}\n  quantity: {quantity}\n"
            "  reason: it is biased.\n  link: https://example.org/1\n"
        )

    return write


@pytest.mark.parametrize("cases", [["."], ["cases.yaml"], ["cases.yaml", "--known", "mine.yaml"]])
def test_a_known_divergence_is_no_failure(bn, listed, cases):
    """What known.yaml in the folder, or --known, lists is counted apart, and exits with 0."""
    listed("targets.py:Biased", "variance", "running_var", cases[2] if cases[2:] else "known.yaml")
    code, out, _ = bn("run", *cases, "--target", "targets.py:Biased", "--json")
    report = json.loads(out)

    assert code == 0
    assert report["summary"]["targets.py:Biased"]["known"] == 1
    assert report["cases"][1]["results"]["targets.py:Biased"]["reason"] == "it is biased."


def test_a_stale_known_divergence_exits_with_2(bn, listed):
    """An entry that no longer diverges is an error, though the target conforms."""
    listed("reference", "variance", "running_var")
    code, _, err = bn("run", "cases.yaml")

    assert code == 2
    assert "variance no longer diverges in running_var for reference" in err


def test_what_is_known_by_the_bounds_of_each_type_is_not_stale_by_others(bn):
    """With --accuracy any-order torch's long sums are within, and no entry is to be removed."""
    code, out, err = bn("run", "cases/edge/sizes.yaml", "--accuracy", "any-order")

    assert (code, err) == (0, "")
    assert "known" not in out
