"""YAML as case files have it: version 1.2, within limits, every mistake placed."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import mistakes, refused, value

from harness.case.document import BYTES, Document, parse, read, scan
from harness.case.suite import entries_of
from harness.errors import InvalidCases, InvalidInput


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-5", 1e-5),
        ("1", 1),
        ("-0", 0),
        ("0o17", 15),
        ("0x1F", 31),
        (".5", 0.5),
        ("1.", 1.0),
        ("+1E3", 1000.0),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
        ("~", None),
        ("null", None),
        ("true", True),
        ("FALSE", False),
        ("18446744073709551615", 2**64 - 1),
        ("on", "on"),
        ("yes", "yes"),
        ("2024-01-31", "2024-01-31"),
        ("1_000", "1_000"),
        ("0b1", "0b1"),
        ("12:30", "12:30"),
        ("nan", "nan"),
        ("'1'", "1"),
        ('"\\u00e9"', "é"),
        ("!!str 1", "1"),
        ("!!float 1", 1.0),
        ("! 1", "1"),
        ("!!map {}", {}),
        ("<<: a", {"<<": "a"}),
    ],
)
def test_core_schema(text, expected):
    """A scalar means what the core schema of YAML 1.2 says, in value and type."""
    found = value(text)

    assert (type(found), found) == (type(expected), expected)


@pytest.mark.parametrize("text", [".nan", ".NaN", ".NAN"])
def test_nan(text):
    """The spellings of nan are numbers."""
    assert math.isnan(value(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "f:3:1: duplicate key 'a', first in line 1"),
        ("- !foo 1", "f:1:3: the tag !foo is not known here; leave it out"),
        ("- !!timestamp 2001-01-01", "the tag timestamp is not known"),
        ("- !!int x", "f:1:3: this is no int"),
        ("- !!seq {}", "the tag seq is not known"),
        ("1: 2", "f:1:1: a key must be a word"),
        ("[a]: 2", "f:1:1: a key must be a word"),
        ("? {a: 1}\n: 2", "a key must be a word"),
        ("- a\n- *b", "f:2:3: there is no anchor &b before the alias *b"),
        ("- &a [1, *a]", "f:1:10: the alias *a contains itself"),
        ("a: 1\n---\nb: 2\n", "f:2:1: a second document"),
        ("\t- a: 1", "cannot start any token; indent by spaces, not by tabs"),
        ("- a: 1\nb: 2", "f:2:1: not YAML: while parsing a block collection"),
        ("- a: 1\nb: 2", "; indent the line as those beside it; an item of a list begins with '-'"),
        ("a: b: c", "f:1:5: not YAML: mapping values are not allowed here; put a text with ': '"),
        ('a: "b', "; close the quotes"),
        ("{a: 1\nb: 2}", "; close the bracket, with commas between its items"),
        ("a: [1, 2", "f:1:9: not YAML: while parsing a flow sequence"),
        (b"- a\n- \xff", "f:2:3: not valid UTF-8"),
        ("- é\n- \0", "f:2:3: the character U+0000 may not stand in a YAML file"),
        ('- "\\ud800"', "f:1:3: this text holds half of a surrogate pair"),
        ('- "\\UFFFFFFFF"', "f:1:1: not YAML"),
        ("- " + "9" * 5000, "f:1:3: this integer needs more than 64 bits"),
        ("- 18446744073709551616", "this integer needs more than 64 bits"),
        ("- -1e309", "f:1:3: this number is beyond the range of float64; write .inf for infinity"),
        ("- " + "[" * 64 + "]" * 64, "f:1:66: nested deeper than 64 levels"),
        ("- " + "[" * 100_000, "nested deeper than 64 levels"),
    ],
)
def test_refused(text, message):
    """What is no plain YAML 1.2 is refused, with its place."""
    assert message in refused(text)


def test_what_no_scalar_can_hold_is_told_once():
    """A number that is too large is not missed as well by what it stands for."""
    found = mistakes("- id: a\n  why: w\n  module: {num_features: 1e400}\n")

    assert found == [
        "3:26: this number is beyond the range of float64; write .inf for infinity",
    ]


def test_structural_mistakes_do_not_hide_others():
    """A duplicate key is told together with the mistakes of validation."""
    found = mistakes("- id: a\n  id: b\n  why: 3\n")

    assert found == [
        "1:3: 'module' is missing",
        "2:3: duplicate key 'id', first in line 1",
        "3:8: expected a text of at least one character, found 3",
    ]


def test_alias_is_its_anchor():
    """An alias stands for the value of its anchor, each time on its own."""
    document = parse(b"- &a {b: [1]}\n- *a\n", "f")

    assert document.data == [{"b": [1]}, {"b": [1]}]
    assert document.places[1, "b", 0] == (1, 11)


def test_billion_laughs():
    """Aliases of aliases are counted as often as they stand, and refused in time."""
    lines = ["- &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"- &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]

    assert "more than 1000000 values, aliases counted" in refused("\n".join(lines))


def test_places():
    """Keys and values know their line and column, counted from 1."""
    document = parse(b"- id: a\n  module: {num_features: 2}\n", "f")

    assert document.keys[0, "module"] == (2, 3)
    assert document.places[0, "module", "num_features"] == (2, 26)


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "\ufeff", "[]"])
def test_empty(text):
    """A file without a list has no cases and no mistake."""
    assert entries_of(parse(text.encode(), "f")) == ([], [])


@pytest.mark.parametrize("text", ["a: 1", "text", "1"])
def test_no_list(text):
    """A file must be a list."""
    assert mistakes(text) == ["1:1: a case file is a list of cases; begin each with '- id:'"]


def test_too_long(tmp_path):
    """A file that is too long is not read."""
    path = tmp_path / "long.yaml"
    with path.open("wb") as file:
        file.truncate(BYTES + 1)

    with pytest.raises(InvalidInput, match=r"long.yaml: 8388609 bytes is over the limit"):
        read(path, "long.yaml")


def test_unreadable(tmp_path):
    """A path that cannot be read is told with the reason."""
    with pytest.raises(InvalidInput, match="cannot be read: Is a directory"):
        read(tmp_path)


def test_read_and_scan(tmp_path):
    """Reading raises for a duplicate key; scanning leaves it among the mistakes."""
    path = tmp_path / "twice.yaml"
    path.write_text("a: 1\na: 2\n")
    with pytest.raises(InvalidCases, match="duplicate key"):
        read(path)

    assert scan(path).mistakes == [((2, 1), "duplicate key 'a', first in line 1")]


SIGNS = [*"-:,[]{}&*!|>'\"#%@`?~\n\t 0a", "- ", ": ", "\n  ", "&a ", "*a", "!!int ", "---\n"]
ODD = ["%YAML 1.9\n", "...\n", "\\ud800", "1e5", "id: a\n", "\u2028", "\x85", "%TAG ! x\n", '"\\x']
FRAGMENTS = st.lists(st.sampled_from(SIGNS + ODD), max_size=30).map("".join)


def outcome(content):
    """Return the document, or the mistakes that it is refused for."""
    try:
        return parse(content, "f")
    except InvalidCases as error:
        return error.mistakes


@settings(max_examples=400, deadline=None)
@given(FRAGMENTS | st.text(max_size=40))
def test_any_text(text):
    """Any text gives values or InvalidCases, whose mistakes all have a place."""
    found = outcome(text.encode("utf-8", "surrogatepass"))

    assert isinstance(found, Document) or all(re.match(r"f:\d+:\d+: .", said) for said in found)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes(content):
    """Any bytes give values or InvalidCases."""
    assert outcome(content)
