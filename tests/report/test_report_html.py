"""The report as one page: it answers, stands alone, and shows texts as texts."""

from __future__ import annotations

from collections import Counter
from functools import cache
from html.parser import HTMLParser

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_reports import case, matrix, report
from page_data import data, unpacked

import harness
from harness.case.model import Case
from harness.case.suite import Entry, Suite, load
from harness.reference import BatchNorm2d
from harness.report.badge import to_badge
from harness.report.features import features
from harness.report.html import own_mistakes, to_html
from harness.report.listing import foremost, front_coded, listing
from harness.report.markdown import to_summary
from harness.report.pages import packed
from harness.report.plots import LEFT, WIDTH, place
from harness.report.result import ratio
from harness.report.text import Sources

torch.set_num_threads(1)

EVIL = "</script><script>alert(1)</script><!--<b>"
EMPTY = {"meta", "input"}


class Half(BatchNorm2d):
    """Returns a half of the output."""

    def __call__(self, given):
        """Normalise a half."""
        return super().__call__(given) / 2


class Page(HTMLParser):
    """The elements of a page, and which of them are not closed."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.texts = [], [], {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        """Take note of an element."""
        self.elements.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        """Take note of an element without content."""
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        """Each end closes what was opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data):
        """Keep the text of elements."""
        if self.open:
            self.texts[self.open[-1]] = self.texts.get(self.open[-1], "") + data

    def all(self, tag):
        """Return the attributes of each element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]


def made(why=EVIL):
    """Return cases made in Python, one with markup in its texts."""
    shared = {"module": {"num_features": 2}, "tags": [EVIL]}
    given = {"shape": [4, 2, 3, 3], "fill": "normal", "seed": 1}
    steps = [{"train": {"input": given}}]
    first = {
        "id": "</script><script>alert(1)</script>",
        "why": why,
        "source": "javascript:alert(1)",
    }
    return [
        Case.model_validate({**shared, **first, "steps": steps}),
        Case.model_validate({**shared, "id": "plain", "why": "w", "steps": steps}),
    ]


@cache
def text():
    """Return the page of a run in which one target conforms and one does not."""
    cases = made()
    suite = Suite(tuple(Entry(each, "some.yaml", line) for line, each in enumerate(cases, 1)), {})
    found = harness.run(cases, ["reference", Half])
    placed = [
        each.model_copy(update={"file": "some.yaml", "line": 1 + (each.id == "plain")})
        for each in found.cases
    ]
    return to_html(found.model_copy(update={"cases": placed}), suite)


def ids(listed):
    """Return the ids of listed cases, as a browser puts them together in UTF-16."""
    before, found = b"", []
    for shared, rest in zip(listed["shared"], listed["rest"], strict=True):
        before = before[: 2 * shared] + rest.encode("utf-16-le")
        found.append(before.decode("utf-16-le"))
    return found


def test_the_page_answers_first():
    """Before the summary stands whether each target conforms, and how the baseline did."""
    head = text().split('id="summary"')[0]

    assert '<code>reference</code>: <strong class="good">✓ conforms' in head
    assert 'Half</code>: <strong class="bad">✗ diverges' in head
    assert "torch itself is within its bound in every case" in head


def test_what_the_baseline_got_wrong_is_said_with_a_case():
    """Its known mistakes are grouped by reason, with their link and how many cases."""
    known = case("off", "known", reason="the count.", link="https://example.org/1")
    known["results"]["torch"] = known["results"].pop("mine")
    words, cases, link = next(own_mistakes(report([known, case("two")])))

    assert (words, [each.id for each in cases], link) == (
        "the count.",
        ["off"],
        "https://example.org/1",
    )


def test_a_link_that_is_none_is_no_link():
    """What is no web address does not become one."""
    known = case("off", "known", reason="r", link="javascript:alert(1)")
    known["results"]["torch"] = known["results"].pop("mine")

    assert "javascript:" not in to_html(report([known])).split('id="data"')[0]


def test_the_page_stands_alone():
    """It loads nothing: no script, style, image or font from elsewhere."""
    page = Page(text())
    loads = [each for _, each in page.elements if "src" in each]

    assert not loads
    assert not page.all("link")
    assert "url(" not in text()
    assert "@import" not in text()


def test_every_element_is_closed():
    """The page is well-formed, whatever texts it has."""
    assert Page(text()).open == []


def test_markup_in_a_case_is_text():
    """An id, a reason and a tag with markup add no element."""
    scripts = Page(text()).all("script")

    assert len(scripts) == 2
    assert "alert(1)</script>" not in text()
    assert ids(data(text()))[0] == "</script><script>alert(1)</script>"


@given(st.text() | st.dictionaries(st.text(), st.text()))
def test_packed_json_is_read_back(value):
    """Whatever text is packed comes back equal, and nothing of it is markup."""
    shown = packed(value)

    assert unpacked(shown) == value
    assert not set(shown) & set("<>&")


@given(st.lists(st.text("ab𝛾𝛽é", max_size=8)))
def test_front_coded_names_are_read_back(names):
    """Each name is a start of the one before, counted in UTF-16 as browsers do, and a rest."""
    shared, rest = front_coded(names)

    assert ids({"shared": shared, "rest": rest}) == names


@given(st.floats(0.9, 1.1))
def test_what_is_outside_its_bound_stays_above_1(value):
    """Three digits of a ratio tell on which side of the bound it is."""
    shown = ratio(value)

    assert (shown > 1) == (value > 1)
    assert shown == pytest.approx(value, abs=0.01)


def test_the_page_has_the_numbers_of_the_report():
    """The list shows each ratio as the report in JSON has it."""
    made = harness.run("cases/edge/cancellation.yaml", ["reference"])
    shown = listing(made)
    columns = dict(zip(shown["targets"], shown["results"], strict=True))

    assert columns["reference"]["ratio"] == [
        each.results["reference"].worst.ratio for each in made.cases
    ]


def test_the_worst_verdicts_come_first_and_each_matrix_in_turn():
    """What does not fit is what agrees, and the later cases of a matrix with many."""
    cases = [case(f"many/{k}", "diverge", line=1) for k in range(3)]
    cases += [case("right", line=2), case("other/0", "diverge", line=3), case("dead", "crash")]
    order = [cases[index]["id"] for index in foremost(report(cases).cases)]

    assert order == ["dead", "many/0", "other/0", "many/1", "many/2", "right"]


def test_a_list_that_is_cut_says_so(monkeypatch):
    """The page tells how many cases it lists, and of how many it has the differences."""
    monkeypatch.setattr("harness.report.listing.LISTED", 3)
    monkeypatch.setattr("harness.report.listing.DETAILED", 1)
    cases = [*(case(f"a{k}") for k in range(4)), case("z", "diverge")]
    page = to_html(report(cases))
    listed = data(page)

    assert ids(listed) == ["a0", "a1", "z"]
    assert list(listed["details"]) == ["2"]
    assert "Of 5 cases 3 are listed, the worst first" in page
    assert "the other 2 show their verdicts" in page


def test_a_long_list_is_small():
    """A case that agrees takes a few bytes, so that a hundred thousand are below two megabytes."""
    count = 20_000
    ratio = [float(f"0.{k * 7919 % 1000:03}{k}") for k in range(count)]
    cases = [
        case(f"m/shape={k // 100}x2,momentum=0.{k % 100}", ratio=ratio[k]) for k in range(count)
    ]
    for each, worst in zip(cases, ratio, strict=True):
        found = {"quantity": "output", "step": 0, "ratio": worst, "ulp": 1.0}
        each["results"]["mine"]["worst"] = found
    page = to_html(report(cases))

    assert ids(data(page)) == [each["id"] for each in cases]
    assert len(page) < 2_000_000 * count / 100_000


def test_ids_are_unique():
    """No two elements have the same id."""
    ids = Counter(each["id"] for _, each in Page(text()).elements if "id" in each)

    assert max(ids.values()) == 1


def test_tables_have_headers():
    """Each header says whether it is of a column or of a row."""
    headers = Page(text()).all("th")

    assert headers
    assert {each.get("scope") for each in headers} == {"col", "row"}


def test_landmarks_labels_and_language():
    """There are landmarks, a label for each control, a name for each plot, and a language."""
    page = Page(text())
    names = Counter(name for name, _ in page.elements)

    assert [names[each] for each in ("header", "nav", "main", "footer", "h1")] == [1] * 5
    assert page.all("html")[0]["lang"] == "en"
    assert all(each["aria-label"] for each in page.all("svg"))
    assert names["label"] == names["input"] + names["select"]


def test_a_case_has_its_yaml_reason_source_and_command(tmp_path):
    """What the page shows of a case is all there, and its YAML is the case."""
    found = data(text())
    half = next(each for each in found["targets"] if each.endswith("Half"))
    number = found["targets"].index(half)
    detail = found["details"]["1"]
    path = tmp_path / "again.yaml"
    path.write_text(detail["yaml"])

    assert next(load([path]).cases())[1] == made()[1]
    assert found["entries"][found["entry"][1]] == ["some.yaml", 2, "w", ""]
    assert found["entries"][found["entry"][0]][3] == "javascript:alert(1)"
    assert found["verdicts"][found["results"][number]["verdict"][1]] == "diverge"
    assert found["commands"][number].startswith(" --target ")
    assert detail["results"][str(number)][1][0].startswith("step 1: output[")


def test_a_command_names_what_is_not_the_default():
    """Baseline and accuracy class are in the command, as they were in the run."""
    found = report([case()], baseline="reference", selection={"accuracy": "wide"})

    assert listing(found)["commands"] == [" --target mine --against reference --accuracy wide"]


def test_links_of_the_page_lead_to_listed_cases():
    """A link to a case names one that is listed."""
    known = case("a/b=1,c é", "known", reason="r", link="l")
    known["results"]["torch"] = known["results"].pop("mine")

    assert 'href="#case=a/b%3D1%2Cc%20%C3%A9"' in to_html(report([known]))


def test_plots_are_named_by_type_and_target():
    """There is a plot for each quantity; each dot says what it is."""
    page = text()

    assert page.count("<circle") == 2 * page.count("<rect ")
    assert "<title>reference, float32, train, contiguous: " in page


@pytest.mark.parametrize(
    ("ratio", "share"), [(0, 0), (1e-6, 0), (1, 2 / 3), (1e3, 1), ("inf", 1), ("nan", 1)]
)
def test_a_ratio_has_its_place_on_the_scale(ratio, share):
    """The scale is logarithmic from 1e-6 to 1e3; what is beyond is at its ends."""
    assert place(ratio) == pytest.approx(LEFT + WIDTH * share, abs=0.1)


def test_features_count_hand_written_cases_and_matrices():
    """A tag's cell counts both, and a case of a matrix once."""
    tagged = {"tags": ["dtypes"]}
    cases = [case("one") | tagged, case("grid/a=1", "diverge", line=99) | tagged]
    found = features(report(cases, [matrix(agree=2, diverge=1) | tagged]))

    assert [(tag, cell.text) for tag, (cell,) in found] == [("dtypes", "1 of 4 diverge")]


