"""Planted mistakes are caught, sound variants are not blamed."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
import torch

from harness.adequacy.campaign import select
from harness.adequacy.catalogue import planted, sound
from harness.adequacy.trial import Trial
from harness.case.files import shipped
from harness.case.model import Case
from harness.case.suite import load
from harness.oracle.worst import Held

torch.set_num_threads(1)

REPORT = Path(__file__).parents[2] / "reports" / "adequacy.json"
SOUND = frozenset(each.name for each in sound())

NEAR_ONE = Case.model_validate(
    {
        "id": "near-one",
        "why": "An eval step has no sums: its bound is a few ulps.",
        "module": {"num_features": 2},
        "steps": [{"eval": {"input": {"shape": [2, 2, 3, 3], "fill": "normal"}}}],
    }
)


@pytest.fixture(scope="module")
def trial():
    """Return the variants as targets."""
    return Trial()


@cache
def cases_of(file):
    """Return the cases of a file of the suite, by id."""
    path = shipped() / Path(file).relative_to("cases")
    return {case.id: case for _, case in load([path]).cases()}


@cache
def smallest():
    """Return file and id of the smallest case that catches each mistake, by the report."""
    report = json.loads(REPORT.read_text(encoding="utf-8"))
    return {each["name"]: each["smallest"] for each in report["planted"]}


@pytest.mark.parametrize("variant", planted(), ids=lambda each: each.name)
def test_every_mistake_is_caught(trial, variant):
    """The case that the committed report names catches the mistake, and blames the target."""
    place = smallest()[variant.name]
    finding = trial.run(cases_of(place["file"])[place["id"]], {variant.name})

    assert finding.caught == (variant.name,)


def test_the_report_is_about_the_catalogue():
    """The committed report has an entry for each planted mistake, and for nothing else."""
    assert list(smallest()) == [each.name for each in planted()]


@pytest.mark.parametrize(
    "file",
    [
        "edge/special-values.yaml",
        "edge/modes.yaml",
        "edge/gradients.yaml",
        "edge/cancellation.yaml",
    ],
)
def test_no_sound_variant_is_blamed_by_hand_written_cases(trial, file):
    """Implementations that only compute in another way agree with every case of a file."""
    findings = [trial.run(each.case, SOUND) for each in select(load([shipped() / file]))]

    assert [each.id for each in findings if each is not None and each.blamed] == []


@pytest.mark.parametrize("file", ["numerics", "gradients", "momentum"])
def test_no_sound_variant_is_blamed_by_matrices(trial, file):
    """Implementations that only compute in another way agree with a sample of every matrix."""
    chosen = select(load([shipped() / "core" / f"{file}.yaml"]), 30)
    findings = [trial.run(each.case, SOUND) for each in chosen]

    assert [each.id for each in findings if each is not None and each.blamed] == []


def test_tolerances_a_hundred_times_wider_let_mistakes_through(trial, monkeypatch):
    """The bounds are not generous: a hundred times wider they miss an error of one in a million."""
    mistake = {"RsqrtOffByMillionth"}
    strict = trial.run(NEAR_ONE, mistake)
    ratio = Held.ratio
    monkeypatch.setattr(Held, "ratio", lambda held: ratio(held) / 100)
    loose = trial.run(NEAR_ONE, mistake)

    assert (strict.caught, loose.caught) == (tuple(mistake), ())
