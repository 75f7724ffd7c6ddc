"""Time the page of a report with many listed cases in Chromium.

    python benchmarks/page.py --cases 100000

Makes a report on a matrix whose every case is listed, as after `--full`, with random errors and a
tenth of the cases diverging; writes its page; and opens it from the disk. A line for each: the
bytes of the page, what making it took, and then in the browser, as medians of `--repeat`: from the
start of the navigation until the cases are listed, from a key in the filter until its cases are
shown, sorting, and opening a case. Needs the package `playwright`, and Chromium: that of the
system, or `--chromium PATH`.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from harness.case.suite import Suite, load
from harness.report.html import to_html
from harness.report.model import Report

MATRIX = """
- id: many
  why: Every flag against every kind of sequence, type and layout.
  tags: [forward, running-stats]
  matrix:
    shape: [[2, 3, 4, 5], [1, 2, 7, 7], [8, 16, 1, 2], [2, 1, 1, 1]]
    momentum: [0.1, 0, 1, 0.37, null]
    affine: [true, false]
    bias: [true, false]
    track_running_stats: [true, false]
    eps: [0.00001, 0.5]
    sequence: [T, E, TE, ET, TTE, ETT, TETE, TTTE, TTETE, TTTTT]
    fill: [{fill: normal, mean: 3.0, std: 2.0}, exact, offset]
    dtype: [float32, float64, bfloat16]
    layout: [contiguous, channels_last, transposed, sliced]
    grad: true
"""
QUANTITIES = ("grad_bias", "grad_input", "grad_weight", "output", "running_mean", "running_var")
TARGETS = ("mine.py:BatchNorm2d", "torch")

# Each waits in the page itself, for the frame in which its effect is shown.
SHOWN = "() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"
FILTER = """async (text) => {
  const started = performance.now(), words = document.getElementById("words");
  words.value = text;
  words.dispatchEvent(new Event("input"));
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  return performance.now() - started;
}"""
CLICK = """async (selector) => {
  const started = performance.now();
  document.querySelector(selector).click();
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  return performance.now() - started;
}"""


def made(count: int, seed: int) -> tuple[Report, Suite]:
    """Return a report that lists as many cases of one matrix, and the matrix."""
    draw = random.Random(seed)  # noqa: S311  # nothing secret
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "many.yaml"
        path.write_text(MATRIX, encoding="utf-8")
        suite = load([path])
    (entry,) = suite.entries
    cases = [
        {
            "id": name,
            "file": entry.file,
            "line": entry.line,
            "tags": list(entry.item.tags),
            "results": {target: _result(draw, target) for target in TARGETS},
        }
        for name in islice(sorted(entry.ids()), count)
    ]
    counts = {target: {"cases": len(cases)} for target in TARGETS}
    plain: dict[str, Any] = {"environment": {}, "baseline": "torch", "targets": [TARGETS[0]]}
    plain |= {"summary": counts, "accuracy": {}, "cases": cases, "matrices": []}
    return Report.model_validate(plain), suite


def _result(draw: random.Random, target: str) -> dict[str, Any]:
    diverges = target != "torch" and draw.random() < 0.1  # noqa: PLR2004
    ratios = {name: 10 ** draw.uniform(-6, 3 if diverges else 0) for name in QUANTITIES}
    worst = max(ratios, key=ratios.__getitem__)
    found: dict[str, Any] = {
        "verdict": "diverge" if diverges else "agree",
        "worst": {"quantity": worst, "step": draw.randrange(3), "ratio": ratios[worst], "ulp": 1.0},
        "quantities": {
            name: {"ratio": ratio, "ulp": 3 * ratio, "closer": "equal"}
            for name, ratio in ratios.items()
        },
    }
    if diverges:
        found["divergences"] = [
            {"step": 0, "quantity": name, "aspect": "value", "index": [0, 1, draw.randrange(4), 2]}
            | {"expected": draw.gauss(0, 1), "actual": draw.gauss(0, 1), "exact": draw.gauss(0, 1)}
            | {"ratio": ratio, "ulp": 3 * ratio, "culprit": "target"}
            for name, ratio in ratios.items()
            if ratio > 1
        ]
    return found


def opened(page: Page, address: str) -> float:
    """Open the page; return the milliseconds until its cases are listed."""
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_selector("#list tbody tr")
    page.evaluate(SHOWN)
    return float(page.evaluate("performance.now()"))


def main() -> int:
    """Run as the module's docstring says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=int, default=100_000, metavar="N")
    parser.add_argument("--repeat", type=int, default=5, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--chromium", default=shutil.which("chromium"), metavar="PATH")
    asked = parser.parse_args()
    report, suite = made(asked.cases, asked.seed)
    started = time.perf_counter()
    text = to_html(report, suite)
    took = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "page.html"
        path.write_text(text, encoding="utf-8")
        print(f"cases        {len(report.cases):>11,}")  # noqa: T201
        print(f"page         {path.stat().st_size:>11,} bytes, made in {took:.1f} s")  # noqa: T201
        browser = playwright.chromium.launch(
            executable_path=asked.chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        address = path.as_uri()
        times: dict[str, list[float]] = {}
        for _ in range(asked.repeat):
            times.setdefault("open", []).append(opened(page, address))
            for text in ("bfloat16", "bfloat16 ttete momentum=0.37"):
                times.setdefault(f"filter '{text}'", []).append(page.evaluate(FILTER, text))
            times.setdefault("filter cleared", []).append(page.evaluate(FILTER, ""))
            sorting = page.evaluate(CLICK, "#list th:nth-child(3) button")
            times.setdefault("sort by error", []).append(sorting)
            times.setdefault("open a case", []).append(page.evaluate(CLICK, "#list tbody a"))
            page.wait_for_selector("#case h3")
        for name, found in times.items():
            print(f"{name:<38}{statistics.median(found):>8.0f} ms")  # noqa: T201
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
