"""What docs/bring-your-own.md shows works as it says, for each of its readers."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import harness
from harness.cli import cli

torch.set_num_threads(1)

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs/bring-your-own.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder with the files that are shown, where the reader works."""
    for snippet in SNIPPETS:
        named = re.match(r"# (\w+\.py)\n", snippet)
        (tmp_path / (named[1] if named else "test_mine.py")).write_text(snippet)
    (tmp_path / "cases").symlink_to(ROOT / "cases")
    for name in ("examples", "harness"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_module_conforms(folder):
    """The module that is shown agrees on every edge case of the counter."""
    report = harness.run(folder / "cases/edge/counter.yaml", targets=["mine.py:Mine"])

    assert report.summary["mine.py:Mine"].agree == report.summary["mine.py:Mine"].cases


@pytest.mark.usefixtures("folder")
def test_the_outputs_of_the_array_class_are_judged():
    """The inference class that is shown lacks gradients, and its outputs hold what is said."""
    (command,) = re.findall(r"^    bn-harness (run .*Inference)$", TEXT, re.M)
    done = CliRunner().invoke(cli, [*shlex.split(command), "--sample", "60", "--json"])
    report = json.loads(done.stdout)

    assert done.exit_code == 0
    assert report["summary"]["inference.py:Inference"]["unsupported"] == 60
    assert report["summary"]["inference.py:Inference"]["accuracy"]["output"] == "wide"


@pytest.mark.parametrize("command", re.findall(r"^    bn-harness (run .*exec:.*)$", TEXT, re.M))
def test_the_workers_conform(folder, command):
    """The commands with workers that are shown run, and find nothing."""
    if "node" in command and shutil.which("node") is None:
        pytest.skip("there is no node")
    words = shlex.split(command.replace("python3.8", shlex.quote(sys.executable)))
    done = CliRunner().invoke(cli, [*words, str(folder / "cases/edge/running-statistics.yaml")])

    assert done.exit_code == 0, done.output


def test_the_test_passes(folder, pytester):
    """The test that is shown passes under pytest."""
    (pytester.path / "cases").symlink_to(ROOT / "cases")
    pytester.makepyfile(mine=(folder / "mine.py").read_text())
    pytester.makepyfile(test_mine=(folder / "test_mine.py").read_text())

    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)
