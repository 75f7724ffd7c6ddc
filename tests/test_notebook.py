"""The example notebook is what a run of it gives."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "examples" / "notebook.ipynb"


def outputs(notebook):
    """Return what each cell of code shows, by kind."""
    return [
        [output.get("data", output.get("text")) for output in cell.outputs]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


@pytest.fixture(scope="module")
def stored():
    """Read the notebook."""
    return nbformat.read(NOTEBOOK, as_version=4)


def test_a_run_gives_the_stored_outputs(stored, monkeypatch):
    """Each cell runs, and shows what the notebook holds."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    again = nbformat.from_dict(stored)
    kept = outputs(stored)
    NotebookClient(again, record_timing=False, timeout=120).execute()

    assert outputs(again) == kept


def test_each_case_of_the_first_experiments_is_explained(stored):
    """The explanations are there as HTML and as Markdown, worked to the verdict."""
    shown = [data for cell in outputs(stored) for data in cell if "text/html" in data]

    assert len(shown) == 4
    assert all("<p>reference: agree" in data["text/html"] for data in shown)
    assert all("<svg" in data["text/markdown"] for data in shown)
