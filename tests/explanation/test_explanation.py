"""A case explained: the numbers that one would work out on paper."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import harness
from harness.case.model import Case
from harness.case.suite import load
from harness.errors import InvalidInput
from harness.explanation.blocks import short
from harness.explanation.forms import sparkline, to_markdown
from harness.explanation.plot import svg
from harness.reference import BatchNorm2d

torch.set_num_threads(1)

ROOT = Path(__file__).parents[2]
NOTEBOOK = list(load(["cases/seed"]).cases())
EVERY_KIND = {
    "id": "every-kind",
    "why": "to be told <b>| `whole`.",
    "module": {"num_features": 1, "momentum": None},
    "steps": [
        {"train": {"input": {"values": [[[[1, 2], [3, 6]]]]}, "grad_output": {"fill": "ones"}}},
        {"save": "it"},
        {"set": {"weight": [2.0], "bias": [-1.0]}},
        {"load": {"from": "it"}},
        {"call": "reset_running_stats"},
        {"cast": "float64"},
        {"eval": {"input": {"shape": [40, 1, 2, 1], "fill": "normal", "seed": 1}}},
        {"train": {"input": {"values": [[[[1]]]]}, "raises": {"type": "ValueError"}}},
    ],
}


class Half(BatchNorm2d):
    """Returns a half of the output."""

    def __call__(self, given):
        """Normalise a half."""
        return super().__call__(given) / 2


def told(target="reference"):
    """Return the explanation of a case with every kind of step."""
    return harness.explain(Case.model_validate(EVERY_KIND), target)


OLD = """
import sys
sys.path.insert(0, {folder!r})
import torch_worker
torch_worker.torch.__version__ = "1.9.0"
torch_worker.main()
"""


def test_a_case_is_explained_for_the_baselines_version(tmp_path):
    """What holds before torch 2 is explained where the baseline is older, and refused elsewhere."""
    (tmp_path / "old.py").write_text(OLD.format(folder=f"{ROOT}/harness/workers"))
    old = f"exec:{sys.executable} {tmp_path}/old.py"
    wrong = {"after": 6, "before": "2", "running_mean": [77]}
    published = Case.model_validate({**EVERY_KIND, "expect": [wrong]})
    before = Case.model_validate({**EVERY_KIND, "before": "2"})

    assert "agree" in str(harness.explain(published))
    assert "published as 77" in str(harness.explain(published, against=old))
    assert "agree" in str(harness.explain(before, against=old))
    with pytest.raises(InvalidInput, match=r"every-kind: the case does not hold for torch 2"):
        harness.explain(before)


def test_what_a_run_leaves_out_is_not_explained(tmp_path):
    """A case whose type the baseline's version of torch lacks is refused, as a run counts it."""
    (tmp_path / "old.py").write_text(OLD.format(folder=f"{ROOT}/harness/workers"))
    old = f"exec:{sys.executable} {tmp_path}/old.py"
    newer = Case.model_validate({**EVERY_KIND, "steps": [{"cast": "bfloat16"}]})

    with pytest.raises(InvalidInput, match=r"every-kind: the case does not hold for torch 1\.9"):
        harness.explain(newer, against=old)


def test_a_known_divergence_is_told_as_a_run_tells_it(tmp_path):
    """What known.yaml beside the file lists is known, with reason and link."""
    path = tmp_path / "mine.yaml"
    path.write_text(
        "- {id: one, why: it is., module: {num_features: 1}, steps: [{call: deepcopy}],\n"
        "   expect: [{after: 1, running_mean: [3]}]}\n"
    )
    (tmp_path / "known.yaml").write_text(
        "- {target: '*', case: one, quantity: running_mean, reason: so., link: there}\n"
    )

    assert "reference: known, so (there)" in str(harness.explain(f"{path}::one"))


def test_what_has_no_bound_is_said_to_have_none():
    """Where arithmetic may overflow no value can be held against an element, and it is said."""
    text = str(harness.explain("squares-that-overflow-make-the-variance-infinite"))

    assert re.search(r"output\[0, 0, 0, 0\] +0\.0 .* no bound\n", text)
    assert "5 of 6 numbers have no finite bound, and are held to published ones alone." in text


def test_the_id_of_a_matrix_leads_to_one_of_its_cases():
    """A matrix is no case; the message has the id of one that can be explained."""
    with pytest.raises(InvalidInput, match="a matrix; name one of its cases, as flags") as refusal:
        harness.explain("flags-by-sequence")

    assert harness.explain(str(refusal.value).rpartition(", as ")[2])


@pytest.mark.parametrize("case", [case for _, case in NOTEBOOK], ids=lambda case: case.id)
def test_the_notebooks_numbers_are_printed(case):
    """Each row of running statistics, and each output, stands there as the notebook prints it."""
    text = str(harness.explain(case))
    missing = []
    for expectation in case.expect:
        if expectation.within > 5e-5:
            continue
        for name, published in expectation.numbers():
            values = np.asarray(published)
            shown = [f"{value:.4f}" for value in values.ravel()]
            row = f"[{', '.join(shown)}]" if name.startswith("running") else shown[0]
            missing += [row] * (row not in text)

    assert missing == []


