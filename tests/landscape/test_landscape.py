"""The landscape: from reports to cells."""

from __future__ import annotations

import pytest

from harness.case.model import Case
from harness.errors import InvalidInput
from harness.landscape import Landscape, landscape, to_markdown
from harness.landscape.features import FEATURES, Told
from harness.report.model import Report

TARGET = "package.adapters.framed:BatchNorm"
INPUT = {"shape": [2, 2, 2, 2], "fill": "normal", "seed": 1}
SMALL = {"shape": [2, 2, 1, 1], "fill": "normal", "seed": 1}
NO_COUNTER = "no counter: nothing is counted"


def made(name, *steps, **module):
    """Return a case."""
    module = {"num_features": 2, **module}
    return Case.model_validate({"id": name, "why": "A fact.", "module": module, "steps": steps})


def both(given):
    """Return a train and an eval step with gradients."""
    step = {"input": given, "grad_output": {"fill": "ones"}}
    return {"train": step}, {"eval": step}


CASES = {
    each.id: (each, tags)
    for each, tags in (
        (made("plain", *both(INPUT)), ["forward"]),
        (made("small", *both(SMALL)), ["forward"]),
        (made("cumulative", *both(INPUT), momentum=None), ["running-stats"]),
        (made("types", *both(INPUT), dtype="float64"), ["dtypes"]),
        (made("orders", *both(INPUT)), ["layouts"]),
        (made("specials", *both(INPUT)), ["special-values"]),
        (made("refusals", *both(INPUT)), ["errors"]),
        (made("nothing", *both({**INPUT, "shape": [0, 2, 2, 2]})), ["errors"]),
        (made("offset-by-spread/one", *both(INPUT)), ["forward"]),
    )
}
QUANTITIES = ("output", "grad_input", "running_mean", "running_var")


def result(verdict="agree", quantities=QUANTITIES, **more):
    """Return what the target did with a case."""
    close = {"ratio": 0.1, "ulp": 1.0, "closer": "equal"}
    return {"verdict": verdict, "quantities": dict.fromkeys(quantities, close), **more}


def difference(quantity, step=0, aspect="value", **more):
    """Return a difference that is the target's."""
    return {"step": step, "quantity": quantity, "aspect": aspect, "culprit": "target", **more}


def report(results=(), **more):
    """Return a report in which all agrees but for what is given."""
    results = {name: result() for name in CASES} | dict(results)
    listed = [
        {"id": name, "file": "cases/edge/some.yaml", "line": 1, "tags": CASES[name][1]}
        | {"results": {TARGET: found}}
        for name, found in results.items()
    ]
    plain = {
        "environment": {"torch": "2.13.0", "frameworks": {TARGET: {"framed": "3.1"}}},
        "baseline": "torch",
        "targets": [TARGET],
        "summary": {TARGET: {"cases": len(listed)}},
        "accuracy": {},
        "declared": {TARGET: [NO_COUNTER]},
        "cases": listed,
        "matrices": [],
    }
    return Report.model_validate({**plain, **more})


def merged(*reports):
    """Return the landscape of reports."""
    cases = {name: case for name, (case, _) in CASES.items()}
    return landscape([(f"{i}.json", each) for i, each in enumerate(reports)], cases)


def cells(*reports):
    """Return the cells of the only target."""
    (row,) = merged(*reports).rows
    return row.cells


def test_every_cell_is_filled():
    """A target that agrees on everything agrees on every feature."""
    found = merged(report()).rows[0]

    assert list(found.cells) == [each.name for each in FEATURES]
    assert {cell.state for cell in found.cells.values()} == {"agree"}
    assert found.versions == {"framed": "3.1"}


@pytest.mark.parametrize(
    ("quantity", "step", "feature"),
    [
        ("output", 0, "forward train"),
        ("output", 1, "forward eval"),
        ("error", 1, "forward eval"),
        ("running_mean", 0, "running mean"),
        ("running_var", 0, "running variance"),
        ("num_batches_tracked", -1, "counter"),
        ("grad_weight", 1, "gradients"),
    ],
)
def test_a_difference_is_of_one_feature(quantity, step, feature):
    """A difference in an ordinary case shows in the feature of its quantity and mode alone."""
    wrong = result("diverge", divergences=[difference(quantity, step)])
    found = cells(report({"plain": wrong}))

    assert [name for name, cell in found.items() if cell.state == "diverges"] == [feature]


@pytest.mark.parametrize(
    ("case", "feature"),
    [
        ("cumulative", "momentum None"),
        ("types", "dtypes"),
        ("orders", "layouts"),
        ("specials", "special values"),
        ("refusals", "errors"),
        ("nothing", "empty batches"),
        ("offset-by-spread/one", "ill-conditioned"),
    ],
)
def test_a_case_with_a_topic_speaks_of_it_alone(case, feature):
    """A difference in a case with a topic is held against that topic, whatever its quantity."""
    wrong = result("diverge", divergences=[difference("output")])
    found = cells(report({case: wrong}))

    assert [name for name, cell in found.items() if cell.state == "diverges"] == [feature]


def test_a_cell_shows_its_smallest_case():
    """Of the cases that come to the cell's state, the one with the smallest input is shown."""
    wrong = result("diverge", divergences=[difference("output")])
    cell = cells(report({"plain": wrong, "small": wrong}))["forward train"]

    assert (cell.case, cell.counts) == ("small", {"diverges": 2})


