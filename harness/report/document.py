"""The report as strict JSON: the same text each time, read back with one clear message."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from harness.case.line import line
from harness.errors import InvalidInput
from harness.report.model import Report


def to_json(report: Report) -> str:
    """Return the report as strict JSON with sorted keys; what is None or a default is left out."""
    plain = report.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    plain["schema"] = report.format
    return json.dumps(plain, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"


def from_json(text: str, name: str) -> Report:
    """Return the report that a file holds.

    Raises
    ------
    InvalidInput
        It is not a report of this version.
    """
    try:
        plain = json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            object_pairs_hook=_once,
        )
        _refuse_surrogates(text, plain)
        report = Report.model_validate(plain)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the document"
        said = line(f"{place}: {first['msg']}")
        raise InvalidInput(f"{name}: not a conformance report: {said}") from None
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{name}: not strict JSON: {line(str(error))}") from None
    return report


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits} is beyond the range of float64")
    return number


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        repeated = next(key for at, (key, _) in enumerate(pairs) if key in dict(pairs[:at]))
        raise ValueError(f"the key '{repeated}' is there twice")
    return found


def _refuse_surrogates(text: str, plain: object) -> None:
    """Refuse halves of characters, which JSON can spell and no file or terminal can take."""
    if "\\ud" in text or "\\uD" in text:
        try:
            json.dumps(plain, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            half = f"\\u{ord(error.object[error.start]):04x}"
            raise ValueError(f"{half} is the half of a character") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not strict JSON")


def read(path: Path) -> Report:
    """Return the report in a file; errors as in `from_json`."""
    try:
        return from_json(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{path}: not valid UTF-8") from None


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a report."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Report.model_json_schema(by_alias=True, mode="validation"),
    }
