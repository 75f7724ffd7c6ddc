"""An explanation as data: what each implementation computed beside the exact values and bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.case.model import Case
from harness.compare import Comparison
from harness.compare.findings import number
from harness.compare.judged import Assessed, Judged
from harness.dtypes import FLOATING, name_of
from harness.explanation.story import Told
from harness.report.result import ratio, result, rounded
from harness.trace import STATE, Array, Raised

SCHEMA = "bn-harness/explanation/1"


def numbers(case: Case, told: Sequence[Told], found: Comparison) -> dict[str, Any]:
    """Return an explanation's numbers, of every element, as values that strict JSON knows.

    Parameters
    ----------
    case : Case
    told : sequence of Told
        The baseline first.
    found : Comparison
        Of the target.
    """
    return {
        "schema": SCHEMA,
        "id": case.id,
        "why": case.why,
        "baseline": told[0].name,
        "target": found.target,
        "result": result(found).model_dump(mode="json", exclude_defaults=True),
        "implementations": {each.name: _implementation(each) for each in told},
    }


def _implementation(told: Told) -> dict[str, Any]:
    return {
        **_refused(told.trace.unsupported, told.trace.raised),
        "initial": {name: _array(array) for name, array in told.trace.initial.items()},
        "executions": [_execution(each) for each in told.assessed],
    }


def _execution(assessed: Assessed) -> dict[str, Any]:
    """Return what an execution of a step returned and left; steps are counted from 0."""
    done, judged = assessed.done, assessed.judged
    state = {name: done.state.get(name) for name in STATE}

    def held(arrays: Mapping[str, Array | None]) -> dict[str, Any]:
        return {name: _array(array, judged.get(name)) for name, array in arrays.items()}

    return {
        "step": done.step,
        "repetition": done.repetition,
        "kind": assessed.asked.step.kind,
        **_refused(done.unsupported, done.raised),
        "results": held(done.results),
        "state": held(state),
    }


def _refused(unsupported: str | None, raised: Raised | None) -> dict[str, Any]:
    found: dict[str, Any] = {} if unsupported is None else {"unsupported": unsupported}
    if raised is not None:
        found["raised"] = {"phase": raised.phase, "type": raised.type, "message": raised.message}
    return found


def _array(array: Array | None, judged: Judged | None = None) -> dict[str, Any] | None:
    """Return an array's numbers, and where they were judged, what they are held against."""
    if array is None:
        return None
    found = {"dtype": name_of(array.dtype), "shape": list(array.shape), "computed": _listed(array)}
    if judged is None:
        return found
    return {
        **found,
        "exact": _listed(judged.expected.values),
        "bound": _listed(judged.expected.bound),
        "ratio": ratio(judged.figures.ratio),
        "ulp": rounded(judged.figures.ulp),
        "worst": list(judged.worst_index) if array.size else None,
    }


def _listed(array: Array) -> Any:  # noqa: ANN401  # lists in lists
    wide = array.astype("float64") if name_of(array.dtype) in FLOATING else array
    return _plain(wide.tolist())


def _plain(value: Any) -> Any:  # noqa: ANN401  # lists in lists
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return number(value)
    return str(value) if isinstance(value, complex) else value
