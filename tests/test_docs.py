"""What the tutorial and CONTRIBUTING.md show is what happens; so are the other pages' commands."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from itertools import pairwise
from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner

import harness
import harness.case.suite
from harness.cli import cli
from harness.targets.spec import GROUP

torch.set_num_threads(1)

ROOT = Path(__file__).parents[1]
WHOLE = ["docs/tutorial.md", "docs/known.md", "CONTRIBUTING.md"]
"""Pages of which each fenced block is carried out, in order."""

PAGES = ["docs/adequacy.md", "docs/explain.md", "docs/reports.md"]
"""Pages whose indented commands are run, for their status."""


def read(page):
    """Return the text of a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page):
    """Return language and text of each fenced block."""
    return re.findall(r"^```(\w+)\n(.*?)^```", read(page), re.MULTILINE | re.DOTALL)


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """Stand in a folder that has what a clone has; cases may be added to it."""
    shutil.copytree(ROOT / "cases", tmp_path / "cases")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for name in ("workers", "case", "adequacy"):
        (tmp_path / "harness" / name).mkdir(parents=True)
    (tmp_path / "harness/adequacy/planted").mkdir()
    worker = "harness/workers/torch_worker.py"
    (tmp_path / worker).symlink_to(ROOT / worker)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def ran(command):
    """Return the lines that a command prints; it must have found its way to a result."""
    first, *words = shlex.split(command.replace("python3 ", f"{shlex.quote(sys.executable)} "))
    assert first == "bn-harness"
    done = CliRunner().invoke(cli, words)
    assert done.exit_code in (0, 1), f"{command}: {done.output}"
    return [line.rstrip() for line in done.stdout.strip().splitlines()]


def shown_in(shown, printed):
    """Whether lines were printed, in order; a line of three dots, or three at its end, is any."""
    pattern = "".join(
        r"(?:.*\n)*?" if line == "..." else re.escape(line).replace(r"\.\.\.", ".*") + r"\n"
        for line in shown
    )
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in printed)) is not None


def carried_out(language, text, folder):
    """Carry out one block: run its commands, write its file, run its Python."""
    if language == "console":
        starts = [match.start() for match in re.finditer(r"^\$ ", text, re.MULTILINE)]
        for start, end in pairwise([*starts, len(text)]):
            command, _, shown = text[start + 2 : end].partition("\n")
            printed = ran(command)
            assert shown_in([line.rstrip() for line in shown.strip().splitlines()], printed), (
                f"{command}\nprints\n" + "\n".join(printed)
            )
    first, rest = text.split("\n", 1)
    if language == "yaml" and (named := re.fullmatch(r"# (\S+\.yaml)", first)):
        (folder / named[1]).parent.mkdir(exist_ok=True)
        (folder / named[1]).write_text(text)
    if language != "python":
        return
    if changed := re.fullmatch(r"# in (\S+), for (.+)", first):
        path = folder / changed[1]
        lines = path.read_text().splitlines(keepends=True)
        (place,) = [k for k, line in enumerate(lines) if line.strip().startswith(changed[2])]
        path.write_text("".join([*lines[:place], rest, *lines[place + 1 :]]))
    elif named := re.fullmatch(r"# (\S+\.py)", first):
        (folder / named[1]).write_text(text)
        if named[1].startswith("test_"):
            exec(f"{text}\n\ntest_it_is_a_drop_in()", {})  # noqa: S102  # the documentation's own
    else:
        exec(text, {})  # noqa: S102  # the documentation's own


@pytest.mark.parametrize("page", WHOLE)
def test_the_page_is_carried_out(page, clone):
    """Each block in order: files are written, Python runs, commands print what is shown."""
    for language, text in blocks(page):
        carried_out(language, text, clone)

    assert len(blocks(page)) >= 5


def test_the_entry_point_of_contributing_is_the_harness_s():
    """The group that a package registers its targets under is the one that is looked up."""
    (toml,) = [text for language, text in blocks("CONTRIBUTING.md") if language == "toml"]

    assert f'[project.entry-points."{GROUP}"]' in toml


def test_the_find_of_the_search_is_a_case(tmp_path):
    """The file that docs/fuzz.md shows holds one case, on which the reference agrees."""
    (text,) = [text for language, text in blocks("docs/fuzz.md") if language == "yaml"]
    path = tmp_path / "find.yaml"
    path.write_text(text, encoding="utf-8")
    (case,) = harness.run(path).cases

    assert case.results["reference"].verdict == "agree"


def commands(page, where=r"^    (?:\$ )?(bn-harness .*)$"):
    """Return the commands of indented lines, or others, continued lines joined."""
    joined = read(page).replace("\\\n", " ")
    found = re.findall(where, joined, re.MULTILINE)
    return [re.sub(r"\s+#.*", "", command) for command in found]


ANYWHERE = (
    r"^(?:    )?(?:\$ |- run: )?(bn-harness [a-z][^|>&\n]*)",
    r"`(bn-harness [a-z][^`]*)`",
)


DOCUMENTS = [*ROOT.glob("*.md"), *sorted(ROOT.glob("docs/*.md"))]
EVERY = [
    (page.name, command)
    for page in DOCUMENTS
    for where in ANYWHERE
    for command in commands(page, where)
]


def test_every_command_of_every_page_is_understood():
    """Verbs and options exist, also where a command takes too long to be run here."""
    wrong = []
    for page, command in EVERY:
        _, verb, *words = shlex.split(command)
        known = cli.get_command(click.Context(cli), verb)
        try:
            known.make_parser(click.Context(known)).parse_args(words)
        except (AttributeError, click.UsageError) as error:
            wrong.append((page, command, error))

    assert len(EVERY) > 50
    assert wrong == []


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_run(page, clone, monkeypatch):
    """Each command is understood and ends with a result, on a suite of one file."""
    (clone / "mine.py").write_text("from harness.reference import BatchNorm2d\n")
    load = harness.case.suite.load
    few = [clone / "cases/edge/counter.yaml"]
    monkeypatch.setattr("harness.case.suite.load", lambda paths=(): load(paths or few))
    for name in ("old.json", "new.json"):
        ran(f"bn-harness run --target mine.py:BatchNorm2d --report {name}")
    found = [each for each in commands(page) if not each.startswith("bn-harness adequacy")]
    for command in found:
        ran(command)

    assert found
