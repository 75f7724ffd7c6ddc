"""What a run says to its user."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch

import harness
from harness.case.model import Case
from harness.case.suite import Entry, Suite
from harness.reference import BatchNorm2d
from harness.report.badge import to_badge
from harness.report.html import to_html
from harness.report.markdown import to_markdown
from harness.report.model import Divergence
from harness.report.text import PYTHON, Sources, describe, nothing_judged, show

torch.set_num_threads(1)


class Biased(BatchNorm2d):
    """Puts the biased variance into running_var."""

    def __call__(self, given):
        """Normalise; every statistic shrinks."""
        output = super().__call__(given)
        self.running_var *= 0.9
        return output


def case(number=1):
    """Return a case that shows it."""
    given = {"shape": [4, 2, 3, 3], "fill": "normal", "seed": number}
    return Case.model_validate(
        {
            "id": f"case-{number}",
            "why": f"reason {number}.",
            "module": {"num_features": 2},
            "steps": [{"train": {"input": given}}],
        }
    )


def shown(cases, targets):
    """Return what is shown of a run."""
    entries = tuple(Entry(each, PYTHON, place) for place, each in enumerate(cases, 1))
    stream = io.StringIO()
    show(harness.run(cases, targets or ["torch"]), Sources(Suite(entries, {})), stream)
    return stream.getvalue()


def test_each_failure_has_its_own_reason():
    """A failing case is shown with its own why, place and quantity."""
    text = shown([case(1), case(2)], [Biased])

    assert "why: reason 1." in text
    assert "why: reason 2." in text
    assert text.count("step 1 (train): running_var[") == 2


def test_cases_that_no_file_has_are_not_said_to_be_reproduced():
    """A case made in Python has no command that runs it."""
    assert "reproduce:" not in shown([case()], [Biased])


def test_only_the_first_failures_are_shown():
    """Of many failures ten are shown, and how many more there are."""
    text = shown([case(number) for number in range(13)], [Biased])

    assert text.count("DIVERGE") == 10
    assert "and 3 more cases" in text


def test_the_summary_names_the_baseline_and_the_absent(monkeypatch):
    """The table has a row for the baseline; a target that cannot run is named below."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    text = shown([case()], ["reference", "torch:device=cuda"])

    assert "torch (baseline)" in text
    assert "torch:device=cuda is absent: no CUDA device" in text


class Forgets(BatchNorm2d):
    """Counts nothing, and halves batches of eleven values."""

    def __call__(self, given):
        """Normalise."""
        output = super().__call__(given)
        self.num_batches_tracked[...] = 0
        return output / 2 if given.shape[0] == 11 else output


def rare():
    """Return a case that shows the rarer mistake of `Forgets`, by what it returns alone."""
    step = {"eval": {"input": {"shape": [11, 2, 1, 1], "fill": "normal"}}}
    return Case.model_validate(
        {"id": "rare", "why": "it is.", "module": {"num_features": 2}, "steps": [step]}
    )


def test_it_is_said_by_what_a_target_fails():
    """Each kind of difference is counted over all cases, in every form, the commonest first."""
    cases = [*(case(number) for number in range(12)), rare()]
    name = f"{__name__}:Forgets"
    text = shown(cases, [Forgets])
    report = harness.run(cases, [Forgets])
    with pytest.raises(AssertionError, match="13 of 13 cases diverge from torch, by num") as told:
        harness.assert_conforms(Forgets, cases)

    counted = "num_batches_tracked (12 cases), output (1)"
    assert f"{name} fails by {counted}\n" in text
    assert f"`{name}`: **diverges**, by {counted}\n" in to_markdown(report)
    assert (
        '<a href="#case=case-0">12 cases</a>), output (<a href="#case=rare">1 case</a>)'
        in to_html(report)
    )
    assert f"by {counted}\n" in str(told.value)


def test_it_is_said_what_can_be_declared():
    """Where a class fails by its memory format alone, the remedy is named; else it is not."""

    class Flat(BatchNorm2d):
        def __call__(self, given):
            return np.ascontiguousarray(super().__call__(given))

    given = {"shape": [2, 2, 3, 3], "fill": "normal", "layout": "channels_last"}
    plain = case().model_dump(exclude_unset=True, by_alias=True)
    flat = Case.model_validate({**plain, "steps": [{"eval": {"input": given}}]})

    assert 'can be declared where it is meant: docs/targets.md, "Doc' in shown([flat], [Flat])
    assert "can be declared" not in shown([case(0)], [Biased])


def test_an_error_of_the_backward_pass_is_told_as_one():
    """What fails after the output is no error of the forward pass, and may be meant."""

    class Stuck(BatchNorm2d):
        def backward(self, grad_output):
            raise RuntimeError(f"no graph for {grad_output.shape}")

    given = {"shape": [2, 2, 3, 3], "fill": "normal"}
    step = {"train": {"input": given, "grad_output": {"fill": "ones"}}}
    plain = [case(number).model_dump(exclude_unset=True, by_alias=True) for number in range(12)]
    text = shown([Case.model_validate({**each, "steps": [step]}) for each in plain], [Stuck])

    assert "raises RuntimeError in the backward pass: no graph for (2, 2, 3, 3), torch" in text
    assert "fails by error in the backward pass (12 cases)" in text
    assert "can be declared" in text


