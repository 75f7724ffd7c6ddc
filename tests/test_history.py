"""Torch through time: which differences between two traces are told, and how."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from harness.case import needs
from harness.case.model import Case
from harness.case.suite import load
from harness.cli import cli
from harness.errors import InvalidInput
from harness.history import differences, history, markdown
from harness.reference import BatchNorm2d
from harness.targets import resolve

torch.set_num_threads(1)

ROOT = Path(__file__).parents[1]
WORKER = f"{shlex.quote(sys.executable)} {ROOT}/harness/workers/torch_worker.py"
INPUT = {"shape": [4, 2, 3, 3], "fill": "normal", "seed": 1}
CASES = """
- id: large
  why: the same as the small one, on more data.
  module: {num_features: 2}
  steps: [{train: {input: {shape: [8, 2, 3, 3], fill: normal, seed: 1}}}]
- id: small
  why: the same on less data.
  module: {num_features: 2}
  steps: [{train: {input: {shape: [4, 2, 3, 3], fill: normal, seed: 1}}}]
- id: constant
  why: the smallest that shows it.
  module: {num_features: 1, affine: false}
  steps: [{train: {input: {shape: [2, 1, 1, 1], fill: ones}}}]
"""


class Biased(BatchNorm2d):
    """Keeps the biased variance."""

    def __call__(self, input):
        """Normalise, and halve the variance that is kept."""
        output = super().__call__(input)
        if self.training and self.running_var is not None:
            self.running_var *= 0.5
        return output


class Strict(BatchNorm2d):
    """Refuses what others take."""

    def __call__(self, input):
        """Refuse."""
        del input
        raise ValueError("not today")


def case(*steps, **module):
    """Return a case of a module with two channels."""
    module = {"num_features": 2, **module}
    return Case.model_validate({"id": "a", "why": "b.", "module": module, "steps": list(steps)})


@pytest.fixture
def suite(tmp_path):
    """Return three cases."""
    (tmp_path / "cases.yaml").write_text(CASES)
    return load([tmp_path / "cases.yaml"])


def test_a_change_names_the_smallest_case_and_who_is_more_accurate(suite):
    """A wrong running variance is one change, in all cases, shown by the smallest, and worse."""
    found = history(suite, [("old", resolve(BatchNorm2d)), ("new", resolve(Biased))]).document()

    (digits,) = (each for each in found["changes"] if each["what"] == "running_var: digits")
    assert (digits["since"], digits["before"]) == ("new", "old")
    assert digits["case"].endswith("::constant")
    assert (digits["cases"], digits["farther"], digits["accuracy"]) == (3, 3, "worse")
    assert found["accuracy"]["old"]["running_var"] != found["accuracy"]["new"]["running_var"]


def test_a_new_error_is_a_change_and_ends_the_comparison(suite):
    """Where one version raises, the error is told and nothing that follows from it."""
    found = history(suite, [("old", resolve(BatchNorm2d)), ("new", resolve(Strict))]).document()

    told = [(each["what"], each["old"], each["new"]) for each in found["changes"]]
    error = "ValueError: not today"
    assert told == [(f"error: no error → {error}", "no error", error)]


def test_equal_versions_have_no_history(suite):
    """The same implementation twice has changed nothing."""
    twice = [(name, resolve(BatchNorm2d)) for name in ("old", "new")]

    assert history(suite, twice).document()["changes"] == []


def test_a_value_that_becomes_zero_is_told_as_such():
    """A difference of kind, zero or not a number, is another change than one of digits."""
    target = resolve(BatchNorm2d)
    zero, number = (
        target.execute(case({"eval": {"input": {"shape": [2, 2, 1, 1], "fill": fill}}}))
        for fill in ("zeros", "ones")
    )
    (difference,) = differences(zero, number)

    assert (difference.what, difference.old) == ("output: zero → number", "0")


def test_one_version_is_refused(suite):
    """A history of one version has nothing to tell."""
    with pytest.raises(InvalidInput, match="at least two versions"):
        history(suite, [("only", resolve(BatchNorm2d))])


def test_the_verb_writes_both_files(tmp_path, suite):
    """bn-harness versions runs workers and writes versions.json and versions.md."""
    del suite
    cases, workers = str(tmp_path / "cases.yaml"), []
    for name in ("a", "b"):
        workers += ["--worker", f"{name}={WORKER}"]
    done = CliRunner().invoke(cli, ["versions", cases, *workers, "-o", str(tmp_path)])

    assert (done.exit_code, done.stdout) == (0, "0 changes\n")
    document = json.loads((tmp_path / "versions.json").read_text())
    assert list(document["versions"]) == ["a", "b"]
    assert (tmp_path / "versions.md").read_text() == "\n".join(markdown(document))


@pytest.mark.parametrize("value", ["1.8.1", "=x", "1.8.1="])
def test_a_worker_without_name_or_command_is_wrong_usage(value):
    """--worker needs a version and a command."""
    done = CliRunner().invoke(cli, ["versions", "--worker", value])

    assert done.exit_code == 2
    assert "as 1.8.1=COMMAND" in done.stderr


@pytest.mark.parametrize(
    ("asked", "since"),
    [
        (case({"train": {"input": INPUT}}), None),
        (case(dtype="bfloat16"), "1.13"),
        (case({"cast": "float16"}), "2.2"),
        (case({"cast": "int32"}), None),
        (case({"train": {"input": {**INPUT, "dtype": "bfloat16"}}}), "1.13"),
        (case({"train": {"input": {**INPUT, "layout": "channels_last"}}}), "1.10"),
        (case({"eval": {"input": INPUT}}, dtype="float16", bias=False), "2.12"),
    ],
)
def test_what_a_case_uses_says_since_when_it_holds(asked, since):
    """Types, layouts and arguments that old torch lacks are found wherever a case names them."""
    assert needs.since(asked) == since
