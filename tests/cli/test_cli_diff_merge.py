"""``bn-harness diff`` and ``bn-harness merge``: what they print, and with what status they end."""

from __future__ import annotations

import json

import pytest

from harness.cli import main
from harness.report.document import to_json
from harness.report.model import Report

AGREES = {"one": "agree"}


def written(path, verdicts, **more):
    """Write a report of these verdicts and return its path as a text."""
    cases = [
        {"id": name, "file": "a.yaml", "line": 1, "tags": [], "results": {"mine": {"verdict": v}}}
        for name, v in verdicts.items()
    ]
    plain = {
        "environment": {},
        "baseline": "torch",
        "targets": ["mine"],
        "summary": {"mine": {"cases": len(cases)}},
        "accuracy": {},
        "cases": cases,
        "matrices": [],
        **more,
    }
    path.write_text(to_json(Report.model_validate(plain)))
    return str(path)


def ended(*arguments):
    """Return the status with which a command line ends."""
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    return end.value.code


@pytest.mark.parametrize("form", ["text", "markdown", "json", "html"])
def test_a_regression_ends_with_1(tmp_path, capsys, form):
    """In each form the regression is named on standard output, and the status is 1."""
    old, new = (written(tmp_path / f"{v}.json", {"one": v}) for v in ("agree", "diverge"))
    status = ended("diff", old, new, "--format", form)
    out, err = capsys.readouterr()

    assert (status, err) == (1, "")
    assert "1 regression" in out or json.loads(out)["regressions"] == 1


def test_an_improvement_ends_with_0(tmp_path):
    """What got better is shown, and is no failure."""
    old, new = (written(tmp_path / f"{v}.json", {"one": v}) for v in ("diverge", "agree"))

    assert ended("diff", old, new) == 0


def test_the_same_report_twice(tmp_path, capsys):
    """Nothing changed, with the status 0."""
    old = written(tmp_path / "old.json", AGREES)

    assert ended("diff", old, old) == 0
    assert capsys.readouterr().out == "nothing changed\n"


@pytest.mark.parametrize(
    "content", ["", "{}", "[1]", '{"schema": "other"}', "nan", "\x00", '{"schema": "\\uD800"}']
)
def test_what_is_no_report_ends_with_2(tmp_path, capsys, content):
    """A malformed report is named in one message on standard error."""
    old = written(tmp_path / "old.json", AGREES)
    (tmp_path / "new.json").write_text(content)
    status = ended("diff", old, str(tmp_path / "new.json"))
    out, err = capsys.readouterr()

    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "new.json: not" in err


@pytest.mark.parametrize("factor", ["1", "0.5", "nan", "x"])
def test_a_factor_must_be_above_1(tmp_path, factor):
    """Any other is wrong usage."""
    old = written(tmp_path / "old.json", AGREES)

    assert ended("diff", old, old, "--factor", factor) == 2


def test_json_and_another_form_exclude_each_other(tmp_path, capsys):
    """Neither is left out silently."""
    old = written(tmp_path / "old.json", AGREES)
    status = ended("diff", old, old, "--json", "--format", "html")

    assert status == 2
    assert "--json and --format html exclude each other" in capsys.readouterr().err


def test_a_page_of_changes_escapes_what_ids_hold(tmp_path, capsys):
    """Markup in an id is text on the page."""
    name = "<script>alert(1)</script>"
    old, new = (written(tmp_path / f"{v}.json", {name: v}) for v in ("agree", "diverge"))
    ended("diff", old, new, "--format", "html")
    page = capsys.readouterr().out

    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_merge_writes_the_whole(tmp_path):
    """Two shards become a report with the cases of both."""
    shards = [
        written(tmp_path / f"{part}.json", {f"of-{part}": "agree"}, selection={"shard": [part, 2]})
        for part in (1, 2)
    ]
    out = tmp_path / "new" / "whole.json"

    assert ended("merge", *shards, "-o", str(out)) == 0
    assert [each["id"] for each in json.loads(out.read_text())["cases"]] == ["of-1", "of-2"]


def test_merge_writes_no_file_named_dash(tmp_path, capsys, monkeypatch):
    """A '-' is refused with what stands for standard output."""
    monkeypatch.chdir(tmp_path)
    status = ended("merge", written(tmp_path / "1.json", AGREES), "-o", "-")

    assert (status, (tmp_path / "-").exists()) == (2, False)
    assert "/dev/stdout is" in capsys.readouterr().err


def test_merge_that_fails_leaves_what_was_there(tmp_path, capsys):
    """With a shard missing the status is 2, and the file to write stays as it was."""
    shard = written(tmp_path / "1.json", AGREES, selection={"shard": [1, 2]})
    out = tmp_path / "whole.json"
    out.write_text("before")

    assert ended("merge", shard, "-o", str(out)) == 2
    assert "shard 2 of 2 missing" in capsys.readouterr().err
    assert out.read_text() == "before"