def test_the_notebooks_arithmetic_is_written_out():
    """The one element that the notebook's comment works out is worked out."""
    text = str(harness.explain("cases/seed::notebook-14-hundred-train-steps-then-eval"))

    assert "(1.0 − 1.5) / √(0.2857 + 1e-05) = −0.9353" in text


def test_the_documentation_shows_what_is_printed():
    """The lines of arithmetic in the documentation are those of today."""
    page = (Path(__file__).parents[2] / "docs" / "explain.md").read_text(encoding="utf-8")
    worked = [line.strip() for line in page.splitlines() if " = " in line and " · " in line]
    text = str(harness.explain(NOTEBOOK[0][1]))

    assert len(worked) == 6
    assert all(line in text for line in worked)


def test_every_kind_of_step_is_told():
    """Each step has its heading, in order."""
    kinds = re.findall(r"^Step (\d): (\w+)$", str(told()), re.MULTILINE)

    assert [kind for _, kind in kinds] == [
        *("train", "save", "set", "load"),
        *("call", "cast", "eval", "train"),
    ]


def test_a_part_of_an_id_names_the_one_case_that_has_it():
    """A glob is as good as the id that it matches; of several or none, no case is taken."""
    edge = "cases/edge/momentum.yaml::"
    found = str(harness.explain(edge + "momentum-true-*")).split()[0]
    with pytest.raises(InvalidInput, match=r"\d+ cases match; name one, as momentum-"):
        harness.explain(edge + "momentum-*")
    with pytest.raises(InvalidInput, match="no case matches"):
        harness.explain(edge + "*-no-such-fact")

    assert found == "momentum-true-is-one"


def test_gradients_of_an_earlier_step_are_worked_out_from_its_own_state():
    """What has moved since has no part in them: torch's own are off, and the text shows it."""
    name = "cases/edge/later-gradients.yaml::gradients-of-an-eval-pass-after-a-train-pass"
    (made,) = (case for _, case in load([name]).cases())
    text = str(harness.explain(made, "reference")).partition("Step 3: backward")[2]
    row = re.search(r"grad_weight\[\d\] +([-\d.]+) +(\S+) +(\S+)", text)
    torch_, reference, exact = map(float, row.groups())

    assert "The gradients of step 1, by the state that it started from." in text
    assert "the statistics do not depend on x" in text
    assert reference == pytest.approx(exact, rel=1e-6)
    assert abs(torch_ / exact - 1) > 0.5


@pytest.mark.parametrize(
    "line",
    [
        "running_mean[0] = (1 − 1.0) · 0.0 + 1.0 · 3.0 = 3.0",
        "running_var[0] = (1 − 1.0) · 1.0 + 1.0 · 3.5 · 4/3 = 4.6667",
        "y[0, 0, 1, 1] = (6.0 − 3.0) / √(3.5 + 1e-05) · 1.0 + 0.0 = 1.6036",
        "counted first: 1/1 = 1.0",
        "grad_bias[0] = Σg = 4.0",
        "torch raises ValueError in forward: Expected more than 1 value per channel",
        "float64, shape (40, 1, 2, 1): from",
    ],
)
def test_the_arithmetic_of_a_step(line):
    """Update, output, gradients and errors are written out with the step's numbers."""
    assert line in str(told(Half))


def test_a_mistake_is_told_with_its_place():
    """The verdict says what differs, and the table sets the target beside torch and exact."""
    text = str(told(Half))

    assert "Half: diverge" in text
    assert "step 1: output[" in text


def test_every_element_is_in_the_json():
    """For each execution and implementation: what it computed, the exact values, the bounds."""
    explained = json.loads(told(Half).to_json(), parse_constant=pytest.fail)
    theirs, ours = explained["implementations"].values()
    *_, last, failed = ours["executions"]
    output = last["results"]["output"]
    exact, worst = np.array(output["exact"]), tuple(output["worst"])

    assert [each["kind"] for each in theirs["executions"]] == [
        next(iter(step)) for step in EVERY_KIND["steps"]
    ]
    assert (output["dtype"], output["shape"], exact.shape) == (
        "float64",
        [40, 1, 2, 1],
        (40, 1, 2, 1),
    )
    np.testing.assert_allclose(2 * np.array(output["computed"]), exact, rtol=1e-12)
    ratio = abs(exact[worst] / 2) / np.array(output["bound"])[worst]
    np.testing.assert_allclose(output["ratio"], ratio, rtol=5e-3)
    assert failed["raised"]["type"] == "ValueError"
    assert explained["result"]["verdict"] == "diverge"
    assert "exact" not in last["state"]["weight"]


def test_the_json_names_what_no_number_is():
    """Infinities are texts, where they are computed and where they are exact."""
    case = Case.model_validate(
        {**EVERY_KIND, "steps": [{"eval": {"input": {"values": [[[[np.inf]]]]}}}]}
    )
    explained = json.loads(harness.explain(case).to_json())
    output = explained["implementations"]["reference"]["executions"][0]["results"]["output"]

    assert (output["computed"], output["exact"]) == ([[[["inf"]]]], [[[["inf"]]]])


