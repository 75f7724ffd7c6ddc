"""The verbs beside run, and how little it takes to start."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from harness.cli import VERBS, cli, main
from harness.oracle import ACCURACIES
from harness.verdicts import CLASSES

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bn(capsys):
    """Return a function that runs the command line: exit code, output, messages."""

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        return ended.value.code, *capsys.readouterr()

    return call


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(bn, verb):
    """Each verb that is listed explains itself and exits with 0."""
    code, out, err = bn(verb, "--help")

    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: bn-harness {verb}")


def test_help_lists_the_verbs(bn):
    """The help names every verb with what it does."""
    code, out, _ = bn("--help")

    assert code == 0
    said = " ".join(out.split())
    assert all(f"{verb} {does}" in said for verb, does in VERBS.items())


def test_an_error_of_the_harness_itself_is_no_divergence(bn, monkeypatch):
    """What nobody foresaw is shown whole, said to be the harness's own, and exits with 2."""

    def fail(**_):
        raise KeyError("nobody foresaw it")

    monkeypatch.setattr(importlib.import_module("harness.cli.check").command, "callback", fail)
    code, out, err = bn("check", "cases/seed")

    assert (code, out) == (2, "")
    assert "nobody foresaw it" in err
    assert "a mistake of bn-harness itself" in err


TALKS = """
import os
from harness.reference import BatchNorm2d

print("IMPORTED")

class Talks(BatchNorm2d):
    def __call__(self, given):
        print("CALLED")
        os.write(1, b"WRITTEN")
        return super().__call__(given)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ("explain", "momentum-zero-keeps-the-old-statistics"),
        ("fuzz", "--time", "2", "--save", "saved", "--seed", "1", "--json"),
    ],
)
def test_what_a_target_prints_is_not_in_the_result(tmp_path, arguments):
    """On standard output there is the result alone, whatever a target does to print."""
    (tmp_path / "talks.py").write_text(TALKS)
    done = subprocess.run(
        [sys.executable, "-m", "harness", *arguments, "--target", "talks.py:Talks"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    said = ("IMPORTED", "CALLED", "WRITTEN")
    assert done.stdout
    assert [word for word in said if word in done.stdout] == []
    assert [word for word in said if word not in done.stderr] == []
    assert not (tmp_path / ".hypothesis").exists()


ENDS = """
import os
import time
from harness.reference import BatchNorm2d

class Aborts(BatchNorm2d):
    def __call__(self, given):
        os.abort()

class Hangs(BatchNorm2d):
    def __call__(self, given):
        time.sleep(60)
