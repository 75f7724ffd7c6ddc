"""The journal of a run: what it has found so far, on disk, so that a run that was killed goes on.

A journal stands beside the report that the run is to write, as ``FILE.journal``: lines of JSON, the
first of which says what run it is of. A line is written by one call, at most every `EVERY` seconds
and at the end, and synchronised with the disk (fsync) before the next: what a process that is
killed loses is the work of that time and what its workers had under way; so does a machine that
loses power. A line that is torn, or whose check sum is wrong, is ignored, and its cases run again.
The lock (flock) on the journal is the run's: it ends with its process, however that ends.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any

from harness.batch import About, Batch
from harness.errors import InvalidInput
from harness.identity import difference
from harness.known import KnownDivergences
from harness.part import Part, Spans, joined, meets
from harness.report.collect import Collector
from harness.report.model import Report
from harness.writing import special

EVERY = 0.5
"""Seconds between two lines."""

FORMAT = "bn-harness/journal/1"
_HEAD = f'{{"journal": "{FORMAT}", "run": '.encode()
_PART = b'{"crc32": "%08x", "part": '
_START = len(_PART % 0)


class Journal:
    """The journal beside a report; a context that closes it.

    Parameters
    ----------
    report : pathlib.Path
        The report that the run is to write.

    Raises
    ------
    InvalidInput
        It cannot be written, another run writes it, or it is another file. Every method that
        writes raises this too, of a full disk: the lines before stay whole.
    """

    def __init__(self, report: Path) -> None:
        report = report.resolve()  # as the report is written: a link stays one
        self.path = report.with_name(f"{report.name}.journal")
        self._pending: tuple[Spans, Batch] | None = None
        self._last = time.monotonic()
        self._about: About | None = None
        try:
            report.parent.mkdir(parents=True, exist_ok=True)
            self._file = _locked(self.path)
            self._end = os.fstat(self._file).st_size
            self._bare = not self._end
        except OSError as error:
            raise InvalidInput(f"{report}: cannot be written: {error.strerror}") from None
        if not _ours(os.pread(self._file, len(_HEAD), 0)):
            os.close(self._file)
            raise InvalidInput(f"{self.path}: is not the journal of a run; move it away")

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.flush()
        finally:
            if self._bare:  # there is nothing to go on from
                self.path.unlink(missing_ok=True)
            os.close(self._file)

    def begin(self, run: dict[str, Any], about: About) -> None:
        """Start anew: forget what the journal has."""
        self._about = about
        self._bare = True
        self._cut(0)
        self._write(_HEAD + json.dumps(run, sort_keys=True).encode() + b"}\n")

    def resume(self, run: dict[str, Any], about: About, known: KnownDivergences) -> Iterator[Part]:
        """Yield the parts that the journal has; then it can be written on.

        Parameters
        ----------
        run : dict
            What `identity` says of this run.
        about : About
        known : KnownDivergences
            The entries of this run.

        Raises
        ------
        InvalidInput
            The journal is of another run.
        """
        self._about = about
        with open(self._file, "rb", closefd=False) as file:
            head = file.readline()
            there = _json(head[len(_HEAD) : -2]) if head.endswith(b"}\n") else None
            if there is None:  # it was killed before it had anything
                self.begin(run, about)
                return
            if said := difference(there, run):
                raise InvalidInput(
                    f"{self.path}: the journal of another run: {said}; repeat that run with "
                    "--resume, or leave out --resume to start anew"
                )
            whole, done = len(head), Spans()
            for line in file:
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                part = _part(line, known)
                if part is not None and not meets(done, part.spans):
                    done = joined(chain(done, part.spans))
                    yield part
        self._cut(whole)

    def add(self, part: Part) -> None:
        """Take a part, and write what has gathered if it is time."""
        spans, batch = self._pending or ([], Batch(Collector(), part.batch.known.unmet()))
        batch.merge(part.batch)
        self._pending = joined(chain(spans, part.spans)), batch
        if time.monotonic() - self._last >= EVERY:
            self.flush()

    def flush(self) -> None:
        """Write what has gathered."""
        if self._pending is None or self._about is None:
            return
        text = Part(*self._pending).to_json(self._about).encode()
        self._pending = None
        self._write((_PART % zlib.crc32(text)) + text + b"}\n")
        self._bare = False
        self._last = time.monotonic()

    def finish(self, report: Report) -> None:
        """Take note that the report is written: remove the journal, unless it is needed yet."""
        if not report.partial:
            self._pending = None
            self.path.unlink(missing_ok=True)

    def _write(self, line: bytes) -> None:
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fsync(self._file)
            self._end += len(line)
        except OSError as error:
            self._about = None  # nothing more can be written
            self._cut(self._end)
            raise InvalidInput(
                f"{self.path}: cannot be written: {error.strerror}; make room, and go on with "
                "--resume"
            ) from None

    def _cut(self, end: int) -> None:
        os.ftruncate(self._file, end)
        os.lseek(self._file, end, os.SEEK_SET)
        self._end = end


def beside(report: Path | None, resume: bool) -> AbstractContextManager[Journal | None]:
    """Return the journal of a run that is to write a report; None where it has no place.

    Raises
    ------
    InvalidInput
        The run is to resume, and there is no place for a journal; or as `Journal`.
    """
    if report is not None and not special(report):
        return Journal(report)
    if resume:
        raise InvalidInput("--resume goes on from the journal beside a file; name it by --report")
    return nullcontext()


def _locked(path: Path) -> int:
    """Return an open file that no other process has locked."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A run that ended between the two calls has removed what was opened.
            if path.exists() and path.stat().st_ino == os.fstat(file).st_ino:
                return file
        except BlockingIOError:
            os.close(file)
            raise InvalidInput(
                f"{path}: another run is writing this report; wait for its end, or give another "
                "--report"
            ) from None
        except OSError:
            os.close(file)
            raise
        os.close(file)


def _ours(start: bytes) -> bool:
    """Whether a file starts as a journal, as far as it was written."""
    return start == _HEAD[: len(start)]


def _part(line: bytes, known: KnownDivergences) -> Part | None:
    text = line[_START:-2]
    if line != _PART % zlib.crc32(text) + text + b"}\n":
        return None
    return Part.from_json(text.decode(), known)


def _json(text: bytes) -> Any:  # noqa: ANN401  # whatever stands there
    try:
        return json.loads(text)
    except ValueError:
        return None