def test_the_pages_numbers_are_those_of_the_json():
    """docs/explain.md shows the first output of its case as the JSON has it."""
    page = (ROOT / "docs/explain.md").read_text()
    explained = json.loads(harness.explain("momentum-none-is-a-cumulative-average").to_json())
    first = explained["implementations"]["torch"]["executions"][0]["results"]["output"]
    shown = [
        f'"{name}": [{json.dumps(first[name][0])}, …]' for name in ("computed", "exact", "bound")
    ]

    assert [each for each in shown if each not in page] == []
    assert f'"ratio": {first["ratio"]}, "ulp": {first["ulp"]}, "worst": [0, 0, 0, 0]' in page


def test_what_text_a_case_has_is_not_read_as_markup():
    """In a notebook a case's words are words."""
    explanation = told()

    assert "<b>" not in explanation._repr_html_()
    assert "&lt;b&gt;\\| \\`whole\\`" in explanation._repr_markdown_()


def test_repetitions_are_plotted():
    """A repeated step has an inline plot of the running statistics."""
    explanation = harness.explain(NOTEBOOK[1][1])

    assert "<svg" in explanation._repr_html_()
    assert "<svg" in to_markdown(explanation.blocks)
    assert "running_mean[0]  ▁" in str(explanation)


def test_a_matrix_case_is_found_by_its_id():
    """A case that a matrix spells can be explained as any other."""
    suite = load(["cases/core/momentum.yaml"])
    name = next(suite.cases())[1].id

    assert harness.explain(name).case.id == name


def test_what_pytest_puts_behind_an_id_is_left_out():
    """The id of a test that failed names its case."""
    name = "cases/seed/notebook.yaml::notebook-16-momentum-1-keeps-the-latest-batch[mine:Norm]"

    assert harness.explain(name).case.id == "notebook-16-momentum-1-keeps-the-latest-batch"


@pytest.mark.parametrize(
    "name", ["momentum-one-keeps-the-latest-batch-alon", "cases/seed::", __file__]
)
def test_a_case_that_is_not_there(name):
    """The message says what was looked for."""
    with pytest.raises(InvalidInput, match=r"nearest: momentum-one-|name one case"):
        harness.explain(name)


def test_a_target_that_cannot_run_here(monkeypatch):
    """An absent target cannot be shown, and the message says why."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InvalidInput, match="torch:device=cuda cannot run here: no CUDA device"):
        told("torch:device=cuda")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.5, "1.5"),
        (2, "2.0"),
        (-0.93529, "−0.9353"),
        (1e-5, "1e-05"),
        (-2.5e7, "−2.5e+07"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
    ],
)
def test_numbers_have_four_digits(value, text):
    """A number on paper has four digits after the point, or four in all."""
    assert short(value) == text


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ([0, 1, 2], "▁▅█  0 to 2"),
        ([1, 1], "▁▁  1 to 1"),
        ([float("nan"), 1e308, -1e308], "×█▁  -1e+308 to 1e+308"),
    ],
)
def test_a_sparkline_spans_the_values(values, bars):
    """The least is the lowest bar, the greatest the highest; what is not finite has none."""
    assert sparkline(values) == bars


def test_a_curve_breaks_where_it_is_not_finite():
    """An SVG path has no nan: the curve begins anew behind it."""
    drawn = svg("<plot>", {"a<b": [0.0, float("nan"), 1.0, float("inf"), 2.0]})

    assert "nan" not in drawn
    assert "inf" not in drawn
    assert "&lt;plot&gt;" in drawn
    assert re.search(r'd="M[^L"]+M[^L"]+M[^L"]+"', drawn)


def test_what_is_not_finite_in_a_large_array_is_counted():
    """Range and mean are of the finite numbers, and the others are said to be there."""
    large = {"shape": [64, 1, 8, 8], "fill": "special", "value": float("inf"), "seed": 1}
    steps = [{"train": {"input": large}}]
    case = Case.model_validate({**EVERY_KIND, "module": {"num_features": 1}, "steps": steps})

    assert re.search(r"from −.* to .*, mean .*, 1 inf\n", str(harness.explain(case)))


def test_each_implementation_stands_beside_what_is_exact_from_its_own_state():
    """Exact results of both are shown after a mistake in the state, and one where they agree."""

    class Slow(BatchNorm2d):
        def __call__(self, given):
            output = super().__call__(given)
            self.running_mean *= np.float32(0.5)
            return output

    given = {"values": [[[[1, 2], [3, 6]]]]}
    steps = [{"train": {"input": given}}, {"train": {"input": given}}]
    case = Case.model_validate({**EVERY_KIND, "module": {"num_features": 1}, "steps": steps})
    first, second = str(harness.explain(case, Slow)).split("Step 2")

    assert re.search(r"running_mean\[0\] +0\.3\d* +0\.15\d* +0\.3\d* ", first)
    assert "differs" not in first
    assert "What they start from differs" in second
    assert re.search(r"running_mean\[0\] +0\.57\d* +0\.2175\d* +0\.57\d* +0\.43\d* ", second)
