"""The page of a report in a browser: it lists, filters, sorts and opens cases, for everyone."""

from __future__ import annotations

import shlex
from pathlib import Path
from urllib.parse import quote

import pytest

from harness.case.suite import load
from harness.report.document import read
from harness.report.html import to_html
from harness.report.model import Report

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "reports" / "index.html"
REPORT = read(ROOT / "reports" / "conformance.json")
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 800}


def made(folder, names, file="cases/it's here.yaml"):
    """Write the page of a report in which each of some cases diverges."""
    result = {"verdict": "diverge", "worst": {"quantity": "output", "step": 0, "ratio": "inf"}}
    result["worst"]["ulp"] = "inf"
    cases = [
        {"id": name, "file": file, "line": 1, "tags": [name], "results": {"mine": result}}
        for name in sorted(names)
    ]
    plain = {"environment": {}, "baseline": "torch", "targets": ["mine"], "accuracy": {}}
    plain |= {"summary": {"mine": {"cases": len(cases)}}, "cases": cases, "matrices": []}
    path = folder / "page.html"
    path.write_text(to_html(Report.model_validate(plain)), encoding="utf-8")
    return path


def test_the_page_opens_from_the_disk(visit):
    """It lists the report's cases, and asks for no file but itself."""
    opened = visit(PAGE)

    assert opened.count() == len(REPORT.cases)
    assert opened.requests == [opened.address]


def test_words_filter(visit):
    """Each word must be in a case's id, tags or reason."""
    opened = visit(PAGE)
    opened.page.fill("#words", "Momentum cumulative")
    reasons = {entry.item.id: entry.item.why for entry in load().entries}
    texts = {
        case.id: f"{case.id} {' '.join(case.tags)} {reasons.get(case.id.split('/')[0])}".lower()
        for case in REPORT.cases
    }
    wanted = {name for name, text in texts.items() if "momentum" in text and "cumulative" in text}

    assert wanted
    assert set(opened.ids()) == wanted


def test_a_verdict_filters(visit):
    """A case stays if some target has the verdict."""
    opened = visit(PAGE)
    opened.page.select_option("#verdict", label="baseline inaccurate")
    wanted = [
        case.id
        for case in REPORT.cases
        if any(each.verdict == "baseline_inaccurate" for each in case.results.values())
    ]

    assert opened.count() == len(wanted)
    assert set(opened.ids()) <= set(wanted)


def test_the_columns_sort(visit):
    """A click on a column's name sorts by it, the largest error first; another click reverses."""
    opened = visit(PAGE)
    button = opened.page.get_by_role("button", name="largest error/bound")
    shown = opened.page.locator("#list tbody td.number")
    button.click()
    falling = shown.all_inner_texts()
    header = opened.page.get_by_role("columnheader", name="largest error/bound")
    said = header.get_attribute("aria-sort")
    button.click()
    worst = [w.ratio for case in REPORT.cases for r in case.results.values() if (w := r.worst)]
    greatest = max(worst, key=float)

    assert said == "descending"
    assert float(falling[0].replace("Infinity", "inf")) == float(greatest)
    assert [float(each) for each in falling] == sorted(map(float, falling), reverse=True)
    assert float(shown.first.inner_text()) == 0


def test_a_case_opens_by_the_keyboard_alone(visit):
    """Tab reaches the first case, Enter opens it, Escape closes it and leads back to it."""
    opened = visit(PAGE)
    focused = "document.activeElement"
    for _ in range(200):
        opened.page.keyboard.press("Tab")
        if opened.page.evaluate(f"{focused}.matches('#list a')"):
            break
    name = opened.page.evaluate(f"{focused}.textContent")
    opened.page.keyboard.press("Enter")
    opened.page.wait_for_selector("#case:not([hidden])")
    title = opened.page.evaluate(f"{focused}.textContent")
    opened.page.keyboard.press("Escape")
    opened.page.wait_for_selector("#case", state="hidden")

    assert (name, title) == (opened.ids()[0], opened.ids()[0])
    assert opened.page.evaluate(f"{focused}.textContent") == name


