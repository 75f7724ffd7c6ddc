"""Cases made from a few words of a command line, or from another case."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML

from harness.case.axes import LETTERS
from harness.case.document import parse
from harness.case.fills import FILLS
from harness.case.find import find
from harness.case.model import Case
from harness.case.suite import entries_of
from harness.errors import InvalidInput


def made(case_id: str, given: Mapping[str, Any], spelled: set[str]) -> Case:
    """Return a case with a step for each letter.

    Parameters
    ----------
    case_id : str
    given : mapping
        The options of ``bn-harness new``, by name.
    spelled : set of str
        Those that are not the defaults: only these are written.

    Raises
    ------
    InvalidInput
        They make no valid case; its text has every mistake.
    """
    channels, shape = given["num_features"], given["shape"]
    if channels is None:
        channels = shape[1] if len(shape) > 1 else 1
    elif "shape" not in spelled:
        given = {**given, "shape": (shape[0], channels, *shape[2:])}
    module: dict[str, Any] = {"num_features": channels}
    for option, name in _MODULE.items():
        if option in spelled:
            module[name] = given[option]
    letters = given["steps"]
    if not letters or set(letters) - set(LETTERS):
        raise InvalidInput(f"--steps {letters}: write T for a train step, E for an eval step")
    steps = [
        {LETTERS[letter]: _forward(given, spelled, given["seed"] + number)}
        for number, letter in enumerate(letters)
    ]
    return _valid({"id": case_id, **_words(given), "module": module, "steps": steps})


def copied(case_id: str, origin: str, given: Mapping[str, Any]) -> Case:
    """Return another case under a new id; one of a matrix is written out.

    Parameters
    ----------
    case_id : str
    origin : str
        As for `find`.
    given : mapping
        ``why``, and perhaps ``source`` and ``tags``.

    Raises
    ------
    InvalidInput
        There is no such case, or the new id or words are not valid.
    """
    *_, case = find(origin)
    return _valid({**case.model_dump(exclude_unset=True, by_alias=True), **_words(given)}, case_id)


_MODULE = {
    "eps": "eps",
    "momentum": "momentum",
    "affine": "affine",
    "track": "track_running_stats",
    "dtype": "dtype",
}


def _words(given: Mapping[str, Any]) -> dict[str, Any]:
    words = {"why": given["why"], "source": given["source"], "tags": list(given["tags"])}
    return {name: value for name, value in words.items() if value or name == "why"}


def _forward(given: Mapping[str, Any], spelled: set[str], seed: int) -> dict[str, Any]:
    array: dict[str, Any] = {"shape": list(given["shape"]), "fill": given["fill"]}
    if "layout" in spelled:
        array["layout"] = given["layout"]
    recipe = FILLS.get(given["fill"])
    if recipe is None:
        name = given["fill"].partition("(")[0]
        what = f"choose one of {', '.join(sorted(FILLS))}"
        if name in FILLS:
            what = f"say {name}, and write its parameters into the file"
        raise InvalidInput(f"--fill {given['fill']}: {what}")
    if "seed" in recipe.model_fields:
        array["seed"] = seed
    if not given["grad"]:
        return {"input": array}
    return {"input": array, "grad_output": {"fill": "normal", "seed": seed + _GRADIENT}}


_GRADIENT = 50


def _valid(plain: dict[str, Any], case_id: str | None = None) -> Case:
    if case_id is not None:
        plain["id"] = case_id
    try:
        return Case.model_validate(plain)
    except ValidationError:
        mistakes = "; ".join(dict.fromkeys(_mistakes(plain)))
        raise InvalidInput(f"no valid case: {mistakes}") from None


def _mistakes(plain: dict[str, Any]) -> Iterator[str]:
    """Yield what a reader of the case in YAML would be told, each with the nearest key."""
    text = io.StringIO()
    YAML(typ="safe", pure=True).dump([plain], text)
    document = parse(text.getvalue().encode(), "")
    paths = {place: path for path, place in document.places.items()}
    for place, message in entries_of(document)[1]:
        words = [each for each in paths.get(place, ()) if isinstance(each, str)]
        yield ": ".join((*words[-1:], message))
