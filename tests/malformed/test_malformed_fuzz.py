"""Any file is read or refused: one message for each mistake, in bounded time."""

from __future__ import annotations

import os

import pytest
from doors import DOORS, knock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import NUMBERS, Edit, edited, seeds

EXAMPLES = int(os.environ.get("MALFORMED_EXAMPLES", "100"))
NUMBER = st.integers(0, NUMBERS - 1)
EDITS = st.lists(st.builds(Edit, NUMBER, NUMBER, NUMBER), min_size=1, max_size=4)


@pytest.mark.parametrize("door", DOORS)
def test_a_malformed_file_is_refused_in_words_or_read(door, tmp_path_factory):
    """Real files edited as bytes, lines, tokens and trees end no reader in another way."""
    path = tmp_path_factory.mktemp(door) / "given.yaml"
    files = seeds(door)

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), deadline=None)
    @given(st.sampled_from(range(len(files))), EDITS)
    def holds(number, edits):
        knock(door, path, edited(files[number], edits))

    holds()


@pytest.mark.parametrize("door", DOORS)
def test_what_is_edited_is_well_formed(door, tmp_path):
    """The files that the edits begin with are read."""
    found = [knock(door, tmp_path / "given.yaml", content) for content in seeds(door)]

    assert set(found) == {None}