def test_a_case_opens_by_its_link(visit):
    """The link shows reason, place, YAML and command of the case."""
    name = "momentum-none-is-a-cumulative-average"
    case = REPORT[name]
    text = visit(PAGE, f"#case={name}", ready="#case h3").page.inner_text("#case")

    assert text.startswith(name)
    assert f"{case.file}:{case.line}" in text
    assert f"- id: {name}\n  why: " in text
    assert f"\nbn-harness run {case.file}::{name}\n" in text


@pytest.mark.parametrize("name", ["no-such-case", "%E0%A4%A"])
def test_a_link_to_a_case_that_is_not_listed_says_so(visit, name):
    """An id that the page does not have, or a broken one, opens a box that says why."""
    opened = visit(PAGE, f"#case={name}", ready="#case h3")

    assert opened.page.inner_text("#case h3") == name
    assert "does not list the case" in opened.page.inner_text("#case")


def test_every_id_comes_back_as_it_was(tmp_path, visit):
    """Ids with markup, quotes, spaces, and characters beyond UTF-16's first plane are texts."""
    names = ["<b>x</b>", "it's", "a/b=1,c é", "𝛾1", "𝛾2", "𝛽", "</script>"]
    opened = visit(made(tmp_path, names))

    assert sorted(opened.ids()) == sorted(names)
    assert opened.page.locator("#list b").count() == 0


def test_the_command_is_quoted_for_a_shell(tmp_path, visit):
    """A shell reads the command of a case as the words that it is made of."""
    name = 'it\'s $HOME, "quoted"'
    path = made(tmp_path, [name])
    opened = visit(path, f"#case={quote(name)}", ready="#case pre")

    assert shlex.split(opened.page.inner_text("#case pre")) == [
        *("bn-harness", "run", f"cases/it's here.yaml::{name}", "--target", "mine")
    ]


def test_pages_of_a_long_list(tmp_path, visit):
    """Fifty cases are shown at a time; the buttons lead on and back."""
    opened = visit(made(tmp_path, [f"case-{number:03}" for number in range(120)]))
    following = opened.page.get_by_role("button", name="Next page")
    following.click()
    following.click()

    assert opened.ids() == [f"case-{number:03}" for number in range(100, 120)]
    assert following.is_disabled()
    assert opened.page.inner_text("#page") == "page 3 of 3"


def test_without_javascript_all_but_the_cases_is_there(visit):
    """The answer, the features, the plots and the matrices show, and a note for the cases."""
    opened = visit(PAGE, ready="#cases", java_script_enabled=False)
    text = opened.page.inner_text("body")

    assert "reference: ✓ conforms" in text
    assert "Without JavaScript the list of cases is not shown" in text
    assert opened.page.locator("svg").first.is_visible()
    assert opened.page.locator("table.wide").is_visible()
    assert not opened.page.locator("#words").is_visible()


def test_a_browser_that_cannot_unpack_says_so(visit):
    """Where there is no DecompressionStream, the page says which browsers have it."""
    opened = visit(PAGE, ready="#count.bad", init="delete globalThis.DecompressionStream")

    assert "Firefox 113" in opened.page.inner_text("#count")


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_nothing_is_wider_than_the_screen(visit, size):
    """What is wide scrolls in its own box, so that the page need not be moved sideways."""
    case = max(REPORT.cases, key=lambda each: len(each.id))
    opened = visit(PAGE, f"#case={quote(case.id)}", ready="#case h3", viewport=size)

    assert opened.page.evaluate("document.documentElement.scrollWidth") == size["width"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_axe_finds_no_violation(visit, scheme, size):
    """The rules of axe-core hold, with a case open, at each width and in each scheme."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    case = next(case for case in REPORT.cases if case.results["reference"].verdict != "agree")
    fragment = f"#case={quote(case.id)}"
    opened = visit(PAGE, fragment, ready="#case h3", viewport=size, color_scheme=scheme)
    opened.page.locator("details").first.click()
    # One row of each table is like another, and axe takes its time with each.
    opened.page.evaluate(
        "document.querySelectorAll('tr:nth-child(n + 4)').forEach((row) => row.remove())"
    )
    found = axe.Axe().run(opened.page).response["violations"]

    assert [(each["id"], each["impact"], each["nodes"][0]["html"]) for each in found] == []
