"""``bn-harness new``: a case appended, what stood there kept."""

from __future__ import annotations

import pytest
import torch

from harness.case.files import shipped
from harness.case.suite import load
from harness.cli import main

torch.set_num_threads(1)

THERE = """# top

  - id: there   # odd   spacing
    why:  "it was there"
    module: {num_features:  2}
    steps: []
# end"""


def new(*arguments):
    """Return the status of ``bn-harness new``."""
    with pytest.raises(SystemExit) as end:
        main(["new", *arguments])
    return end.value.code


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Return a case file with comments."""
    monkeypatch.chdir(tmp_path)
    # The suite is read to see which ids are taken: a small one is read sooner.
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite" / "some.yaml").write_text(THERE.replace("there", "shipped"))
    monkeypatch.setattr("harness.case.scaffold.shipped", lambda: tmp_path / "suite")
    path = tmp_path / "cases.yaml"
    path.write_text(THERE)
    return path


def only(path, name):
    """Return a case of a file."""
    return next(case for _, case in load([path]).cases() if case.id == name)


def test_what_stood_there_is_kept(file):
    """Comments, order and spacing of the file stay as they are; the case follows."""
    status = new("mine", "--why", "a fact.", "--file", str(file))
    text = file.read_text()

    assert status == 0
    assert text.startswith(THERE + "\n\n  - id: mine\n    why: a fact.\n")


def test_lines_end_as_they_did(file):
    """In a file whose lines end in CRLF the new ones do, too."""
    file.write_bytes(THERE.replace("\n", "\r\n").encode())
    new("mine", "--why", "a fact.", "--file", str(file))
    text = file.read_bytes()

    assert text.startswith(THERE.replace("\n", "\r\n").encode() + b"\r\n\r\n  - id: mine\r\n")
    assert text.count(b"\n") == text.count(b"\r\n")


def test_what_is_asked_for_is_in_the_case(file):
    """Each option is in the case, and what is left out is not."""
    options = "--shape 2x3x4x4 --momentum none --steps TE --grad --fill ones --no-affine"
    new("mine", "--why", "w", "--tag", "a", "--eps", "0.5", *options.split(), "--file", str(file))
    case = only(file, "mine")

    assert case.module.arguments() == {
        "affine": False,
        "eps": 0.5,
        "momentum": None,
        "num_features": 3,
    }
    assert [step.kind for step in case.steps] == ["train", "eval"]
    assert case.gradients


def test_the_result_is_shown(file, capsys):
    """Standard output has the table of torch and the reference."""
    new("mine", "--why", "w", "--file", str(file))
    out, err = capsys.readouterr()

    assert "torch (baseline)" in out
    assert "appended to cases.yaml; run it by: bn-harness run cases.yaml::mine" in err


@pytest.mark.parametrize("channels", [0, 1, 5])
def test_the_inputs_have_the_channels_that_are_asked_for(file, channels):
    """Where no shape is given, the module can take what the steps put into it."""
    status = new("mine", "--why", "w", "--num-features", str(channels), "--file", str(file))
    (step,) = only(file, "mine").steps

    assert (status, step.train.input.size) == (0, (4, channels, 3, 3))


@pytest.mark.parametrize("name", ["cases.yml", "cases", "known.yaml", "-"])
def test_a_name_that_no_folder_is_searched_for_is_refused(file, capsys, name):
    """What is appended is found by who runs the folder."""
    status = new("mine", "--why", "w", "--file", str(file.parent / name))

    assert (status, (file.parent / name).exists()) == (2, False)
    assert "choose another name that ends in .yaml" in capsys.readouterr().err


@pytest.mark.parametrize("before", ["", "# nothing yet\n", "[]\n", "# none\n[]"])
def test_a_file_without_cases_is_begun(file, before):
    """A new file, an empty one, comments alone and an empty list take a first case."""
    file.write_text(before)
    status = new("mine", "--why", "w", "--file", str(file))

    assert status == 0
    assert only(file, "mine").why == "w"


def test_a_file_that_is_not_there_is_made(file):
    """Its folder is made too."""
    path = file.parent / "new" / "cases.yaml"
    new("mine", "--why", "w", "--file", str(path))

    assert only(path, "mine").id == "mine"


def test_a_case_of_a_matrix_is_written_out(file):
    """From a matrix case comes a hand-written one with the same module, state and steps."""
    case = next(load([shipped() / "core" / "momentum.yaml"]).cases())[1]
    new("mine", "--why", "w", "--from", f"{case.id}[mypkg:Norm]", "--file", str(file))
    mine = only(file, "mine")

    assert (mine.module, mine.state, mine.steps) == (case.module, case.state, case.steps)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["there"], "the id 'there' is taken by cases.yaml:3"),
        (["mine", "--fill", "none"], "choose one of"),
        (["mine", "--fill", "offset(mean=3)"], "say offset, and write its parameters into"),
        (["mine", "--dtype", "half"], "no valid case: dtype: 'half' is not one of float16, "),
        (["mine", "--layout", "nhwc"], "no valid case: layout: 'nhwc' is not one of contiguous"),
        (["shipped"], "taken by suite/some.yaml:3"),
        (["a:b"], "an id is a word"),
        (["mine", "--layout", "upside-down"], "layout"),
        (["mine", "--dtype", "float8"], "dtype"),
        (["mine", "--steps", "TX"], "write T for a train step"),
        (["mine", "--shape", "2,x"], "should be sizes"),
        (["mine", "--momentum", "much"], "neither a number nor 'none'"),
        (["mine", "--from", "no-such-case"], "no case of the suite"),
        (["mine", "--from", "momentum-true-is-one", "--eps", "1"], "takes the whole case"),
        (["mine", "--why", ""], "at least one character"),
    ],
)
def test_what_is_not_valid_leaves_the_file_alone(file, capsys, arguments, message):
    """The status is 2, the mistake is named, and nothing is written."""
    status = new("--why", "w", "--file", str(file), *arguments)

    assert status == 2
    assert message in capsys.readouterr().err
    assert file.read_text() == THERE


@pytest.mark.parametrize(
    "content",
    ["[{id: a, why: b, module: {num_features: 1}, steps: []}]\n", "a: b\n", "- id: a\n", "- [\n"],
)
def test_a_file_that_cannot_be_appended_to_is_left_alone(file, content):
    """A list in flow style, a mapping, an invalid case: the file stays as it is."""
    file.write_text(content)

    assert new("mine", "--why", "w", "--file", str(file)) == 2
    assert file.read_text() == content


def test_what_torch_refuses_is_said(file, capsys):
    """A case whose step torch refuses without the case's word for it is told with that word."""
    new("one", "--why", "w", "--shape", "1,2,1,1", "--file", str(file))
    refused = capsys.readouterr().err
    new("two", "--why", "w", "--file", str(file))

    assert "torch refuses step 1: ValueError: Expected more than 1 value" in refused
    assert "say so: raises: {type: ValueError}" in refused
    assert "refuses" not in capsys.readouterr().err