@pytest.mark.parametrize(
    ("verdict", "mark", "words"),
    [
        ("agree", "conforms", "1 conform"),
        ("baseline_inaccurate", "conforms", "1 conform"),
        ("unsupported", "unsupported", "1 unsupported"),
        ("unjudged", "conforms", "0 of 1 conform, 1 unjudged"),
        ("known", "inaccurate", "0 of 1 conform, 1 known"),
        ("crash", "diverges", "1 of 1 diverge"),
    ],
)
def test_a_feature_is_marked_by_its_verdicts(verdict, mark, words):
    """Unsupported and known are no conformance; being right where the baseline is not is."""
    ((_, (cell,)),) = features(report([case("one", verdict) | {"tags": ["t"]}]))

    assert (cell.mark, cell.text) == (mark, words)


def test_the_same_report_gives_the_same_page():
    """Nothing of a page differs from run to run."""
    one = report([case()], [matrix(agree=3)])

    assert to_html(one) == to_html(one.model_copy(deep=True))


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (report([case()]), "conforms"),
        (report([case(verdict="crash")]), "diverges"),
        (report([case()], partial=True), "incomplete"),
        (report([], summary={}, accuracy={}), "incomplete"),
    ],
)
def test_the_badge_says_it_in_a_word(found, word):
    """It conforms only if something was judged, to the end, and nothing diverges."""
    badge = to_badge(found)

    assert f'aria-label="BatchNorm2d: {word}"' in badge
    assert Page(badge).open == []


def test_a_jobs_summary_has_what_failed():
    """The Markdown of a run says what diverges, why it matters and how to see it again."""
    cases = [made("w ```")[0]]
    entries = Suite(tuple(Entry(each, "(python)", 1) for each in cases), {})
    page = to_summary(harness.run(cases, ["reference", Half]), Sources(entries))

    assert "Half`: **diverges**" in page
    assert "\n      why: w ```\n" in page
    assert "step 1 (train): output[" in page
