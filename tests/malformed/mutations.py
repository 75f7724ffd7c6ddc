"""Malformed inputs: real case files and reports, edited as bytes, lines, tokens and trees."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.case.document import parse

ROOT = Path(__file__).parents[2]

TOKENS = (
    *(
        "",
        "~",
        "null",
        "true",
        "no",
        "[]",
        "{}",
        "- ",
        ": ",
        "? ",
        "|",
        ">",
        "'",
        '"',
        "#",
        "%",
        "@",
    ),
    *(
        "&a ",
        "*a",
        "&a [*a, *a]",
        "<<: *a",
        "<<",
        "---",
        "...",
        "%YAML 9.9",
        "%TAG ! x:",
        "\t",
        "\0",
    ),
    *("!!python/object:os.system", "!!binary", "!!set", "!!str", "!!int", "!!float", "!<>", "!a!b"),
    *(".nan", "-.inf", "NaN", "Infinity", "1e400", "-1e400", "5e-324", "0x10", "0o7", "1_0", "-0"),
    *("-1", "0", "1", "2", "1000000000", "9223372036854775808", "1" + "0" * 5000, "1e99999"),
    *(
        "0." + "0" * 400 + "1",
        "2020-01-01",
        "\ufeff",
        "\u2028",
        "\x85",
        "\ud7ff",
        "\U0010ffff",
        "\x1b[31m",
    ),
    *("\\ud800", '"\\ud800"', '"\\x00"', '"\\', "x" * 100_000, "[" * 200, "{a: " * 100, "- " * 300),
    *(
        "momentum",
        "shape",
        "values",
        "fill",
        "matrix",
        "id",
        "/etc/passwd",
        "../..",
        "nul",
        "\r",
        "\r\n",
    ),
)
BYTES = (b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc0\x80", b"\x80", b"\0", b"\r")
VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2,
        10**9,
        2**63,
        -(2**63) - 1,
        10**4000,
        0.5,
        1e308,
        5e-324,
        -0.0,
    ),
    *(
        float("nan"),
        float("inf"),
        "",
        "x",
        "nan",
        "float32",
        "complex128",
        "a" * 100_000,
        "\n",
        "\x07",
    ),
    *(
        [],
        {},
        [[]],
        [None],
        [0],
        [1] * 1000,
        [10**9] * 4,
        [1 << 62] * 2,
        {"": None},
        {"fill": "ones"},
    ),
    *({"values": []}, {"values": [[[[1]]]]}, {"shape": [2, 2, 1, 1], "fill": "normal"}, ["train"]),
    *(
        {f"key-{n}": n for n in range(2000)},
        {"shape": [10**9] * 4, "fill": "ones"},
        "*",
        "[",
        "core/",
    ),
)
_WORD = re.compile(r"[\w.+-]+|[\[\]{}:,\"'&*!-]")
NUMBERS = 1 << 30


@dataclass(frozen=True)
class Edit:
    """One change; its numbers are taken modulo what there is to choose from."""

    kind: int
    place: int
    other: int


def edited(content: bytes, edits: list[Edit]) -> bytes:
    """Return a file's content after the edits."""
    for edit in edits:
        content = KINDS[edit.kind % len(KINDS)](content, edit)[: 1 << 22]
    return content


def _span(content: bytes, edit: Edit) -> tuple[int, int]:
    start = edit.place % (len(content) + 1)
    return start, min(len(content), start + 1 + edit.other % 40)


def _cut(content: bytes, edit: Edit) -> bytes:
    start, end = _span(content, edit)
    return content[:start] + content[end:]


def _truncate(content: bytes, edit: Edit) -> bytes:
    return content[: edit.place % (len(content) + 1)]


def _overwrite(content: bytes, edit: Edit) -> bytes:
    start, end = _span(content, edit)
    return content[:start] + BYTES[edit.other % len(BYTES)] + content[end:]


def _repeat(content: bytes, edit: Edit) -> bytes:
    start, end = _span(content, edit)
    return content[:end] + content[start:end] * (1 + edit.other % 60) + content[end:]


