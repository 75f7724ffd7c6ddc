"""The JSON Schema of case files accepts and refuses what the reader does."""

from __future__ import annotations

import json

import jsonschema
import pytest
from reading import HEAD, mistakes, value

from harness.case.files import shipped
from harness.case.suite import schema

VALIDATOR = jsonschema.Draft202012Validator(schema())
STEP = HEAD + "  steps:\n    - "
MATRIX = "- id: a\n  why: because.\n  matrix:\n    "


def test_valid_schema():
    """The schema is strict JSON and a JSON Schema of 2020-12."""
    json.dumps(schema(), allow_nan=False)

    jsonschema.Draft202012Validator.check_schema(schema())


def test_every_key_is_described():
    """An editor that reads the schema has a sentence for each key but a fill's name."""
    models = {**schema()["$defs"], "a case": schema()}
    keys = [
        (model, key)
        for model, described in models.items()
        for key, value in described.get("properties", {}).items()
        if "description" not in value and key != "fill"
    ]

    assert keys == []


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        HEAD,
        HEAD + "  state: {weight: [1, 2], running_mean: {fill: normal, seed: 3}}\n",
        STEP + "train: {input: {shape: [4, 2, 3, 3], fill: normal, mean: 3}, repeat: 3}\n",
        STEP + "eval: {input: {values: [[[[1]], [[.nan]]]]}, grad_output: {fill: ones}}\n",
        STEP + "set: {momentum: null, running_mean: {parameter: [0, 0]}, weight: [1, 2]}\n",
        STEP + "set: {momentum: 1, num_batches_tracked: 3, training: false}\n",
        STEP + "call: deepcopy\n",
        STEP + "save: a\n    - load: {from: a, add: {num_batches_tracked: 5, weight: [1, 2]}}\n",
        HEAD + "  expect:\n    - {after: 0, running_mean: [0, 0], num_batches_tracked: 0}\n",
        MATRIX + "{shape: [[2, 3]], fill: normal}\n",
        MATRIX + "{shape: [[2, 3]], fill: [ones, {fill: normal, mean: 3}], momentum: null}\n",
        MATRIX + "{shape: [[2, 3]], fill: ones, sequence: [T, TE], grad: true, seed: 1}\n",
    ],
)
def test_accepts(text):
    """What the reader accepts, the schema accepts."""
    assert mistakes(text) == []

    VALIDATOR.validate(value(text))


@pytest.mark.parametrize(
    "text",
    [
        "a: 1",
        "- 1",
        HEAD + "  stesp: []\n",
        HEAD + "  since: '2.x'\n",
        HEAD + "  state: {wieght: [1, 2]}\n",
        HEAD + "  expect: [{after: 1, outptu: 3}]\n",
        "- id: a\n  why: because.\n  module: {num_feature: 2}\n",
        "- id: a b\n  why: because.\n  module: {num_features: 2}\n",
        STEP + "trian: {}\n",
        STEP + "train: {input: {shape: [1], fill: ones}, repaet: 3}\n",
        STEP + "train: {input: {shape: [1], fill: ones, mean: 3}}\n",
        STEP + "train: {input: {shape: [1], centre: 3}}\n",
        STEP + "train: {input: {shape: [-1], fill: ones}}\n",
        STEP + "set: {momentumm: 1}\n",
        STEP + "load: {from: a, dorp: []}\n",
        STEP + "save: a\n      call: deepcopy\n",
        MATRIX + "{shape: [[2, 3]], fill: normal, moment: 1}\n",
        MATRIX + "{shape: [[2, 3]], fill: gauss}\n",
        MATRIX + "{shape: [2, 3], fill: normal}\n",
        MATRIX + "{fill: normal}\n",
    ],
)
def test_refuses(text):
    """Unknown keys and wrong kinds of values are refused by both."""
    assert mistakes(text)
    assert not VALIDATOR.is_valid(value(text))


def test_shipped_matrices():
    """The schema accepts the matrices of the shipped suite."""
    text = (shipped() / "core" / "momentum.yaml").read_text()

    VALIDATOR.validate(value(text))
