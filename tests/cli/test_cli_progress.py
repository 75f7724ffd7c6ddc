"""Progress in a log: lines that say how far a verb has come, few of them."""

from __future__ import annotations

import io
from types import SimpleNamespace

from click.testing import CliRunner

from harness.cli import cli
from harness.cli.progress import following
from harness.runner import Progress


def shows(monkeypatch, *times):
    """Have the clock of progress show these times, one after the other."""
    clock = SimpleNamespace(monotonic=iter(times).__next__)
    monkeypatch.setattr("harness.cli.progress.time", clock)


def test_a_line_comes_ten_seconds_after_the_one_before(monkeypatch):
    """However often progress is told, a log has a line for every ten seconds."""
    shows(monkeypatch, 0, *range(25))
    log = io.StringIO()
    with following(log) as listener:
        for second in range(25):
            listener(Progress(1000 * second, second))

    assert log.getvalue().splitlines() == [
        "10,000 cases, 1,000 a second, 10 fail",
        "20,000 cases, 1,000 a second, 20 fail",
    ]


def test_an_export_tells_how_far_it_is(monkeypatch, tmp_path):
    """Vectors, which are not judged, have the same lines without what diverges."""
    shows(monkeypatch, *range(0, 40, 10))
    arguments = ["vectors", "cases/seed", "--sample", "3", "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(cli, arguments)

    assert done.stderr.splitlines() == [
        *("1 cases, 0 a second", "2 cases, 0 a second", "3 cases, 0 a second"),
        f"wrote {tmp_path / 'out'}: 3 cases",
    ]
