"""Campaigns: which cases meet which variants, and what is told of it."""

from __future__ import annotations

import json

import pytest
import torch
from click.testing import CliRunner

from harness.adequacy.campaign import ENOUGH, run, select
from harness.adequacy.catalogue import planted, sound
from harness.adequacy.scores import Scores
from harness.adequacy.text import to_markdown
from harness.adequacy.trial import Finding
from harness.case.suite import load
from harness.cli import cli
from harness.errors import InvalidInput

torch.set_num_threads(1)

BY_HAND = """
- id: by-hand
  why: Two steps of two values.
  module: {num_features: 1}
  steps:
    - eval: {input: {values: [[[[1, 2]]]]}, repeat: 2}
"""
MATRIX = """
- id: crossed
  why: Four cases.
  matrix:
    shape: [[2, 1, 1, 1]]
    momentum: [0.1, 0.2]
    affine: [true, false]
    sequence: [T]
    fill: normal
"""


@pytest.fixture
def suite(tmp_path, monkeypatch):
    """Return a suite of a hand-written case and a matrix of four."""
    (tmp_path / "small.yaml").write_text(MATRIX + BY_HAND)
    monkeypatch.chdir(tmp_path)
    return load(["small.yaml"])


def fresh():
    """Return the scores before the first case."""
    return Scores.of(planted(), sound())


def test_hand_written_cases_come_first(suite):
    """Hand-written cases are few and small: they come before those of matrices."""
    assert [each.matrix for each in select(suite)] == [False, True, True, True, True]


def test_a_sample_is_one_of_matrix_cases(suite):
    """A sample takes the hand-written cases all the same."""
    assert [each.matrix for each in select(suite, 2)] == [False, True, True]


def test_hand_written_cases_can_be_left_out(suite):
    """What matrices alone catch is what a suite without hand-written cases would be worth."""
    assert [each.matrix for each in select(suite, 2, matrices_only=True)] == [True, True]


def test_nothing_selected_is_an_error(tmp_path):
    """A campaign without cases says so, in place of that everything survives."""
    (tmp_path / "hand.yaml").write_text(BY_HAND)

    with pytest.raises(InvalidInput, match="no case is selected"):
        select(load([tmp_path / "hand.yaml"]), matrices_only=True)


def test_a_mistake_is_dropped_once_caught_often_enough():
    """A mistake that enough cases have caught is spared further ones; a sound variant never is."""
    scores, names = fresh(), (planted()[0].name, sound()[0].name)
    for number in range(ENOUGH):
        finding = Finding(f"case-{number}", 3 - number, names[:1], names[1:])
        scores.add(finding, "f.yaml", matrix=True, wanted=frozenset(names))
    wanted = scores.wanted(ENOUGH)

    assert names[0] not in wanted
    assert names[1] in wanted


def test_the_smallest_case_is_remembered():
    """Of all catching cases the report names the one with the fewest elements."""
    scores, name = fresh(), planted()[0].name
    for number in range(ENOUGH):
        finding = Finding(f"case-{number}", 3 - number, (name,), ())
        scores.add(finding, "f.yaml", matrix=False, wanted=frozenset([name]))

    assert scores.planted[name].smallest == (1, "case-2", "f.yaml")


def test_the_report_has_every_variant(suite):
    """Markdown and JSON speak of every variant, and the survivors are those without a case."""
    scores = run(select(suite, 1))
    plain, text = json.loads(scores.to_json()), to_markdown(scores)
    survivors = [each["name"] for each in plain["planted"] if each["smallest"] is None]

    assert plain["survivors"] == survivors
    assert all(f"`{each.name}`" in text for each in (*planted(), *sound()))
    assert plain["blamed"] == []


@pytest.mark.usefixtures("suite")
def test_survivors_are_an_error_on_the_command_line():
    """With a suite too small the command names the survivors and exits with 1."""
    result = CliRunner().invoke(cli, ["adequacy", "small.yaml", "--sample", "1"])

    assert result.exit_code == 1
    assert "survives: harness.adequacy.planted.momentum:FalsyMomentum: " in result.stdout