def _insert(content: bytes, edit: Edit) -> bytes:
    start, _ = _span(content, edit)
    return content[:start] + _token(edit) + content[start:]


def _token(edit: Edit) -> bytes:
    return TOKENS[edit.other % len(TOKENS)].encode("utf-8", "surrogatepass")


def _replace(content: bytes, edit: Edit) -> bytes:
    text = content.decode("utf-8", "surrogateescape")
    words = list(_WORD.finditer(text))
    if not words:
        return _token(edit)
    word = words[edit.place % len(words)]
    token = _token(edit).decode("utf-8", "surrogatepass")
    return (text[: word.start()] + token + text[word.end() :]).encode("utf-8", "surrogateescape")


def _line(content: bytes, edit: Edit) -> bytes:
    lines = content.split(b"\n")
    first, second = edit.place % len(lines), edit.other % len(lines)
    change = edit.other % 5
    if change == 0:
        lines[first], lines[second] = lines[second], lines[first]
    elif change == 1:
        lines.insert(second, lines[first])
    elif change == 2:
        del lines[first]
    elif change == 3:
        lines[first] = b" " * (1 + edit.other % 5) + lines[first]
    else:
        return content.replace(b"\n", (b"\r\n", b"\r", b"\n\n", b"\n\t")[edit.other % 4])
    return b"\n".join(lines)


def _tree(content: bytes, edit: Edit) -> bytes:
    try:
        tree = parse(content, "f").data
    except Exception:  # what is no YAML any more has no tree
        return _replace(content, edit)
    places = list(_places(tree))
    if not places:
        return _replace(content, edit)
    holder, key = places[edit.place % len(places)]
    found, value = holder[key], VALUES[edit.other % len(VALUES)]
    change = edit.other // len(VALUES) % 6
    if change == 0:
        del holder[key]
    elif change == 1:
        holder[key] = [found]
    elif change == 2:
        there, name = places[edit.other // 7 % len(places)]
        holder[key] = json.loads(json.dumps(there[name]))
    elif change == 3 and isinstance(holder, dict):
        holder[str(value)[:50]] = holder.pop(key)
    elif change == 4 and isinstance(holder, list):
        holder.insert(key, json.loads(json.dumps(found)))
    else:
        holder[key] = value
    return json.dumps(tree, indent=1).encode()


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(tree, dict | list):
        for key, value in list(tree.items() if isinstance(tree, dict) else enumerate(tree)):
            yield tree, key
            yield from _places(value)


KINDS: tuple[Callable[[bytes, Edit], bytes], ...] = (
    *(_tree, _tree, _tree, _replace, _replace, _line),
    *(_insert, _cut, _overwrite, _repeat, _truncate),
)


def seeds(door: str) -> list[bytes]:
    """Return the well-formed files that are edited for a door."""
    return {"cases": _case_files, "known": _known, "report": _reports}[door]()


def _known() -> list[bytes]:
    return [(ROOT / "cases" / "known.yaml").read_bytes()]


def _case_files() -> list[bytes]:
    """Return pieces of the shipped case files, a few cases in each."""
    pieces = []
    for path in sorted((ROOT / "cases").glob("*/*.yaml")):
        items = re.split(r"^(?=- )", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        items = [item for item in items if item.startswith("- ") and len(item) < 4000]
        pieces += ["".join(items[at : at + 2]).encode() for at in range(0, len(items), 16)]
    return pieces


def _reports() -> list[bytes]:
    """Return small reports of the shipped one's kind."""
    whole = json.loads((ROOT / "reports" / "conformance.json").read_text(encoding="utf-8"))
    found = []
    for start in range(0, len(whole["cases"]), max(1, len(whole["cases"]) // 6)):
        cases = whole["cases"][start : start + 2]
        rows = {name: rows[:2] for name, rows in whole["accuracy"].items()}
        small = {**whole, "cases": cases, "matrices": whole["matrices"][:1], "accuracy": rows}
        found.append(json.dumps(small, indent=1).encode())
    return found
