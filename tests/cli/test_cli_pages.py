"""Pages and explanations from the command line."""

from __future__ import annotations

import json

import pytest
import torch
from page_data import data

from harness.case.suite import load
from harness.cli import main

torch.set_num_threads(1)

CASES = """
- id: mine
  why: it is short.
  module: {num_features: 2, affine: false}
  steps: [{train: {input: {shape: [4, 2, 3, 3], fill: normal, seed: 1}}}]
"""
WRONG = """
from harness.reference import BatchNorm2d

class Wrong(BatchNorm2d):
    def __call__(self, given):
        return super().__call__(given) * 2
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Stand in a folder with a case and a wrong target."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cases.yaml").write_text(CASES)
    (tmp_path / "wrong.py").write_text(WRONG)
    return tmp_path


def ended(*arguments):
    """Return the status with which a command line ends."""
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    return end.value.code


def test_run_writes_a_page(folder):
    """With --html the page is written, whatever the verdict, and has the case's YAML."""
    status = ended("run", "cases.yaml", "--target", "wrong.py:Wrong", "--html", "new/page.html")
    page = (folder / "new" / "page.html").read_text()
    (detail,) = data(page)["details"].values()

    assert status == 1
    assert "✗ diverges" in page
    assert "why: it is short." in detail["yaml"]


def test_run_prints_markdown_for_a_job(capsys):
    """With --format markdown standard output is Markdown with what failed."""
    status = ended("run", "cases.yaml", "--target", "wrong.py:Wrong", "--format", "markdown")
    out = capsys.readouterr().out

    assert status == 1
    assert out.startswith("# Conformance")
    assert "\n    DIVERGE wrong.py:Wrong: mine  (cases.yaml:2)\n" in out


@pytest.mark.parametrize(
    ("form", "start"), [("text", "mine\n===="), ("markdown", "# mine"), ("html", "<h2>mine</h2>")]
)
def test_explain_prints_each_form(capsys, form, start):
    """The explanation goes to standard output, with the status 0 for a wrong target too."""
    arguments = ["cases.yaml::mine", "--target", "wrong.py:Wrong", "--format", form]

    assert ended("explain", *arguments) == 0
    assert capsys.readouterr().out.startswith(start)


def test_explain_prints_json(capsys):
    """With --json the explanation is one document on standard output."""
    status = ended("explain", "cases.yaml::mine", "--target", "wrong.py:Wrong", "--json")

    assert status == 0
    assert json.loads(capsys.readouterr().out)["result"]["verdict"] == "diverge"


@pytest.mark.parametrize(
    "arguments",
    [
        ["cases.yaml::other"],
        ["none.yaml::mine"],
        ["cases.yaml::mine", "--target", "x"],
        ["cases.yaml::mine", "--json", "--format", "html"],
    ],
)
def test_explain_of_what_is_not_there_ends_with_2(capsys, arguments):
    """A case, a file or a target that is not there is one message on standard error."""
    assert ended("explain", *arguments) == 2
    out, err = capsys.readouterr()

    assert out == ""
    assert err.strip()


def test_report_writes_page_and_badge(folder, monkeypatch):
    """What is committed has the page and the badge beside the JSON."""
    suite = load(["cases.yaml"])
    monkeypatch.setattr("harness.case.suite.load", lambda: suite)
    ended("report", "-o", "out", "-j", "1")
    written = {path.name for path in (folder / "out").iterdir()}

    assert {"conformance.json", "index.html", "badge.svg"} <= written
    assert "BatchNorm2d: conforms" in (folder / "out" / "badge.svg").read_text()
