"""The harness from Python."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import harness
from harness.case.model import Case
from harness.errors import InvalidInput
from harness.reference import BatchNorm2d

torch.set_num_threads(1)


class Biased(BatchNorm2d):
    """Shrinks its running variance."""

    def __call__(self, given):
        """Normalise; the variance shrinks."""
        output = super().__call__(given)
        if self.running_var is not None:
            self.running_var *= 0.9
        return output


class Unbiased(BatchNorm2d):
    """Is right."""


class Empty(BatchNorm2d):
    """Is not there yet."""

    def __call__(self, given):
        """Refuse."""
        raise NotImplementedError(f"nothing for {given.dtype}")


def case(name="one", **more):
    """Return a case."""
    given = {"shape": [4, 2, 3, 3], "fill": "normal", "seed": 1}
    plain = {
        "id": name,
        "why": f"to see {name}.",
        "module": {"num_features": 2},
        "steps": [{"train": {"input": given}}],
    }
    return Case.model_validate({**plain, **more})


def test_a_class_is_judged_by_cases():
    """A class and Case objects give a report that is asked by id."""
    report = harness.run([case("one"), case("two")], [Biased, torch.nn.BatchNorm2d])
    mine, theirs = report.targets

    assert report["two"].results[mine].verdict == "diverge"
    assert report["two"].results[theirs].bitwise_equal
    assert report.summary[mine].diverge == 2


def test_what_is_public_is_listed():
    """The functions that load when they are called are in dir(harness) before."""
    listed = subprocess.run(
        [sys.executable, "-c", "import harness; print(*dir(harness))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert set(harness.__all__) <= set(listed)


def test_a_single_case_needs_no_list():
    """One case, and one path, are taken as they are."""
    assert harness.run(case()).summary["reference"].cases == 1


def test_a_file_and_a_case_run_together(tmp_path):
    """Paths and Case objects can be mixed."""
    (tmp_path / "more.yaml").write_text(
        "- {id: more, why: it is., module: {num_features: 1}, steps: [{call: deepcopy}]}\n"
    )
    report = harness.run([case(), tmp_path / "more.yaml"])

    assert [each.id for each in report.cases] == ["more", "one"]


@pytest.mark.parametrize("call", [harness.run, partial(harness.assert_conforms, "reference")])
def test_a_case_that_torch_refuses_unforeseen_is_a_warning(call):
    """A report of a case with more channels than its input warns of torch's error."""
    with pytest.warns(UserWarning, match="one: torch refuses step 1: RuntimeError: running_mean"):
        call(cases=case(module={"num_features": 3}))


def test_an_id_names_one_case():
    """Two cases of one id cannot be told apart in a report, and are refused."""
    with pytest.raises(InvalidInput, match="2 cases have the id 'one'"):
        harness.run([case(), case()])


def test_an_unknown_id_is_told():
    """Asking a report for a case that it does not list says so."""
    with pytest.raises(KeyError, match="nobody: not listed"):
        harness.run(case())["nobody"]


def test_a_target_that_is_named_twice_is_judged_once():
    """Repeating a target does not count its cases twice."""
    assert harness.run(case(), ["reference", "reference"]).summary["reference"].cases == 1


def test_cases_are_selected_by_tags_and_words():
    """Tags and words in ids choose among the cases, and the report says so."""
    cases = [case("one", tags=["a"]), case("two", tags=["b"]), case("three", tags=["b"])]
    report = harness.run(cases, tags=["b"], expression="not two")

    assert [each.id for each in report.cases] == ["three"]
    assert report.selection == {"cases": ["(python)"], "tags": ["b"], "expression": "not two"}


