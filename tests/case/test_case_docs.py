"""The page on the case format shows cases that are ones, and mistakes as they are told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from reading import items, mistakes

import harness
from harness.case.axes import Axes
from harness.case.model import STEPS, Case, Expectation, ModuleConfig, State
from harness.case.suite import Matrix

torch.set_num_threads(1)

PAGE = (Path(__file__).parents[2] / "docs" / "case-format.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
(WRONG,) = [text for kind, text in BLOCKS if kind == "text"]
(TOLD,) = [text for kind, text in BLOCKS if kind == "console"]


def agreed(case):
    """Whether both implementations do what the case says."""
    return all(each.verdict == "agree" for each in case.results.values())


@pytest.mark.parametrize("text", [text for kind, text in BLOCKS if kind == "yaml"])
def test_example(text, tmp_path):
    """Each example of the page is a case or a matrix without mistakes, and what torch does."""
    (tmp_path / "example.yaml").write_text(text)
    report = harness.run(tmp_path / "example.yaml", ["torch", "reference"])

    assert len(items(text)) == 1
    assert [(case.id, case.results) for case in report.cases if not agreed(case)] == []


def test_mistakes():
    """The messages of the page are those of its file."""
    assert [f"mine.yaml:{found}" for found in mistakes(WRONG)] == TOLD.splitlines()


@pytest.mark.parametrize("model", [Case, ModuleConfig, State, Expectation, Matrix, Axes])
def test_every_key(model):
    """The page names every key."""
    assert [key for key in model.model_fields if f"`{key}" not in PAGE] == []


def test_every_step():
    """The page names every kind of step."""
    assert [kind for kind in STEPS if f"`{kind}: " not in PAGE] == []
