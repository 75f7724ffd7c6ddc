"""The report as strict JSON: described, the same each time, and read back."""

from __future__ import annotations

import json
from functools import cache

import jsonschema
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import harness
from harness.case.model import Case
from harness.errors import InvalidInput
from harness.reference import BatchNorm2d
from harness.report.document import from_json, read, schema, to_json

torch.set_num_threads(1)


class SpoiltByNan(BatchNorm2d):
    """Its outputs are nan and infinite."""

    def __call__(self, given):
        """Normalise and spoil."""
        output = super().__call__(given)
        output[:, 0], output[:, 1] = np.nan, -np.inf
        return output


class Wrong(BatchNorm2d):
    """Refuses some inputs, and is wrong in others."""

    def __call__(self, given):
        """Normalise a half."""
        if given.shape[0] == 2:
            raise ValueError("not two \u2014 \udcff")
        return super().__call__(given) / 2


def _case(name, count):
    given = {"shape": [count, 2, 3, 3], "fill": "normal", "seed": 1}
    return Case.model_validate(
        {
            "id": name,
            "why": "to be reported.",
            "tags": ["tag"],
            "module": {"num_features": 2},
            "steps": [{"train": {"input": given, "grad_output": {"fill": "ones"}}}],
        }
    )


def made():
    """Return the report of a run with every kind of result."""
    return harness.run([_case("two", 2), _case("four", 4)], ["reference", SpoiltByNan, Wrong])


@cache
def text():
    """Return its JSON."""
    return to_json(made())


def refuse(constant):
    """Refuse what is no strict JSON."""
    raise AssertionError(constant)


def test_the_json_is_strict():
    """No NaN or Infinity stands bare; they are texts."""
    plain = json.loads(text(), parse_constant=refuse)
    shown = plain["cases"][0]["results"][plain["targets"][1]]["divergences"]

    assert [each["actual"] for each in shown] == ["nan"]


def test_the_json_has_what_is_promised_where_it_is_nothing_too():
    """Zero counts, cases without divergences and errors without an exact value are written."""
    plain = json.loads(text())
    results = [result for case in plain["cases"] for result in case["results"].values()]
    divergences = [each for result in results for each in result["divergences"]]
    raised = [each for each in divergences if each["aspect"] == "error"]

    assert {each["timeout"] for each in plain["summary"].values()} == {0}
    assert all(each["exact"] is None and each["index"] == [] for each in raised)
    assert raised


def test_the_json_is_sorted():
    """Keys are sorted, so that a difference of two reports can be read."""
    pairs = []
    json.loads(text(), object_pairs_hook=lambda each: pairs.append([key for key, _ in each]))

    assert all(keys == sorted(keys) for keys in pairs)


def test_the_json_is_valid_by_its_schema():
    """A report holds what its JSON Schema says, and the schema is one itself."""
    jsonschema.Draft202012Validator.check_schema(schema())

    jsonschema.validate(json.loads(text()), schema())


@pytest.mark.parametrize(
    ("key", "value"), [("summary", []), ("surplus", 1), ("schema", "bn-harness/report/2")]
)
def test_the_schema_refuses_other_documents(key, value):
    """The schema is closed: another key, type or format is no report."""
    wrong = {**json.loads(text()), key: value}

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema())


def test_a_second_run_gives_the_same_bytes():
    """Nothing in a report differs from run to run."""
    assert to_json(made()) == text()


def test_a_report_survives_the_way_through_json():
    """What is read back is the report that was written."""
    again = from_json(text(), "it")

    assert to_json(again) == text()
    assert again.summary == made().summary


def test_messages_are_utf8_whatever_a_target_raises():
    """A lone surrogate in an error's message does not keep the report from being written."""
    assert text().encode()
    assert "not two \u2014 ?" in text()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("", "not strict JSON"),
        ("{", "not strict JSON"),
        ("[]", "not a conformance report"),
        ("{}", "not a conformance report"),
        ('{"environment": NaN}', "NaN is not strict JSON"),
        ('{"environment": {"torch": 1e999}}', "1e999 is beyond the range"),
        ("[" * 100_000, "not strict JSON"),
        ("1" * 10_000, "not strict JSON"),
        ('{"schema": "bn-harness/report/9"}', "schema"),
    ],
)
def test_what_is_no_report_is_refused(wrong, message):
    """Malformed, foreign and hostile documents are refused with one message."""
    with pytest.raises(InvalidInput) as refusal:
        from_json(wrong, "old.json")

    assert str(refusal.value).startswith("old.json: ")
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


@given(st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_a_truncated_report_is_refused(place):
    """A report that was cut anywhere is no report."""
    cut = text()[: place % (len(text()) - 2)]

    with pytest.raises(InvalidInput, match="not strict JSON"):
        from_json(cut, "cut.json")


@pytest.mark.parametrize("path", ["missing.json", "."])
def test_what_cannot_be_read_is_refused(tmp_path, path):
    """A file that is not there, and a folder, are refused by name."""
    with pytest.raises(InvalidInput, match="cannot be read"):
        read(tmp_path / path)


def test_what_is_no_utf8_is_refused(tmp_path):
    """Bytes that are no text are told as such."""
    (tmp_path / "old.json").write_bytes(b"\xff\xfe")

    with pytest.raises(InvalidInput, match="not valid UTF-8"):
        read(tmp_path / "old.json")
