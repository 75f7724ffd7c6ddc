"""The catalogue: what every variant says of itself."""

from __future__ import annotations

import pytest

from harness.adequacy.base import OpenBatchNorm2d
from harness.adequacy.catalogue import planted, sound
from harness.targets import resolve


def test_there_are_enough_variants():
    """At least eighty mistakes are planted, and at least ten variants only differ."""
    assert len(planted()) >= 80
    assert len(sound()) >= 10


def test_names_are_unique():
    """A name stands for one variant, so that scores can be kept by name."""
    names = [each.name for each in (*planted(), *sound())]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("variant", planted(), ids=lambda each: each.name)
def test_a_mistake_says_what_is_wrong_and_where_it_is_met(variant):
    """The first line of the docstring says what is wrong; the second, where that is met."""
    assert variant.about.endswith(".")
    assert variant.met.startswith(("Met ", "Could be met "))


def test_variants_are_targets():
    """The command line resolves a variant by its SPEC."""
    variant = planted()[0]

    assert resolve(variant.spec).info.name == variant.spec


def test_the_base_of_all_mistakes_has_none():
    """What mistakes are planted into is no mistake itself: it is not in the catalogue."""
    assert OpenBatchNorm2d.__name__ not in {each.name for each in planted()}
