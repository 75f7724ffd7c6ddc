"""Hostile files and options: one clear message, exit 2, in little time and memory."""

from __future__ import annotations

import json
import time
import tracemalloc

import pytest

from harness.cli import main

CASE = "- id: a\n  why: w.\n  module: {num_features: 2}\n"


def step(given):
    """Return a case with a step whose input is the text."""
    return f"{CASE}  steps: [{{train: {{input: {given}}}}}]\n"


LAUGHS = "".join(
    f"- &{new} [{', '.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
CASES = {
    "aliases that grow without end": ("- &a [x]\n" + LAUGHS, "values, aliases counted"),
    "an alias that contains itself": ("- &a [*a]\n", "contains itself"),
    "an alias before its anchor": ("- *a\n", "there is no anchor &a before"),
    "lists in lists": ("[" * 100_000, "nested deeper"),
    "mappings in mappings": ("{a: " * 100_000, "nested deeper"),
    "items in items": ("- " * 100_000, "nested deeper"),
    "merge keys": (CASE + "  <<: {tags: [a]}\n", "mappings are not merged here"),
    "a Python object": ("- !!python/object/apply:os.system [id]\n", "the tag"),
    "a tag of its own": (CASE.replace("w.", "!secret w."), "the tag"),
    "a key twice": (CASE + "  why: again.\n", "duplicate key 'why'"),
    "an id twice": (CASE + CASE, "the id 'a' is taken"),
    "two documents": (CASE + "---\n" + CASE, "a second document"),
    "bytes that are no UTF-8": (b"- id: \xff\n", "not valid UTF-8"),
    "UTF-16": (CASE.encode("utf-16"), "not valid UTF-8"),
    "NUL": (CASE.replace("w.", "w\0."), "U+0000"),
    "an escape to the terminal": (CASE.replace("w.", '"\\e[31m"') + "  \x1b: 1\n", "U+001B"),
    "half a character": (CASE.replace("w.", '"\\ud800"'), "surrogate"),
    "a mapping at the top": ("id: a\n", "a case file is a list of cases"),
    "a billion elements": (step("{shape: [1000, 1000, 1000, 1], fill: ones}"), ""),
    "a shape beyond all numbers": (step("{shape: [4e9999, 2, 1, 1], fill: ones}"), ""),
    "negative sizes": (step("{shape: [-1, 2, 1, 1], fill: ones}"), "at least"),
    "nan where a size belongs": (step("{shape: [.nan, 2, 1, 1], fill: ones}"), ""),
    "a number of 5,000 digits": (
        step("{shape: [1" + "0" * 5000 + ", 2, 1, 1], fill: ones}"),
        "",
    ),
    "words where numbers belong": (
        step("{shape: [two, 2, 1, 1], fill: ones}"),
        "found 'two'",
    ),
    "a billion channels": (CASE.replace("2}", "1000000000}"), ""),
    "a long text": (CASE.replace("num_features", "x" * 1_000_000), "not YAML"),
    "many keys": (CASE + "".join(f"  key-{n}: 0\n" for n in range(20_000)), "unknown key"),
    "many steps of no kind": (CASE + "  steps: [" + "{x: 1}, " * 5_000 + "]\n", "a step is one of"),
    "a repetition without end": (
        step("{shape: [2, 2, 1, 1], fill: ones}, repeat: 1" + "0" * 18),
        "",
    ),
    "a matrix without end": (
        "- id: m\n  why: w.\n  matrix:\n"
        + "".join(
            f"    {axis}: [{', '.join(str(0.5 + n / 1000) for n in range(400))}]\n"
            for axis in ("momentum", "eps")
        )
        + "    seed: ["
        + ", ".join(map(str, range(1000)))
        + "]\n    shape: [[2, 2, 1]]\n",
        "",
    ),
    "a file that is too long": ("#" * (8 * 2**20 + 1), "over the limit"),
}
REPORT = {
    "schema": "bn-harness/report/1",
    "environment": {"torch": "2.13.0"},
    "baseline": "torch",
    "targets": ["mine"],
    "summary": {"torch": {"cases": 0}, "mine": {"cases": 0}},
    "accuracy": {},
    "cases": [],
    "matrices": [],
}
REPORTS = {
    "nothing": ("", "not strict JSON"),
    "a part of it": (json.dumps(REPORT)[:-9], "not strict JSON"),
    "a bare NaN": ('{"a": NaN}', "NaN is not strict JSON"),
    "a number beyond float64": ('{"a": 1e400}', "beyond the range"),
    "a number of 5,000 digits": ('{"a": 1' + "0" * 5000 + "}", "not strict JSON"),
    "lists in lists": ("[" * 200_000, "not strict JSON"),
    "half a character": (json.dumps({**REPORT, "baseline": "\ud800"}), "half of a character"),
    "bytes that are no UTF-8": (b'{"a": "\xff"}', "not valid UTF-8"),
    "a byte order mark": (b"\xef\xbb\xbf" + json.dumps(REPORT).encode(), "not strict JSON"),
    "a list": ("[]", "not a conformance report"),
    "another schema": (json.dumps({**REPORT, "schema": "junit/1"}), "schema"),
    "a key that breaks the line": (json.dumps({**REPORT, "a\nb": 1}), "a\\nb"),
    "a key of a million letters": (json.dumps({**REPORT, "x" * 1_000_000: 1}), "not a conformance"),
    "a key twice": (json.dumps(REPORT)[:-1] + ', "targets": []}', "targets"),
}
OPTIONS = (
    (("run", "-j", "0"), "-j"),
    (("run", "-j", "9" * 5000), "-j"),
    (("run", "--sample", "-1"), "--sample"),
    (("run", "--shard", "3/2"), "3/2"),
    (("run", "--shard", "1/" + "9" * 5000), "--shard"),
    (("run", "-k", "(" * 10_000), "("),
    (("run", "-k", "not " * 10_000), "not"),
    (("run", "--target", "no/such\nfile.py:X"), "no file"),
    (("run", "--target", ":"), "no such target"),
    (("run", "--target", "os:system"), "os:system"),
    (("run", "--target", "torch:threads=" + "9" * 5000), "threads"),
    (("run", "--against", "\x1b[31m"), "no such target"),
    (("run", "a\nb.yaml"), "no such file"),
    (("run", "/dev/null\0"), ""),
    (("run", "x" * 5000), ""),
    (("explain", "\0"), ""),
    (("diff", ".", "."), "cannot be read"),
    (("diff", "a", "b", "--factor", "nan"), "factor"),
    (("merge", ".", "-o", "x"), "cannot be read"),
    (("landscape", "."), "cannot be read"),
    (("new", "../../x"), ""),
    (("check", "x::"), ""),
    (("check", "cases/edge/modes.yaml::[" + "!" * 5000), ""),
)


def refused(capsys, *arguments):
    """Run a command that must be refused; return what it says."""
    start = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(SystemExit) as left:
            main(list(arguments))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    said = capsys.readouterr().err

    assert left.value.code == 2, said
    assert "Traceback" not in said
    assert (time.process_time() - start < 20, peak < 800 * 2**20) == (True, True), peak
    return said


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_case_file_is_refused(tmp_path, capsys, name):
    """Each has its message, at a line of the file."""
    content, message = CASES[name]
    path = tmp_path / "cases.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    said = refused(capsys, "check", str(path))

    assert message in said
    assert all(line.startswith(str(path)) for line in said.splitlines())


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("verb", ["diff", "merge", "landscape"])
def test_a_hostile_report_is_refused(tmp_path, capsys, monkeypatch, verb, name):
    """Every verb that reads reports says which file it is, and what of it."""
    monkeypatch.chdir(tmp_path)
    content, message = REPORTS[name]
    path = tmp_path / "report.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    more = {"diff": [str(path)], "merge": ["-o", str(tmp_path / "out")], "landscape": []}[verb]
    said = refused(capsys, verb, str(path), *more)

    assert message in said
    assert len(said.splitlines()) == 1
    assert str(path) in said


@pytest.mark.parametrize(("arguments", "message"), OPTIONS, ids=lambda each: repr(each)[:40])
def test_a_hostile_option_is_refused(capsys, tmp_path, monkeypatch, arguments, message):
    """An option that cannot be meant is a message, whatever it holds."""
    monkeypatch.chdir(tmp_path)

    assert message in refused(capsys, *arguments)
