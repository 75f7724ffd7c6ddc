"""Puts malformed files before the readers: python -m benchmarks.malformed --count 100000.

Prints how many were refused and let in, each kind of failure with an input that shows it, the
slowest, and the peak of memory.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "malformed"))

from doors import DOORS, knock
from mutations import NUMBERS, Edit, edited, seeds


def drawn(draw: random.Random, most: int = 3) -> list[Edit]:
    """Return some edits."""
    return [
        Edit(*(draw.randrange(NUMBERS) for _ in range(3))) for _ in range(draw.randint(1, most))
    ]


def main() -> int:
    """Run, and return 1 if a reader failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="inputs")
    parser.add_argument("--seed", type=int, default=0, help="others give other inputs")
    parser.add_argument("--save", type=Path, help="a folder for inputs that fail")
    options = parser.parse_args()
    outcomes: Counter[str] = Counter()
    failures: dict[str, tuple[int, str]] = {}
    slowest = (0.0, 0)
    found = {door: seeds(door) for door in DOORS}
    say = sys.stdout.write
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "given.yaml"
        for number in range(options.count):
            draw = random.Random(f"{options.seed} {number}")  # noqa: S311  # no secret
            door = draw.choice(sorted(DOORS))
            content = edited(draw.choice(found[door]), drawn(draw))
            start = time.process_time()
            try:
                refused = knock(door, path, content) is not None
                outcomes[f"{door}: {'refused' if refused else 'let in'}"] += 1
            except Exception as error:
                outcomes[f"{door}: FAILED"] += 1
                place = traceback.extract_tb(error.__traceback__)[-1]
                kind = f"{door}: {type(error).__name__} in {place.name}, line {place.lineno}"
                if kind not in failures:
                    failures[kind] = (number, f"{str(error)[:300]}")
                    say(f"{kind} (input {number}): {str(error)[:300]}\n")
                    if options.save:
                        options.save.mkdir(exist_ok=True)
                        (options.save / f"{door}-{number}.yaml").write_bytes(content)
            slowest = max(slowest, (time.process_time() - start, number))
    for outcome, count in sorted(outcomes.items()):
        say(f"{count:9,}  {outcome}\n")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    say(f"{options.count:,} inputs, {len(failures)} kinds of failure, ")
    say(f"slowest {slowest[0]:.2f} s (input {slowest[1]}), peak {peak:.0f} MiB\n")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
