import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness.case.suite import load

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    """Return the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def lines(text):
    """Return the lines of a text, without the padding of tables."""
    return [line.rstrip() for line in text.strip().splitlines()]


@pytest.mark.parametrize("block", blocks("console"))
def test_a_command_prints_what_the_readme_shows(block):
    """Each command of the README prints the lines that stand below it."""
    command, _, output = block.removeprefix("$ ").partition("\n")
    words = shlex.split(command)
    assert words[0] == "bn-harness"
    done = subprocess.run(
        [sys.executable, "-m", "harness", *words[1:]],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    printed = lines(done.stdout) or lines(done.stderr)

    assert printed == lines(output)


@pytest.mark.parametrize("block", blocks("python"))
def test_python_in_the_readme_runs(block, monkeypatch):
    """Each Python snippet of the README runs in a clone."""
    monkeypatch.chdir(ROOT)

    exec(block, {})  # noqa: S102  # the README's own words


@pytest.mark.parametrize("block", blocks("yaml"))
def test_the_case_of_the_readme_conforms(block, tmp_path):
    """The case that the README adds is valid, and both implementations agree on it."""
    file = tmp_path / "new.yaml"
    file.write_text(block, encoding="utf-8")
    report = harness.run(file)

    assert [case.results["reference"].verdict for case in report.cases] == ["agree"]


def test_ci_calls_the_readme_s_test_command():
    """CI sets up and tests by the very command that the README gives."""
    (command,) = [block.strip() for block in blocks("sh") if block.strip().endswith("tox run")]

    assert command in lines((ROOT / ".ci/run").read_text(encoding="utf-8"))


@pytest.mark.parametrize("environment", ["report", "lint", "types"])
def test_tox_knows_what_the_documents_name(environment):
    """The environments of tox that the documents name exist."""
    settings = (ROOT / "tox.ini").read_text(encoding="utf-8")

    assert f"[testenv:{environment}]" in settings


def test_links_of_the_readme_lead_somewhere():
    """Each file that the README links to exists."""
    links = re.findall(r"\]\(([^):]+)\)", README)

    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_number_of_cases_in_the_readme_is_honest():
    """The README says no more cases than the suite has."""
    said = int(re.search(r"runs ([\d,]+) cases", README)[1].replace(",", ""))

    assert said <= sum(1 for _ in load().cases())
