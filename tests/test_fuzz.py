"""The search finds planted mistakes, makes them small, and keeps them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import harness
from harness.case.files import shipped
from harness.case.suite import load
from harness.cli import cli
from harness.fuzz import Search, save

torch.set_num_threads(1)

PLANTED = '''
from harness.reference import BatchNorm2d

class Forgets(BatchNorm2d):
    """Forgets the last of three channels after the second reset."""

    resets = 0

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.resets = 0

    def reset_running_stats(self):
        super().reset_running_stats()
        self.resets += 1

    def __call__(self, given):
        statistics = [each for each in (self.running_mean, self.running_var) if each is not None]
        kept = [each[2:3].copy() for each in statistics]
        output = super().__call__(given)
        if self.resets >= 2 and self.num_features == 3:
            for each, old in zip(statistics, kept):
                each[2:3] = old
        return output

class Evaluates(BatchNorm2d):
    """Adds one in evaluation, where there are no running statistics."""

    def __call__(self, given):
        output = super().__call__(given)
        return output if self.training or self.running_mean is not None else output + 1

class Careless(BatchNorm2d):
    """Refuses by errors of its own."""

    def __call__(self, given):
        try:
            return super().__call__(given)
        except Exception:
            raise KeyError("no") from None

'''


@pytest.fixture
def planted(tmp_path):
    """Return the SPECs of three planted mistakes."""
    file = tmp_path / "planted.py"
    file.write_text(PLANTED)
    return {name.lower(): f"{file}:{name}" for name in ("Forgets", "Evaluates", "Careless")}


def bn_harness(*arguments):
    """Return exit code and standard output of the command line."""
    result = CliRunner().invoke(cli, [str(each) for each in arguments])
    return result.exit_code, result.stdout


def verdicts(file, spec):
    """Return the verdict of each case of a file for a target."""
    report = harness.run(file, [spec])
    return [each.verdict for case in report.cases for each in case.results.values()]


def test_rare_mistake(planted, tmp_path):
    """A mistake that takes two resets and three channels is found and is three steps long."""
    search = Search([planted["forgets"]], seed=2)
    find = save(search.run(60), tmp_path / "found")
    (case,) = (case for _, case in load([find.file]).cases())
    diverging = harness.run(find.file, [planted["forgets"]])[case.id].results[planted["forgets"]]

    assert len(case.steps) <= 4
    assert [step.kind for step in case.steps] == ["call", "call", "train"]
    assert case.module.num_features == 3
    assert diverging.verdict == "diverge"
    assert harness.run(find.file, ["reference"])[case.id].results["reference"].verdict == "agree"


def test_saved_cases_come_first(planted, tmp_path):
    """A second search ends at the case that the first one saved, without a search."""
    arguments = ("fuzz", "--target", planted["evaluates"], "--save", tmp_path / "found")
    first = json.loads(bn_harness(*arguments, "--seed", 1, "--json")[1])
    code, output = bn_harness(*arguments, "--seed", 2, "--json")
    second = json.loads(output)

    assert first["tried"] > second["tried"] == 0
    assert code == 1
    assert Path(second["find"]["file"]).resolve() == Path(first["find"]["file"]).resolve()


def test_what_is_known_is_passed_over(planted, tmp_path):
    """A saved case that known.yaml beside it lists does not end the search."""
    folder = tmp_path / "found"
    arguments = ("fuzz", "--target", planted["evaluates"], "--save", folder)
    found = json.loads(bn_harness(*arguments, "--seed", 1, "--json")[1])["find"]
    (folder / "known.yaml").write_text(
        f"- {{target: '*', case: {found['id']}, quantity: output, reason: so., link: there}}\n"
    )

    assert bn_harness(*arguments, "--time", 0)[0] == 0


def test_memory(planted, tmp_path):
    """A search that remembers an earlier one starts from what it found."""
    first = Search([planted["evaluates"]], seed=1, memory=tmp_path / "memory")
    find = first.run(60)
    second = Search([planted["evaluates"]], seed=99, memory=tmp_path / "memory")

    assert second.run(60).case == find.case
    assert second.found_after == 1 < first.found_after


def test_same_seed(planted):
    """The same seed finds the same case in as many tries."""
    one, other = (Search([planted["evaluates"]], seed=1) for _ in range(2))

    assert one.run(60).case == other.run(60).case
    assert one.tried == other.tried


def test_nothing_found():
    """Torch does not diverge from itself, and the count is of distinct cases."""
    search = Search(["torch"], seed=4)
    counts = []
    search.listener = counts.append

    assert search.run(1) is None
    assert counts == list(range(1, search.tried + 1))


def test_legal_cases_have_no_errors(planted, tmp_path):
    """A target that is wrong in its refusals alone is passed by a search of legal cases."""
    search = ("fuzz", "--target", planted["careless"], "--time", 4, "--seed", 1, "--save", tmp_path)

    assert bn_harness(*search, "--legal")[0] == 0
    assert bn_harness(*search)[0] == 1


def test_found_case_reads_well(planted, tmp_path):
    """The command line says what diverges, where it is saved and how to see it again: exit 1."""
    code, output = bn_harness(
        "fuzz", "--target", planted["evaluates"], "--save", tmp_path / "found", "--seed", 1
    )
    (file,) = (tmp_path / "found").iterdir()
    text = file.read_text()

    assert code == 1
    assert output.startswith(
        f"DIVERGE {planted['evaluates']}: {file.stem}\n  step 1 (eval): output"
    )
    assert f"saved: {file}" in output
    assert "distinct cases" in output
    assert text.startswith(f"- id: {file.stem}\n  why: 'Found by fuzz: step 1 (eval): output")
    assert "Say which fact it shows." in text
    assert verdicts(file, planted["evaluates"]) == ["diverge"]


def test_no_time(tmp_path):
    """Without time nothing is tried and nothing diverges: exit 0."""
    code, output = bn_harness("fuzz", "--target", "reference", "--save", tmp_path, "--time", 0)

    assert code == 0
    assert output.startswith("tried 0 distinct cases")


def test_mistakes_in_saved_cases(tmp_path):
    """A saved file with a mistake is told as any case file's."""
    (tmp_path / "mine.yaml").write_text("- id: one\n  wy: typo\n  module: {num_features: 1}\n")
    result = CliRunner().invoke(cli, ["fuzz", "--target", "reference", "--save", str(tmp_path)])

    assert "mine.yaml:2:3: " in str(result.exception)


def test_regressions_are_explained():
    """No committed case has the words that the search leaves for a person to replace."""
    files = list(shipped().rglob("*.yaml"))

    assert files
    assert [file.name for file in files if "Say which fact it shows" in file.read_text()] == []
