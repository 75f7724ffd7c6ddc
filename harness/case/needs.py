"""What a case needs of torch: types, layouts and arguments, and since when torch has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from harness.case.arrays import ArraySpec
from harness.case.model import Case, Cast
from harness.versions import holds, release

SINCE = {
    "bfloat16": "1.13",
    "float16": "2.2",
    "channels_last": "1.10",
    "bias": "2.12",
}
"""Release from which torch's CPU kernels take a type, give channels_last for channels_last, and
the constructor takes ``bias=False``: found by running torch 1.8.1 to 2.13.0 (reports/versions.md).
"""

EVERYTHING = max(SINCE.values(), key=release)
"""First release that has all of it."""


def dtypes(case: Case) -> set[str]:
    """Return the names of all types that a case's module and arrays have."""
    spelled = {spec.dtype for spec in _specs(case.state, *case.steps) if spec.dtype}
    return {case.module.dtype, *spelled, *filter(None, map(_cast, case.steps))}


def since(case: Case) -> str | None:
    """Return the first release of torch that has all that a case uses, None if any has."""
    used = dtypes(case) | {spec.layout for spec in _specs(case.state, *case.steps)}
    if not case.module.bias:
        used.add("bias")
    return max((SINCE[each] for each in used & SINCE.keys()), key=release, default=None)


def applies(case: Case, torch: str) -> bool:
    """Whether a case holds for a version of torch, which has all that the case uses."""
    everything = holds(torch, EVERYTHING, None)
    return (everything or holds(torch, since(case), None)) and holds(torch, case.since, case.before)


def _cast(step: object) -> str | None:
    return step.cast if isinstance(step, Cast) and step.converts else None


def _specs(*parts: object) -> Iterator[ArraySpec]:
    for part in parts:
        if isinstance(part, ArraySpec):
            yield part
        elif isinstance(part, BaseModel):
            yield from _specs(*(getattr(part, name) for name in part.model_fields_set))
        elif isinstance(part, Mapping):
            yield from _specs(*part.values())
