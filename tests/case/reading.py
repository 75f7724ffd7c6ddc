"""What the tests of the case reader share."""

from __future__ import annotations

import pytest

from harness.case.document import parse
from harness.case.suite import entries_of
from harness.errors import InvalidCases

MODULE = "  module: {num_features: 2}\n"
HEAD = "- id: a\n  why: because.\n" + MODULE


def items(text):
    """Return the cases and matrices of a text without mistakes."""
    entries, mistakes = entries_of(parse(text.encode(), "f"))
    assert mistakes == []
    return [entry.item for entry in entries]


def item(text):
    """Return the one case or matrix of a text."""
    (only,) = items(text)
    return only


def mistakes(text):
    """Return the mistakes of a text, each as line:column: message."""
    content = text if isinstance(text, bytes) else text.encode()
    try:
        document = parse(content, "f")
    except InvalidCases as error:
        return [mistake.removeprefix("f:") for mistake in error.mistakes]
    found = sorted(entries_of(document)[1])
    return [document.located(*each).removeprefix("f:") for each in found]


def only_mistake(text):
    """Return the one mistake of a text, without its place."""
    (found,) = mistakes(text)
    return found.split(": ", 1)[1]


def value(text):
    """Return what YAML text stands for."""
    return parse(text.encode(), "f").checked().data


def refused(text):
    """Return what is said of text that is not even YAML."""
    content = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(InvalidCases) as caught:
        parse(content, "f").checked()
    return str(caught.value)
