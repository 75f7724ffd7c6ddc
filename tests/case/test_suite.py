"""Which cases of which files are read and selected."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import HEAD

from harness.case.files import shipped, shown_name
from harness.case.suite import Selection, load
from harness.errors import InvalidCases, InvalidInput

MATRIX = """\
- id: m
  why: because.
  tags: [many]
  matrix: {shape: [[2, 3]], fill: ones, momentum: [0, 1, null], seed: [0, 1, 2, 3, 4, 5, 6, 7]}
"""


def case(name, tags="[]"):
    """Return the text of a case."""
    return HEAD.replace("id: a", f"id: {name}") + f"  tags: {tags}\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder with two case files and a file of known divergences."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "one.yaml").write_text(case("eps-one", "[x]") + case("eps-two", "[x, y]"))
    (tmp_path / "two.yaml").write_text(MATRIX + case("momentum"))
    (tmp_path / "known.yaml").write_text("- target: a\n")
    return tmp_path


def ids(suite):
    """Return the ids of a suite's cases."""
    return [each.id for _, each in suite.cases()]


def test_folder(folder):
    """A folder is its case files and those of its folders, in order of name and line."""
    suite = load([folder])

    assert [(e.file, e.line, e.matrix) for e in suite.entries] == [
        ("sub/one.yaml", 1, None),
        ("sub/one.yaml", 5, None),
        ("two.yaml", 1, "m"),
        ("two.yaml", 5, None),
    ]
    assert len(ids(suite)) == 27


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        (["sub/one.yaml"], ["eps-one", "eps-two"]),
        (["sub/one.yaml::eps-t*"], ["eps-two"]),
        (["two.yaml::m/momentum=1,seed=[01]"], ["m/momentum=1,seed=0", "m/momentum=1,seed=1"]),
        ([".::*e*-?n?"], ["eps-one"]),
        (["sub/one.yaml::eps-one", "sub/one.yaml::eps-two"], ["eps-one", "eps-two"]),
        (["sub/one.yaml::eps-one", "sub"], ["eps-one", "eps-two"]),
    ],
)
@pytest.mark.usefixtures("folder")
def test_selectors(selectors, expected):
    """A file, a folder, or either with a glob of ids."""
    assert ids(load(selectors)) == expected


@pytest.mark.parametrize(
    ("selectors", "known"), [(["."], 1), (["two.yaml", "."], 1), (["two.yaml"], 1), (["sub"], 0)]
)
@pytest.mark.usefixtures("folder")
def test_known_divergences_are_found_with_the_cases(selectors, known):
    """known.yaml belongs to a folder that is given, and to a file that it lies beside."""
    assert len(load(selectors).known) == known


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("three.yaml", "three.yaml: no such file or folder"),
        ("two.yaml::eps*", "two.yaml::eps*: no case has an id that matches 'eps*'"),
        ("sub::momentum", "sub::momentum: no case has an id that matches 'momentum'"),
        (
            "known.yaml",
            "known.yaml: holds known divergences, no cases; it is read with those beside it",
        ),
        ("empty", "empty: the folder has no case files (*.yaml)"),
        ("", "an empty path; name a case file or a folder"),
    ],
)
def test_nothing_found(folder, selector, message):
    """A selector that finds nothing is an error with its reason."""
    (folder / "empty").mkdir()
    with pytest.raises(InvalidInput) as caught:
        load([selector])

    assert str(caught.value) == message


def test_a_folder_that_cannot_be_read_is_said_to_be(folder, monkeypatch):
    """No folder is left out in silence, and what is read is not called output."""

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(InvalidInput, match=r": cannot be read: Permission denied"):
        load([folder])


def test_all_mistakes_of_all_files(folder):
    """The mistakes of all files are told together, in order of file and place."""
    (folder / "a.yaml").write_text("- 1\n- [\n")
    (folder / "b.yaml").write_text(case("eps-two") + "  tga: 3\n- 2\n")
    with pytest.raises(InvalidCases) as caught:
        load(["two.yaml", "b.yaml", "a.yaml"])

    assert [mistake.split(" ")[0] for mistake in caught.value.mistakes] == [
        "a.yaml:3:1:",
        "b.yaml:5:3:",
        "b.yaml:6:3:",
    ]


def test_an_id_is_taken_by_what_is_wrong_otherwise(folder):
    """An id that stands twice is told with the other mistakes of the first that has it."""
    (folder / "a.yaml").write_text(case("twice") + "  tga: 3\n" + case("twice"))
    with pytest.raises(InvalidCases) as caught:
        load(["a.yaml"])

    assert [mistake.partition(": ")[0] for mistake in caught.value.mistakes] == [
        "a.yaml:5:3",
        "a.yaml:6:1",
    ]


