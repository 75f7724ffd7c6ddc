"""Cases as YAML that a person would write: a block for each case, a line for each step."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from harness.case.model import Case

_WIDTH = 1000  # a line for each step, however long


def to_yaml(cases: Iterable[Case]) -> str:
    """Return cases as a case file, what they leave to its default left out.

    Reading the text gives equal cases, with the same arguments spelled.
    """
    yaml = YAML()
    yaml.width = _WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    texts = []
    for case in cases:
        stream = io.StringIO()
        yaml.dump([_case(case)], stream)
        # The top level has no mapping that its items could be indented under.
        texts.append("".join(line[2:] for line in stream.getvalue().splitlines(keepends=True)))
    return "\n".join(texts) or "[]\n"


def _case(case: Case) -> CommentedMap:
    spelled = case.model_dump(exclude_unset=True, by_alias=True)
    written = CommentedMap()
    for name in type(case).model_fields:
        if name not in spelled:
            continue
        value = spelled[name]
        if name == "steps" and value:
            written[name] = CommentedSeq(_step(_short(step)) for step in value)
        elif name == "expect" and value:
            written[name] = CommentedSeq(_flow(item) for item in value)
        else:
            written[name] = _flow(_lists(value) if name == "state" else value)
    return written


def _step(step: dict[str, Any]) -> CommentedMap:
    return CommentedMap({key: _flow(value) for key, value in step.items()})


def _short(step: dict[str, Any]) -> dict[str, Any]:
    """Write the arrays of set and load steps as lists."""
    if "set" in step:
        return {**step, "set": _lists(step["set"])}
    if "add" in step.get("load", {}):
        return {**step, "load": {**step["load"], "add": _lists(step["load"]["add"])}}
    return step


def _lists(arrays: dict[str, Any]) -> dict[str, Any]:
    return {name: _list(value) for name, value in arrays.items()}


def _list(value: Any) -> Any:  # noqa: ANN401
    if not isinstance(value, dict):
        return value
    if set(value) == {"parameter"}:
        return {"parameter": _list(value["parameter"])}
    plain = set(value) == {"values"} and isinstance(value["values"], tuple)
    return value["values"] if plain else value


def _flow(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        # A fill's own parameters come before the shape in its model, not in a person's mind.
        shape = {"shape": value["shape"]} if "shape" in value else {}
        written: Any = CommentedMap({k: _flow(item) for k, item in {**shape, **value}.items()})
    elif isinstance(value, list | tuple):
        written = CommentedSeq(_flow(item) for item in value)
    elif isinstance(value, str) and (value.startswith("?") or not value.isprintable()):
        # Of line breaks, other styles keep not all; and in brackets ? is read as that of a key.
        return DoubleQuotedScalarString(value)
    else:
        return value
    written.fa.set_flow_style()
    return written