def test_the_selection_is_told_as_the_command_tells_it(tmp_path):
    """Files, and cases made in Python, are named in the report where they are not the suite."""
    path = tmp_path / "mine.yaml"
    path.write_text(
        "- {id: own, why: it is., module: {num_features: 1}, steps: [{call: deepcopy}]}\n"
    )

    assert harness.run(path).selection == {"cases": [str(path)]}
    assert harness.run([path, case()]).selection == {"cases": ["(python)", str(path)]}
    assert harness.run(f"{path}::ow*").selection == {"cases": [f"{path}::ow*"]}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: harness.run(case(), accuracy="tre"), "accuracy: expected one of wide, tree,"),
        (lambda: harness.run(case(), [case]), "not the function case; call it in a class"),
        (lambda: harness.run(case(), case), "not the function case; call it in a class"),
        (lambda: harness.run(case(), torch.batch_norm), "not the function batch_norm; call it in"),
        (lambda: harness.run(case(), partial(case)), "not the function partial; call it in"),
        (lambda: harness.run(case(), Unbiased(2)), "an instance of Unbiased; name the class"),
        (lambda: harness.run(5), "a case is a path or a Case, not an instance of int"),
        (lambda: harness.run([case(), None]), "not an instance of NoneType"),
        (lambda: harness.explain(5), "a case is named by a text, or is a Case, not .* int"),
        (lambda: harness.run(case(), sample=0), "no case is selected by sample 0"),
        (lambda: harness.run(case(), tags=5), "tags: expected str, or a list of them, got 5"),
        (lambda: harness.run(case(), known=[5]), "known: expected str or path, or a list of them"),
        (lambda: harness.run(case(), [["torch"]]), "not a list: run takes several, assert_"),
        (lambda: harness.assert_conforms([Unbiased]), "not a list: .* assert_conforms and explain"),
        (lambda: harness.explain(case(), ["torch"]), "not a list: .* assert_conforms and explain"),
        (lambda: harness.explain(case(), {"torch": 1}), "not a dict: run takes several"),
        (lambda: harness.explain(case(), against=["torch"]), "a target is a SPEC or a class, not"),
    ],
)
def test_what_cannot_be_used_is_told(call, message):
    """An argument of no use is one error, whose text says which and what it should be."""
    with pytest.raises(InvalidInput, match=message):
        call()


def test_conformance_is_asserted_of_a_part_against_another():
    """assert_conforms takes a baseline, words in ids and a sample, and its report says which."""
    cases = [case("one"), case("two"), case("three")]
    report = harness.assert_conforms(
        Unbiased, cases, against="reference", expression="not two", sample=1
    )

    assert report.baseline == "reference"
    assert report.selection == {"cases": ["(python)"], "expression": "not two", "sample": 1}
    assert report.summary[report.targets[0]].cases == 1


def test_the_shipped_suite_is_the_default(monkeypatch, tmp_path):
    """Without cases the suite that comes with the package runs, here one of a single case."""
    (tmp_path / "suite.yaml").write_text(
        "- {id: own, why: it is., module: {num_features: 1}, steps: [{call: deepcopy}]}\n"
    )
    for module in ("case.suite", "case.files", "known"):
        monkeypatch.setattr(f"harness.{module}.shipped", lambda: tmp_path)

    assert harness.run().summary["reference"].cases == 1


KNOWN = """
- target: test_api:Biased
  case: {case}
  quantity: running_var
  reason: it shrinks.
  link: https://example.org/1
"""


def test_known_divergences_of_a_file_are_no_failures(tmp_path):
    """What a file lists is known: assert_conforms does not fail for it."""
    (tmp_path / "mine.yaml").write_text(KNOWN.format(case="one"))
    report = harness.assert_conforms(Biased, case("one"), known=tmp_path / "mine.yaml")

    assert report["one"].results[report.targets[0]].reason == "it shrinks."


def test_a_stale_known_divergence_is_told(tmp_path):
    """An entry that no longer diverges fails assert_conforms, and is a warning of run."""
    (tmp_path / "mine.yaml").write_text(
        KNOWN.format(case="one").replace("test_api:B", "test_api:Unb")
    )
    stale = "mine.yaml:2:3: one no longer diverges in running_var for test_api:Unbiased; remove"

    with pytest.raises(AssertionError, match=stale):
        harness.assert_conforms(Unbiased, case("one"), known=str(tmp_path / "mine.yaml"))
    with pytest.warns(UserWarning, match=stale):
        harness.run(case("one"), Unbiased, known=[tmp_path / "mine.yaml"])