def test_duplicate_ids(folder):
    """An id may stand once in all files."""
    (folder / "z.yaml").write_text(case("eps-two"))
    with pytest.raises(InvalidCases) as caught:
        load(["."])

    assert str(caught.value) == "z.yaml:1:1: the id 'eps-two' is taken by sub/one.yaml:5"


def test_id_of_a_matrix_case(folder):
    """A case by hand may not have an id that a matrix spells."""
    (folder / "a.yaml").write_text(case("m/momentum=0,seed=0") + case("m/other"))
    with pytest.raises(InvalidCases) as caught:
        load(["."])

    assert str(caught.value) == "a.yaml:1:1: the id 'm/momentum=0,seed=0' is taken by two.yaml:1"


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(expression="eps and not two"), ["eps-one"]),
        (Selection(expression="one or two"), ["eps-one", "eps-two"]),
        (Selection(tags=("y",)), ["eps-two"]),
        (Selection(tags=("x", "none")), ["eps-one", "eps-two"]),
        (Selection(tags=("x",), expression="two"), ["eps-two"]),
        (Selection(sample=0), []),
    ],
)
@pytest.mark.usefixtures("folder")
def test_selection(selection, expected):
    """Words of the id and tags select, all parts together."""
    assert ids(load(["."]).select(selection)) == expected


@pytest.mark.parametrize("expression", ["and", "a b", "(a", "a and", "(" * 5000])
@pytest.mark.usefixtures("folder")
def test_bad_expression(expression):
    """An expression that cannot be read is an error that names the option."""
    with pytest.raises(InvalidInput, match=r"^-k .*; join words by and, or, not"):
        ids(load(["."]).select(Selection(expression=expression)))


@pytest.mark.parametrize("shard", [(0, 3), (4, 3), (1, 0)])
def test_bad_shard(shard):
    """A shard is one of 1 to N."""
    with pytest.raises(InvalidInput, match="choose I/N with I from 1 to N"):
        Selection(shard=shard)


def test_bad_sample():
    """A sample is not negative."""
    with pytest.raises(InvalidInput, match="a sample of -1 cases"):
        Selection(sample=-1)


@pytest.mark.parametrize("count", [1, 5, 27, 100])
@pytest.mark.usefixtures("folder")
def test_sample(count):
    """A sample has exactly as many cases as asked for, if there are so many."""
    assert len(ids(load(["."]).select(Selection(sample=count)))) == min(count, 27)


def test_sample_is_stable(folder):
    """A case that is added displaces at most one other of the sample."""
    before = ids(load(["."]).select(Selection(sample=10)))
    (folder / "z.yaml").write_text(case("added"))
    after = ids(load(["."]).select(Selection(sample=10)))

    assert len({*before} - {*after}) <= 1


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Return a suite of one matrix and one case."""
    path = tmp_path_factory.mktemp("small") / "small.yaml"
    path.write_text(MATRIX + case("momentum"))
    return load([path])


@settings(max_examples=30, deadline=None)
@given(parts=st.integers(1, 9), sample=st.none() | st.integers(0, 30))
def test_shards(small, parts, sample):
    """The shards of a selection have each of its cases once; samples are drawn before."""
    whole = ids(small.select(Selection(sample=sample)))
    shards = [
        name
        for part in range(1, parts + 1)
        for name in ids(small.select(Selection(sample=sample, shard=(part, parts))))
    ]

    assert sorted(shards) == sorted(whole)


def test_shown_name(folder):
    """The shipped suite's files have one name wherever the harness runs."""
    assert shown_name(shipped() / "core" / "a.yaml") == "cases/core/a.yaml"
    assert shown_name(folder / "sub" / "one.yaml") == "sub/one.yaml"


def test_shipped():
    """The shipped suite is valid, and what no selector names."""
    assert {entry.file.split("/")[0] for entry in load().entries} == {"cases"}


def test_light_import():
    """Reading cases needs neither torch nor pytest."""
    code = "import sys, harness.case.suite as suite; suite.load(); "
    code += "print({'torch', '_pytest'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"


def test_fast_expansion():
    """Ten thousand matrix cases are made in well under three seconds."""
    suite = load([shipped() / "core" / "flags.yaml"])
    start = time.process_time()
    count = sum(1 for _ in suite.cases())

    assert time.process_time() - start < 3 * max(count, 10_000) / 10_000


def test_a_shipped_file_is_found_by_its_name_in_reports(folder):
    """A name that a report prints selects the shipped file from any folder, unless one is there."""
    name = "cases/seed/notebook.yaml"
    shown = {entry.file for entry in load([name]).entries}
    (folder / "cases" / "seed").mkdir(parents=True)
    (folder / name).write_text(case("mine"))

    assert shown == {name}
    assert ids(load([name])) == ["mine"]
