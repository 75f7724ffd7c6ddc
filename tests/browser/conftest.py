"""Pages in the system's Chromium, opened from the disk."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SWITCHES = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
REQUIRED = "BN_HARNESS_BROWSER"
"""Set to "required", this variable of the environment turns skips into failures."""


def without(reason):
    """Skip, or fail where a browser is required."""
    if os.environ.get(REQUIRED) == "required":
        pytest.fail(f"{reason}, and {REQUIRED}=required")
    pytest.skip(f"{reason}: pages are not tested in a browser")


@pytest.fixture(scope="package")
def browser():
    """Start the system's Chromium, once."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        without(f"none of {', '.join(NAMES)} is on the PATH, and CHROMIUM names none")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        without("playwright is not installed")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(SWITCHES))
        yield started
        started.close()


@dataclass
class Opened:
    """A page in the browser, what it asked the network for, and what it complained of."""

    page: object
    address: str
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def ids(self):
        """Return the ids of the cases that are shown."""
        return self.page.locator("#list tbody a").all_inner_texts()

    def count(self):
        """Return how many cases pass the filter, as the page says."""
        return int(self.page.inner_text("#count").split()[0].replace(",", ""))


@pytest.fixture
def visit(browser):
    """Open files; whatever a test does with them, they load and complain of nothing."""
    contexts, pages = [], []

    def opened(path, fragment="", ready="#list tbody tr", init="", **options):
        context = browser.new_context(**options)
        contexts.append(context)
        if init:
            context.add_init_script(init)
        found = Opened(context.new_page(), Path(path).resolve().as_uri())
        pages.append(found)
        found.page.on("request", lambda request: found.requests.append(request.url))
        found.page.on("console", lambda message: found.complaints.append(message.text))
        found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
        found.page.goto(found.address + fragment)
        found.page.wait_for_selector(ready)
        return found

    yield opened
    for context in contexts:
        context.close()
    for each in pages:
        assert {address.partition("#")[0] for address in each.requests} == {each.address}
        assert each.complaints == []
