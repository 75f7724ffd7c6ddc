"""Cases made from a few words of a command line, or from another case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from harness.case.axes import LETTERS
from harness.case.fills import FILLS
from harness.case.find import find
from harness.case.model import Case
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
        raise InvalidInput(f"--fill {given['fill']}: choose one of {', '.join(sorted(FILLS))}")
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
    except ValidationError as error:
        mistakes = [
            f"{'.'.join(map(str, each['loc'])) or 'the case'}: {each['msg']}"
            for each in error.errors(include_url=False)
        ]
        raise InvalidInput("no valid case: " + "; ".join(dict.fromkeys(mistakes))) from None
