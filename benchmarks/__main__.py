"""Measures everything and rewrites the tables of the page.

    python -m benchmarks

Takes minutes; nothing else should run meanwhile. ``--page FILE`` rewrites another page, and each
script, named by its module, can be run alone. Options of a script are given to it after its name.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks.page_tables import PAGE

SCRIPTS = ("overhead", "throughput", "pytorch_tests", "reference", "growth")


def main() -> None:
    """Run the scripts one after the other."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("scripts", nargs="*", metavar="SCRIPT", help=f"of {', '.join(SCRIPTS)}")
    parser.add_argument("--page", type=Path, default=PAGE)
    given, others = parser.parse_known_args()
    for script in given.scripts or SCRIPTS:
        if script not in SCRIPTS:
            parser.error(f"no script '{script}'; there are {', '.join(SCRIPTS)}")
        words = ["-m", f"benchmarks.{script}", "--page", str(given.page), "--quiet", *others]
        subprocess.run([sys.executable, *words], check=True)  # noqa: S603  # the scripts above


if __name__ == "__main__":
    main()