def test_one_target_and_one_tag_need_no_list():
    """A class, a SPEC or a tag alone is one of them, not a sequence of letters."""
    by_spec = harness.run("cases/seed", "reference", tags="train")
    by_class = harness.run("cases/seed", BatchNorm2d, tags=["train"])

    assert by_spec.targets == ["reference"]
    assert by_spec.summary["reference"].cases == by_class.summary[by_class.targets[0]].cases > 0


def test_a_report_shows_itself_in_a_notebook():
    """A report has a Markdown form that notebooks find by themselves."""
    assert harness.run(case())._repr_markdown_().startswith("# Conformance")


def test_a_case_of_a_report_shows_itself_in_a_notebook():
    """What is found by an id says what each target did, and by how much it is off."""
    shown = harness.run([case("one")], [Biased])["one"]._repr_markdown_()

    assert shown.startswith("`one` (")
    assert f"- `{Biased.__module__}:Biased`: diverge" in shown
    assert "    - `step 1: running_var[0] is " in shown


def test_a_case_is_made_of_keywords():
    """harness.Case is what `case` makes here, and what `run` takes."""
    made = harness.Case(id="made", why="it is.", module={"num_features": 2})

    assert harness.run(made).summary["reference"].agree == 1


def test_no_targets_are_refused():
    """An empty list of targets is a mistake, not the default."""
    with pytest.raises(InvalidInput, match="targets: there are none; name at least one"):
        harness.run(case(), [])


def test_what_conforms_returns_its_report():
    """assert_conforms gives the evidence of what passed."""
    assert harness.assert_conforms("reference", case()).summary["reference"].agree == 1


def test_what_diverges_is_told_with_the_evidence():
    """The AssertionError counts the cases, and says why each is there and what is wrong in it."""
    with pytest.raises(AssertionError) as failure:
        harness.assert_conforms(Biased, [case("one"), case("two")], shown=1)
    message = str(failure.value)

    assert message.startswith("2 of 2 cases diverge from torch")
    assert "why: to see one." in message
    assert "running_var[" in message
    assert "why: to see two." not in message


def test_what_supports_no_case_does_not_conform():
    """A class that refuses every case is no drop-in, and the message says why."""
    with pytest.raises(AssertionError, match="no case could be judged: nothing for float32"):
        harness.assert_conforms(Empty, case())


def test_what_is_absent_does_not_conform(monkeypatch):
    """A target that cannot run here has not been shown to conform."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    with pytest.raises(AssertionError, match="no case could be judged: no CUDA device"):
        harness.assert_conforms("torch:device=cuda", case())


def test_another_baseline_defines_what_is_expected():
    """A wrong baseline is found inaccurate, and not held against who is right."""
    report = harness.run(case(), ["torch"], against=f"{__name__}:Biased")

    assert report["one"].results["torch"].verdict == "baseline_inaccurate"


def test_names_that_the_package_does_not_have_are_refused():
    """A misspelled name is an AttributeError, as of any module."""
    with pytest.raises(AttributeError, match="no attribute 'runn'"):
        harness.runn  # noqa: B018  # the access is what is tried


def test_importing_the_package_is_light():
    """Importing harness imports neither torch nor numpy."""
    text = "import sys, harness; assert not {'torch', 'numpy', 'pydantic'} & set(sys.modules)"

    subprocess.run([sys.executable, "-c", text], check=True)  # this Python


class Sequential(BatchNorm2d):
    """Is as exact as sums of float32 values one after the other."""

    def __call__(self, given):
        """Normalise by them."""
        total = np.add.accumulate(given, axis=0, dtype=np.float32)[-1].sum((1, 2))
        mean = total / np.float32(given.size / given.shape[1])
        deviation = given - mean[:, None, None]
        squares = np.add.accumulate(deviation * deviation, axis=0, dtype=np.float32)[-1]
        var = squares.sum((1, 2)) / np.float32(given.size / given.shape[1])
        return deviation / np.sqrt(var + np.float32(self.eps))[:, None, None]


def test_a_class_that_fails_by_its_accuracy_alone_is_told_which_it_has():
    """Sums in sequence are outside the standard bound, and inside that of sums in any order."""
    given = {"shape": [65537, 2, 1, 1], "fill": "normal", "mean": 3.0, "std": 2.0, "seed": 1}
    long = case(
        module={"num_features": 2, "affine": False, "track_running_stats": False},
        steps=[{"train": {"input": given}}],
    )

    with pytest.raises(AssertionError, match="within the bounds of --accuracy any-order"):
        harness.assert_conforms(Sequential, long)
    assert harness.assert_conforms(Sequential, long, accuracy="any-order")


MISUSE = """\
import harness

