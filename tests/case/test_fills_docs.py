"""The page on fills shows what the fills do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.case.fills import FILLS

SHAPE = (2, 2, 1, 2)
PAGE = Path(__file__).parents[2] / "docs" / "fills.md"
ROWS = {
    cells[1].strip(" `"): [cell.strip() for cell in cells[2:-1]]
    for cells in (line.split("|") for line in PAGE.read_text().splitlines())
    if len(cells) == 8
}


@pytest.mark.parametrize("name", FILLS)
def test_row(name):
    """The table gives each fill's parameters, declaration and first numbers as they are."""
    parameters, seed, iid, numbers, _ = ROWS[name]
    own = {pair.split()[0] for pair in parameters.split(", ") if pair}
    fill = FILLS[name]
    values = fill().draw(SHAPE, like=FILLS["normal"]().draw(SHAPE))
    shown = [f"{x:.8g}" for x in np.moveaxis(values, 1, 0)[0].ravel()]

    assert own - {"exponent"} == {*fill.model_fields} - {"fill", "seed", "exponent"}
    assert (seed == "yes") == ("seed" in fill.model_fields)
    assert (iid == "yes") == fill.iid
    assert numbers == ", ".join(shown)


def test_no_other_rows():
    """The table has no fill that does not exist."""
    assert set(ROWS) - set(FILLS) == {"fill", "---"}
