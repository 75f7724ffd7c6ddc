"""What docs/targets.md shows works as it says."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
import torch

import harness
from harness.errors import InvalidInput
from harness.targets import resolve

torch.set_num_threads(1)

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "targets.md").read_text(encoding="utf-8")


@cache
def shown():
    """Return what the snippets define."""
    names = {}
    for snippet in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        exec(snippet, names)  # noqa: S102  # the documentation's own
    return names


def test_the_module_conforms(monkeypatch):
    """The module that is shown is a drop-in, and so says the test that is shown."""
    monkeypatch.chdir(ROOT)

    assert shown()["test_drop_is_a_drop_in"]() is None


def test_the_array_class_is_wrong_in_one_place():
    """The array class that is shown diverges in running_var alone, wherever it is supported."""
    report = harness.run(
        [ROOT / "cases/seed", ROOT / "cases/edge/momentum.yaml"], [shown()["Tiny"]]
    )
    results = [each for case in report.cases for each in case.results.values()]
    found = {
        each.quantity
        for result in results
        for each in result.divergences
        if each.aspect == "value" and each.culprit == "target"
    }

    assert found == {"running_var"}
    assert any(result.verdict == "unsupported" for result in results)


@pytest.mark.parametrize("name", re.findall(r"^\| `((?:torch|reference)[\w:=]*)` \|", TEXT, re.M))
def test_the_names_are_targets(name):
    """Every name in the table is one that --target takes."""
    assert resolve(name).info.name == name


def test_a_name_that_is_not_registered_is_refused():
    """The registered name that is shown is none until a package registers it."""
    with pytest.raises(InvalidInput, match="no such target"):
        resolve("mine")
