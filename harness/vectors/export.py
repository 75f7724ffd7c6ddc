"""The export: an index in JSON, a line a case, and the arrays of each case file in safetensors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib.metadata import version
from itertools import chain, groupby
from itertools import count as count_from
from pathlib import Path

from harness import __version__
from harness.case import needs
from harness.case.suite import Suite
from harness.errors import InvalidInput
from harness.vectors.folder import INDEX, whole
from harness.vectors.store import Store
from harness.vectors.vector import vector

SCHEMA = "bn-harness/vectors/1"


def export(
    suite: Suite,
    folder: Path,
    accuracy: str | None = None,
    listener: Callable[[int], None] | None = None,
) -> int:
    """Write the cases of a suite as test vectors.

    Parameters
    ----------
    suite : Suite
    folder : Path
        Written whole or not at all; an earlier export is replaced.
    accuracy : str, optional
        Class of the bounds; by default that which verdicts ask for.
    listener : callable, optional
        Told the number of cases so far.

    Returns
    -------
    int
        The number of cases.

    Raises
    ------
    InvalidInput
        No case is selected; the folder holds something else, or cannot be written.
    """
    torch = version("torch").partition("+")[0]
    head = {
        "schema": SCHEMA,
        "harness": __version__,
        "torch": torch,
        "accuracy": accuracy or "standard",
    }
    selected = (each for each in suite.cases() if needs.applies(each[1], torch))
    files = groupby(selected, key=lambda each: each[0].file)
    count, names = 0, set[str]()
    with whole(folder, SCHEMA) as made, (made / INDEX).open("w", encoding="utf-8") as index:
        index.write(_line(head).removesuffix("}") + ',"cases":[')
        for file, cases in files:
            name = _free(Path(file).stem, names)
            names.add(name)
            with Store(made / f"{name}.safetensors") as store:
                for _, case in cases:
                    found = {
                        "file": file,
                        "arrays": store.path.name,
                        **vector(case, store, accuracy),
                    }
                    index.write(f"{',' if count else ''}\n{_line(found)}")
                    count += 1
                    if listener is not None:
                        listener(count)
        index.write("\n]}\n")
        if not count:
            raise InvalidInput(f"no case is selected that holds for torch {torch}; choose others")
    return count


def _free(stem: str, taken: set[str]) -> str:
    """Return a name that no file has: the stem, else with a number."""
    numbered = (f"{stem}-{number}" for number in count_from(2))
    return next(name for name in chain([stem], numbered) if name not in taken)


def _line(found: Mapping[str, object]) -> str:
    return json.dumps(found, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