"""


@pytest.mark.parametrize(
    ("name", "reason"),
    [("Aborts", "the process ended with SIGABRT"), ("Hangs", "there is no result after 2 s")],
)
def test_a_target_that_crashes_or_hangs_is_not_explained(bn, tmp_path, monkeypatch, name, reason):
    """Explain lives on, and says by which command the verdict is found: exit 2."""
    (tmp_path / "ends.py").write_text(ENDS)
    monkeypatch.chdir(tmp_path)
    case, target = "momentum-true-is-one", ("--target", f"ends.py:{name}")
    code, out, err = bn("explain", case, *target, "--timeout", "2")

    assert (code, out) == (2, "")
    assert err.startswith(f"there is nothing to explain: {reason}; who is to blame: bn-harness run")
    assert f"cases/edge/momentum.yaml::{case} --target ends.py:{name} --against torch" in err


def test_the_version_is_the_packages(bn):
    """--version prints the version and exits with 0."""
    code, out, _ = bn("--version")

    assert (code, out.split()[0]) == (0, "bn-harness,")


@pytest.mark.parametrize("arguments", [["rum"], ["--nonsense"], ["schema", "cake"], ["schema"]])
def test_wrong_verbs_and_options_exit_with_2(bn, arguments):
    """What click refuses is told on standard error, without a traceback."""
    code, out, err = bn(*arguments)

    assert (code, out) == (2, "")
    assert "Error: " in err
    assert "Traceback" not in err


def test_an_interruption_exits_with_130(bn, monkeypatch):
    """Ctrl-C outside of a run says so and exits with 130."""

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(click.Group, "invoke", interrupt)
    code, _, err = bn("targets")

    assert code == 130
    assert "interrupted" in err
    assert "Traceback" not in err


def test_check_counts_valid_cases(bn, tmp_path):
    """A valid file is said to be, with how many cases it holds."""
    (tmp_path / "good.yaml").write_text(
        "- {id: one, why: it is., module: {num_features: 1}, steps: [{call: deepcopy}]}\n"
    )
    code, out, err = bn("check", str(tmp_path / "good.yaml"))

    assert (code, err) == (0, "")
    assert "1 case in 1 file" in out


ONE = "- {id: one, why: it is., module: {num_features: 1}, steps: [{call: deepcopy}]}\n"


@pytest.mark.parametrize("content", ["", "# - id: one\n", "[]\n"])
def test_check_names_files_without_cases(bn, tmp_path, content):
    """A file without cases is told beside others, and is a mistake alone, as for 'run'."""
    (tmp_path / "good.yaml").write_text(ONE)
    empty = tmp_path / "empty.yaml"
    empty.write_text(content)
    beside, alone = bn("check", str(tmp_path)), bn("check", str(empty), "--json")
    said = f"{empty}:1:1: there are no cases; begin each with '- id:'"

    assert (beside[0], beside[2]) == (0, f"{said}\n")
    assert (alone[0], json.loads(alone[1])) == (2, {"mistakes": [said]})


def test_check_tells_known_divergences_of_no_case(bn, tmp_path, monkeypatch):
    """An entry speaks of a case of the folder, or of the suite, or is a mistake with its place."""
    (tmp_path / "mine.yaml").write_text(ONE)
    entry = "- {{target: a, case: {}, quantity: '*', reason: it is., link: there}}\n"
    cases = ("one", "momentum-*", "two")
    (tmp_path / "known.yaml").write_text("".join(map(entry.format, cases)))
    monkeypatch.chdir(tmp_path)
    said = "known.yaml:3:3: no case matches two; correct or remove it\n"

    assert bn("check", ".") == (2, "", said)
    assert bn("check", "cases/seed", "--known", "known.yaml")[0] == 2


def test_a_name_that_the_suite_has_too_is_told(bn, tmp_path, monkeypatch):
    """Who has a folder of a name that the suite has learns which of the two is read."""
    (tmp_path / "cases/edge").mkdir(parents=True)
    (tmp_path / "cases/edge/new.yaml").write_text(ONE)
    monkeypatch.chdir(tmp_path)
    code, out, err = bn("check", "cases/edge", "cases/seed")

    assert (code, out) == (0, "6 cases in 2 files: valid\n")
    assert err == f"cases/edge: read from this folder; the suite's own is {ROOT}/cases/edge\n"


def test_check_says_it_to_machines_too(bn, tmp_path):
    """With --json the counts, or the located mistakes, are the result."""
    path = tmp_path / "bad.yaml"
    path.write_text("- {id: one, wy: it is., module: {num_features: 1}, steps: []}\n")
    good, bad = bn("check", "cases/seed", "--json"), bn("check", str(path), "--json")
    gone = bn("check", str(tmp_path / "gone.yaml"), "--json")
    assert (good[0], json.loads(good[1])) == (0, {"cases": 5, "files": 1, "mistakes": []})
    assert (bad[0], json.loads(bad[1])["mistakes"]) == (2, bad[2].splitlines())
    assert (gone[0], json.loads(gone[1])["mistakes"]) == (2, gone[2].splitlines())


def test_check_locates_mistakes(bn, tmp_path):
    """An invalid file exits with 2 and tells the place of each mistake."""
    path = tmp_path / "bad.yaml"
    path.write_text("- {id: one, wy: it is., module: {num_features: 1}, steps: []}\n")
    code, out, err = bn("check", str(path))

    assert (code, out) == (2, "")
    assert f"{path}:1:" in err


def test_targets_are_listed(bn):
    """The built-in targets are listed, and that others can be named."""
    code, out, _ = bn("targets")
    _, plain, _ = bn("targets", "--json")

    assert code == 0
    assert "path/to/file.py:Class" in out
    assert [row["target"] for row in json.loads(plain)][:3] == [
        "torch",
        "torch:device=cuda",
        "reference",
    ]


def test_a_registered_target_that_is_broken_is_listed_as_such(bn, monkeypatch):
    """One package's entry point that cannot be imported does not hide the other targets."""
    broken = EntryPoint("broken", "nowhere:Nobody", "bn_harness.targets")
    for module in ("cli.targets", "targets.spec"):
        monkeypatch.setattr(f"harness.{module}.entry_points", lambda **_: [broken])
    code, out, _ = bn("targets")

    assert code == 0
    assert re.search(r"^broken +nowhere:Nobody \(absent: cannot be imported: Module", out, re.M)


@pytest.mark.parametrize(
    ("what", "committed"),
    [("case", ROOT / "cases/schema.json"), ("report", ROOT / "reports/report.schema.json")],
)
def test_printed_schemas_are_the_committed_ones(bn, what, committed):
    """What ``schema`` prints is what lies in the repository."""
    if not committed.exists():
        pytest.skip(f"{committed.name} is written by bn-harness report")
    code, out, _ = bn("schema", what)

    assert code == 0
    assert json.loads(out) == json.loads(committed.read_text())


LIGHT = """
import sys
from harness.cli import main
try:
    main({arguments})
except SystemExit as ended:
    assert ended.code == 0, ended.code
heavy = {{"torch", "harness.targets.native", "harness.runner", "pebble"}} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.parametrize(
    "arguments", [["run", "--help"], ["schema", "report"], ["check", "cases/seed"]]
)
def test_what_runs_no_case_does_not_import_torch(arguments):
    """Help, schemas and validation start without torch and without worker processes."""
    ended = subprocess.run(  # this Python
        [sys.executable, "-c", LIGHT.format(arguments=arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )

    assert (ended.returncode, ended.stderr) == (0, "")


def test_each_accuracy_class_can_be_asked_for():
    """The classes that options name are those of the oracle, from the strictest."""
    assert tuple(ACCURACIES) == CLASSES


def test_no_colour_without_a_terminal():
    """What goes to a pipe or file has no escape codes."""
    result = CliRunner().invoke(cli, ["--help"])

    assert result.exit_code == 0
    assert "\x1b" not in result.output
