"""The site of docs/ builds, strictly, and needs nothing from elsewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="the site is built with the extra 'docs'")

ROOT = Path(__file__).parents[1]


def built(root, site):
    """Build the site as `tox run -e docs` does."""
    words = ["-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    return subprocess.run(
        [sys.executable, *words], cwd=root, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the site of this repository."""
    folder = tmp_path_factory.mktemp("site")
    done = built(ROOT, folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_each_page_is_there(site):
    """Every page of docs/ is in the site, with the reports, the notebook and the root's pages."""
    wanted = {path.stem for path in (ROOT / "docs").glob("*.md")}

    assert wanted | {"CONTRIBUTING", "notebook"} <= {path.stem for path in site.glob("*.html")}
    assert (site / "reports/index.html").read_bytes() == (ROOT / "reports/index.html").read_bytes()


def test_the_notebook_is_a_page_with_its_outputs(site):
    """The explanations of the notebook stand in its page, with their plots."""
    page = (site / "notebook.html").read_text(encoding="utf-8")

    assert page.count("<svg") == 4
    assert "reference: agree" in page


def test_the_site_loads_nothing_from_elsewhere(site):
    """Scripts, styles, images and fonts are the site's own."""
    loads = [
        address
        for page in site.rglob("*.html")
        for tag in re.findall(r"<(?:script|link|img)\b[^>]*>", page.read_text(encoding="utf-8"))
        for address in re.findall(r'(?:src|href)="((?:https?:)?//[^"]*)"', tag)
    ]

    assert loads == []


@pytest.mark.parametrize("link", ["[x](no-such-page.md)", "[x](targets.md#no-such-heading)"])
def test_a_broken_link_is_an_error(tmp_path, link):
    """A link to a page or to a heading that is not there fails the build, and is named."""
    for name in ("docs", "examples", "reports"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("mkdocs.yml", "CONTRIBUTING.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path)
    with (tmp_path / "docs/index.md").open("a", encoding="utf-8") as page:
        page.write(f"\n{link}\n")
    done = built(tmp_path, tmp_path / "site")

    assert done.returncode == 1
    assert link[4:-1].partition("#")[2] in done.stderr
