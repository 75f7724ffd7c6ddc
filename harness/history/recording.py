"""What a version did with each case, kept: a worker's answers, one JSON line a case."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from harness.case.model import Case
from harness.case.suite import Suite
from harness.errors import InvalidInput
from harness.semantics import LowerAccuracy
from harness.targets import Target, blinded, wire
from harness.targets.base import Crashed, TimedOut
from harness.trace import Array, Raised, StepTrace, Trace
from harness.writing import write_whole

SUFFIX = ".jsonl"
"""Of the files in a folder of recordings; the rest of a file's name is the version's."""


class _Failure(BaseModel):
    verdict: str
    reason: str


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    case: str
    digest: str
    trace: wire.WireTrace | None = None
    failure: _Failure | None = None


class Recording:
    """A recorded version as a target: it answers as the version did.

    Parameters
    ----------
    path : Path
        A file that `record` has written.

    Raises
    ------
    InvalidInput
        It cannot be read, or is no recording.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            first, *lines = path.read_text(encoding="utf-8").splitlines()
            hello = wire.Hello.model_validate_json(first)
            self._lines = {json.loads(line)["case"]: line for line in lines}
        except OSError as error:
            raise InvalidInput(f"{path}: cannot be read: {error.strerror}") from None
        except (ValueError, TypeError, KeyError):
            raise InvalidInput(f"{path}: not a recording; --record writes one") from None
        self.info = hello.info(path.name.removesuffix(SUFFIX))

    def execute(self, case: Case) -> Trace:
        """Return what the version did with a case.

        Raises
        ------
        Crashed, TimedOut
            It did so then.
        InvalidInput
            The case was not recorded, or has changed since.
        """
        line = self._line(case)
        if line is None or line.digest != _digest(case):
            raise InvalidInput(
                f"{self.path}: does not have the case {case.id} as it is now; record it again"
            )
        if line.failure is not None:
            failed = TimedOut if line.failure.verdict == TimedOut.verdict else Crashed
            raise failed(line.failure.reason)
        assert line.trace is not None  # noqa: S101  # one of the two is written
        return line.trace.trace(case)

    def _line(self, case: Case) -> _Line | None:
        text = self._lines.get(case.id)
        try:
            return None if text is None else _Line.model_validate_json(text)
        except ValidationError:
            return None


def record(suite: Suite, target: Target, path: Path) -> int:
    """Run the cases of a suite and keep every trace.

    Parameters
    ----------
    suite : Suite
    target : Target
    path : Path
        Written whole or not at all.

    Returns
    -------
    int
        The number of cases.

    Raises
    ------
    InvalidInput
        The file cannot be written.
    """
    declares = [
        {"parameters": each.parameters, **asdict(each.declared)}
        for each in target.info.declarations
    ]
    hello = wire.Hello(
        protocol=wire.PROTOCOL,
        versions=dict(target.info.versions),
        dtypes=(),
        declares=tuple(map(LowerAccuracy.model_validate, declares)),
    )
    lines = [hello.model_dump_json()]
    for _, case in suite.cases():
        given = blinded(case)
        kept: dict[str, Any] = {"case": case.id, "digest": _digest(given)}
        try:
            kept["trace"] = _plain(target.execute(given))
        except Crashed as error:
            kept["failure"] = {"verdict": error.verdict, "reason": str(error)}
        lines.append(json.dumps(kept, allow_nan=False))
    write_whole(path, "\n".join(lines) + "\n")
    return len(lines) - 1


def recordings(folder: Path) -> Iterator[tuple[str, Recording]]:
    """Yield name and recording of each version in a folder.

    Raises
    ------
    InvalidInput
        There is none, or one is no recording.
    """
    files = sorted(folder.glob(f"*{SUFFIX}"))
    if not files:
        raise InvalidInput(f"{folder}: holds no recordings; --record {folder} makes them")
    for path in files:
        found = Recording(path)
        yield found.info.name, found


def _digest(case: Case) -> str:
    message = wire.line(case=wire.case_message(case, 0))
    return hashlib.blake2b(message, digest_size=16).hexdigest()


def _plain(trace: Trace) -> dict[str, Any]:
    """Return a trace as a worker would send it."""
    return {
        "number": 0,
        "initial": _arrays(trace.initial),
        "steps": [_step(each) for each in trace.steps],
        "raised": _raised(trace.raised),
        "unsupported": trace.unsupported,
    }


def _step(done: StepTrace) -> dict[str, Any]:
    return {
        "step": done.step,
        "repetition": done.repetition,
        "results": _arrays(done.results),
        "state": _arrays(done.state),
        "saved": None if done.saved is None else _arrays(done.saved),
        "raised": _raised(done.raised),
        "unsupported": done.unsupported,
        "input_changed": done.input_changed,
        "replaced": None if done.replaced is None else sorted(done.replaced),
    }


def _arrays(found: Any) -> dict[str, Any]:  # noqa: ANN401  # mappings of arrays, with None or without
    arrays: dict[str, Array | None] = dict(found)
    return {name: None if each is None else wire.packed(each) for name, each in arrays.items()}


def _raised(raised: Raised | None) -> dict[str, str] | None:
    return None if raised is None else asdict(raised)