def test_of_many_failures_each_kind_is_shown():
    """What a single case shows is shown before more of what the others share."""
    text = shown([*(case(number) for number in range(12)), rare()], [Forgets])

    assert text.index("case-0") < text.index("rare") < text.index("case-1 ")
    assert text.count("DIVERGE") == 10


def test_what_one_case_shows_is_not_said_again():
    """A single failing case stands there whole, and nothing is counted."""
    assert "fails by" not in shown([case()], [Biased])


class Refuses(BatchNorm2d):
    """Supports nothing."""

    def __call__(self, given):
        """Refuse."""
        raise NotImplementedError("nothing yet")


def test_what_supports_nothing_is_not_said_to_conform():
    """A target of which no case could be judged is incomplete, in every form."""
    report = harness.run([case()], [Refuses])

    assert "incomplete, no case could be judged" in to_markdown(report)
    assert "incomplete, no case could be judged" in to_html(report)
    assert "incomplete" in to_badge(report)
    assert all("conforms" not in made(report) for made in (to_markdown, to_badge))


def test_what_is_known_of_the_baseline_is_no_reason_of_a_target():
    """Why nothing could be judged is what targets refuse, not what torch is known to get wrong."""
    case = "cases/edge/dtypes.yaml::low-precision-gradient-in-another-layout-than-its-input"
    report = harness.run(case, [Refuses])

    assert [each.results["torch"].verdict for each in report.cases] == ["known"]
    assert nothing_judged(report) == "nothing yet"


def test_it_is_said_why_cases_are_unsupported():
    """Below the table stands each reason, with how many cases have it."""
    text = shown([case(1), case(2)], [Refuses])

    assert text.count("2 unsupported: nothing yet") == 1


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (
            {"aspect": "value", "index": [1], "actual": 2.0, "exact": 1.0, "ratio": 12.345},
            "step 2: output[1] is 2.0, exactly 1.0, 12.3 times the bound",
        ),
        (
            {"aspect": "value", "actual": "nan", "exact": 1.0, "ratio": "inf", "count": 3},
            "step 2: output is nan, exactly 1.0, 3 elements outside",
        ),
        (
            {"aspect": "published", "actual": 2.0, "expected": 1.0, "repetition": 1},
            "step 2, repetition 2: output is 2.0, published as 1.0",
        ),
        (
            {"aspect": "dtype", "actual": "float64", "expected": "float32", "step": -1},
            "before the first step: output has dtype float64, torch has float32",
        ),
        ({"aspect": "state", "actual": 2, "expected": 3}, "step 2: output is 2.0, it should be 3"),
        (
            {"aspect": "error", "actual": "no error", "expected": "ValueError: no"},
            "step 2: raises no error, torch raises ValueError: no",
        ),
        ({"aspect": "input"}, "step 2: the input was changed"),
        (
            {"aspect": "presence", "actual": "None", "expected": "float32 array of shape (2,)"},
            "step 2: output is missing, torch's is a float32 array of shape (2,)",
        ),
        (
            {
                "quantity": "error",
                "aspect": "published",
                "actual": "no error",
                "expected": "ValueError",
            },
            "step 2: raises no error, the case expects ValueError",
        ),
        (
            {"aspect": "shape", "actual": "()", "expected": "(2,)", "culprit": "both"},
            "step 2: output has shape (), torch has (2,) (torch is outside too)",
        ),
    ],
)
def test_a_difference_is_a_sentence(fields, text):
    """Each aspect has its own sentence, with place, size and blame."""
    plain = {"step": 1, "quantity": "output", "culprit": "target", **fields}

    assert describe(Divergence.model_validate(plain)).startswith(text)


def test_the_page_answers_first():
    """The Markdown begins with whether each target conforms."""
    page = to_markdown(harness.run([case()], ["reference", Biased]))

    assert "- `reference`: conforms" in page
    assert "Biased`: **diverges**" in page
    assert page.index("diverges") < page.index("| target |")


def test_cells_of_the_page_cannot_end_their_row():
    """A bar in a target's name is spelled so that the table stays one."""
    report = harness.run([case()], ["reference"])
    named = report.model_copy(
        update={"summary": {"a|b": report.summary["reference"]}, "accuracy": {}}
    )

    assert "| `a&#124;b` |" in to_markdown(named)


def test_it_is_said_where_most_numbers_have_no_bound():
    """Agreement that rests on few of the numbers is told with how many have no bound."""
    given = {"shape": [4, 2, 3, 3], "fill": "huge", "exponent": 100}
    plain = case().model_dump(exclude_unset=True, by_alias=True)
    steps = [{"train": {"input": given}}]

    assert "74 of 76 numbers have no finite bound" in shown(
        [Case.model_validate({**plain, "steps": steps})], ["reference"]
    )
    assert "no finite bound" not in shown([case()], ["reference"])


def test_a_published_number_that_misses_by_a_rounding_is_told_with_within():
    """What is published without its rounding gets a word on `within`; what is wrong gets none."""
    told = []
    for published in (0.1, 0.2):
        plain = case().model_dump(exclude_unset=True, by_alias=True)
        steps = [{"train": {"input": {"values": [[[[1.0]], [[0.0]]], [[[1.0]], [[2.0]]]]}}}]
        expect = [{"after": 1, "running_mean": [published, published]}]
        told.append(shown([Case.model_validate({**plain, "steps": steps, "expect": expect})], []))

    assert ["`within` says how far it may be" in text for text in told] == [True, False]