def test_published_numbers_are_no_feature():
    """A published number that does not hold is left to the oracle."""
    wrong = result("diverge", divergences=[difference("output", aspect="published")])

    assert cells(report({"plain": wrong}))["forward train"].state == "agree"


def test_a_crash_outweighs_all_and_a_declaration_agreement():
    """A cell has the gravest that any of its cases comes to."""
    crashed = result("crash", quantities=(), reason="died by SIGSEGV")
    counted = result(declared=[NO_COUNTER])
    found = cells(report({"plain": crashed, "small": counted}))

    assert (found["counter"].state, found["counter"].shows) == ("crash", "died by SIGSEGV")
    assert cells(report({"small": counted}))["counter"].state == "declared"
    assert cells(report({"small": counted}))["forward eval"].state == "agree"


def test_unsupported_is_said_where_nothing_else_is():
    """Refused cases make a cell unsupported where all are, and are left out where some are not."""
    refused = result("unsupported", quantities=(), reason="momentum=None")
    halfway = result("unsupported", quantities=("output",), reason="no backward")
    found = cells(report({"cumulative": refused, "plain": halfway, "small": halfway}))

    assert (found["momentum None"].state, found["momentum None"].shows) == (
        "unsupported",
        "momentum=None",
    )
    assert found["forward train"].state == "agree"
    assert found["gradients"].state == "unsupported"


def test_what_comes_after_an_error_is_not_said_to_agree():
    """A case that an error ends tells nothing of the features that are met after it."""
    ended = difference("error", aspect="error", actual="ValueError: no")
    wrong = result("diverge", quantities=(), divergences=[ended])
    some, all_ = (
        cells(report(dict.fromkeys(names, wrong))) for names in (("plain",), ("plain", "small"))
    )

    assert some["forward train"].state == "diverges"
    assert some["gradients"].counts == {"agree": 1, "unreached": 1}
    assert all_["gradients"].state == "unreached"
    assert "ValueError: no" in all_["gradients"].shows


def test_several_reports_of_a_target_are_one_row():
    """Two runs of a target, over other cases, count together."""
    one, two = {"plain": result()}, {"small": result()}
    rest = {name: result() for name in CASES if name not in ("plain", "small")}
    found = merged(_only(one), _only(two), _only(rest))

    assert len(found.rows) == 1
    assert found.rows[0].cells["forward train"].counts == {"agree": 2}


def _only(results):
    whole = report()
    listed = [each for each in report(results).cases if each.id in results]
    summary = {TARGET: whole.summary[TARGET].model_copy(update={"cases": len(listed)})}
    return whole.model_copy(update={"cases": listed, "summary": summary})


def test_the_page_has_a_row_for_each_target_and_what_it_rests_on():
    """The page names version, declarations, and the smallest case with what it shows."""
    wrong = result("diverge", divergences=[difference("output", actual=1.5, exact=1.0)])
    page = to_markdown(merged(report({"small": wrong})))

    assert "| framed | **diverges** (1 of 2) | agrees (2) |" in page
    assert "framed 3.1" in page
    assert f"- {NO_COUNTER}" in page
    assert "| `cases/edge/some.yaml::small` | step 1: output is 1.5, exactly 1.0 |" in page


@pytest.mark.parametrize(
    ("target", "environment"),
    [(TARGET, ""), ("harness.adapters.keras:BatchNorm", "tox exec -e landscape-keras -- ")],
)
def test_a_divergence_comes_with_the_command_that_shows_it(target, environment):
    """The page has the command of each divergence once, of an adapter in its environment."""
    wrong = result("diverge", divergences=[difference("output"), difference("grad_input")])
    given = report({"small": wrong})
    results = [
        each.model_copy(update={"results": {target: each.results[TARGET]}}) for each in given.cases
    ]
    moved = given.model_copy(
        update={
            "targets": [target],
            "cases": results,
            "summary": {target: given.summary[TARGET]},
        }
    )
    command = f"{environment}bn-harness run cases/edge/some.yaml::small --target {target}"

    assert merged(moved).rows[0].cells["forward train"].reproduce == command
    assert merged(moved).rows[0].cells["forward eval"].reproduce is None
    assert to_markdown(merged(moved)).count(f"    {command}\n") == 1


def test_the_json_is_read_back():
    """The landscape's JSON is the landscape."""
    found = merged(report())

    assert Landscape.model_validate_json(found.to_json()) == found


@pytest.mark.parametrize(
    ("reports", "said"),
    [
        ((report(), report(baseline="reference")), "not one of baselines"),
        ((report(), report(environment={"torch": "2.12.0"})), "not one of versions of torch"),
        ((report(summary={TARGET: {"cases": 99}}),), "--full"),
        ((report(absent={TARGET: "no device"}),), "is absent: no device"),
        ((_only({"plain": result()}),), "no case of the reports speaks of 'momentum None'"),
        ((), "there are none"),
    ],
)
def test_reports_that_do_not_go_together_are_refused(reports, said):
    """What cannot be one landscape is refused, with the reason."""
    with pytest.raises(InvalidInput, match=said):
        merged(*reports)


def test_a_case_of_another_suite_is_refused():
    """A report on cases that are not given cannot be read, and names the case."""
    with pytest.raises(InvalidInput, match="the case 'plain' is not of the suite"):
        landscape([("one.json", report())], {})


def test_an_ordinary_case_has_no_topic():
    """A case of float32 numbers without a special tag speaks of every feature it has."""
    case, tags = CASES["plain"]

    assert not Told(case, tags, "cases/edge/some.yaml").topic
