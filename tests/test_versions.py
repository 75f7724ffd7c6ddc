"""Versions of torch, and what holds in which."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.versions import holds, release

NUMBERS = st.lists(st.integers(0, 99), min_size=1, max_size=3)


@pytest.mark.parametrize(
    ("version", "numbers"),
    [
        ("2.13.0+cpu", (2, 13, 0)),
        ("2.4", (2, 4)),
        ("2.14.0a0+git1234", (2, 14, 0)),
        ("2.5.0.dev20240901", (2, 5, 0)),
    ],
)
def test_a_release_is_its_numbers(version, numbers):
    """Local builds, alphas and nightlies count by the numbers in front."""
    assert release(version) == numbers


@given(NUMBERS, NUMBERS)
def test_since_and_before_part_the_versions(one, other):
    """Every version holds from another on, or before it, and never both."""
    version, bound = (".".join(map(str, each)) for each in (one, other))

    assert holds(version, bound, None) != holds(version, None, bound)


def test_both_bounds_must_hold():
    """A version in the interval holds, its end does not."""
    answers = [holds(version, "2.4", "2.6") for version in ("2.3.1", "2.4", "2.5.1+cpu", "2.6")]

    assert answers == [False, True, True, False]