def test_case():
    harness.assert_conforms("reference", "nowhere.yaml")

def test_target():
    harness.assert_conforms("nobody", "cases/seed")

def test_accuracy():
    harness.assert_conforms("reference", "cases/seed", accuracy="tre")

def test_run():
    harness.run("cases/seed", expression="and and")

def test_explain():
    harness.explain("cases/seed/nowhere.yaml::one")
"""


def test_where_in_the_harness_an_argument_is_refused_is_not_shown(pytester):
    """A wrong use leaves the test's own line as the last that pytest shows, and no frame else."""
    pytester.makepyfile(test_misuse=MISUSE)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")

    result.assert_outcomes(failed=5)
    places = [line for line in result.outlines if line.endswith(": InvalidInput")]
    assert places == [f"test_misuse.py:{number}: InvalidInput" for number in (4, 7, 10, 13, 16)]
    assert "harness/" not in result.stdout.str().partition("FAILURES")[2]


def test_what_repeats_a_case_of_a_class(tmp_path, monkeypatch):
    """A class is named by its file where its module has no package; a local one is called."""

    class Local(Biased):
        class Inner(Biased):
            pass

    path = tmp_path / "mine.yaml"
    path.write_text(
        "- id: own\n  why: it is.\n  module: {num_features: 1}\n"
        "  steps: [{train: {input: {values: [[[[1.0, 2.0]]]]}}}]\n"
    )
    monkeypatch.chdir(Path(__file__).parents[1])
    told = []
    for cls in (Biased, Local, Local.Inner):
        with pytest.raises(AssertionError) as failed:
            harness.assert_conforms(cls, path, accuracy="wide")
        told.append(str(failed.value).rpartition("reproduce: ")[2])

    assert told == [
        f"bn-harness run {path}::own --target tests/test_api.py:Biased --accuracy wide",
        f"harness.assert_conforms(Local, '{path}::own', accuracy='wide')",
        f"harness.assert_conforms(Local.Inner, '{path}::own', accuracy='wide')",
    ]


WRONG = """
from harness.reference import BatchNorm2d

class Wrong(BatchNorm2d):
    def train(self, mode=True):
        return self
"""
ASKED = 'import harness\nharness.assert_conforms({}, "cases/seed", shown=1)\n'


def test_a_class_of_a_script_is_called_and_one_of_a_package_named(tmp_path, monkeypatch):
    """No command imports what Python runs as its script; a package is found by its own name."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/__init__.py").write_text(WRONG)
    asked = {"script.py": WRONG + ASKED.format("Wrong"), "other.py": ASKED.format('"mine:Wrong"')}
    monkeypatch.chdir(tmp_path)
    told = []
    for name, text in asked.items():
        (tmp_path / name).write_text(text)
        done = subprocess.run(  # this Python
            [sys.executable, name], capture_output=True, text=True, check=False
        )
        told.append(done.stderr.rpartition("reproduce: ")[2].split())

    (call, _), (*_, target) = told
    assert call == "harness.assert_conforms(Wrong,"
    assert target == "mine:Wrong"
