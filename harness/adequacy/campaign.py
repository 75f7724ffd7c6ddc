"""The whole suite against all variants, in waves; mistakes that are caught are dropped."""

from __future__ import annotations

import hashlib
import multiprocessing
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from harness.adequacy.catalogue import planted, sound
from harness.adequacy.scores import Scores
from harness.adequacy.trial import Finding, Trial
from harness.case.model import Case
from harness.case.suite import Suite
from harness.errors import InvalidInput

ENOUGH = 3
"""Cases that catch a mistake before further cases of matrices are spared it."""

WAVES = (64, 192, 256, 512, 1024)
"""Sizes of the first waves of matrix cases; the last is that of all further ones.

Every mistake meets the first wave. Mistakes are dropped between waves only, so that the result does
not depend on who was faster.
"""

CHUNK = 8
"""Cases that a process takes at a time."""

Listener = Callable[[str], None]


@dataclass(frozen=True)
class Selected:
    """A case and where it comes from."""

    case: Case
    file: str
    matrix: bool


def select(
    suite: Suite, sample: int | None = None, *, matrices_only: bool = False
) -> list[Selected]:
    """Return the cases: hand-written ones in order, then those of matrices by a hash of their ids.

    Parameters
    ----------
    suite : Suite
    sample : int, optional
        At most this many cases of matrices.
    matrices_only : bool
        Leave the hand-written cases out.

    Raises
    ------
    InvalidInput
        Nothing is selected.
    """
    found = [Selected(case, entry.file, entry.matrix is not None) for entry, case in suite.cases()]
    matrices = sorted((each for each in found if each.matrix), key=lambda each: _hash(each.case.id))
    by_hand = [] if matrices_only else [each for each in found if not each.matrix]
    chosen = by_hand + matrices[:sample]
    if not chosen:
        raise InvalidInput("no case is selected; see 'bn-harness adequacy --help'")
    return chosen


def run(cases: Sequence[Selected], *, jobs: int = 1, listener: Listener = lambda _: None) -> Scores:
    """Run cases against all variants.

    Every mistake meets the hand-written cases and the first wave of matrix cases, and further
    waves until `ENOUGH` cases have caught it. A sound variant meets every case.

    Parameters
    ----------
    cases : sequence of Selected
    jobs : int
        Processes; 1 runs in this one.
    listener : callable
        Told, in words, how far the run has come.
    """
    scores = Scores.of(planted(), sound())
    with _Runner(jobs) as runner:
        done = 0
        for wave in _waves(cases):
            wanted = scores.wanted(ENOUGH if scores.by_matrix else None)
            for selected, finding in runner.map(wave, wanted):
                done += 1
                if finding is not None:
                    scores.add(finding, selected.file, matrix=selected.matrix, wanted=wanted)
                if done % 100 == 0:
                    listener(f"{done:,} of {len(cases):,} cases, {scores.summary()}")
    return scores


def _waves(cases: Sequence[Selected]) -> Iterator[Sequence[Selected]]:
    by_hand = [each for each in cases if not each.matrix]
    if by_hand:
        yield by_hand
    start, waves = len(by_hand), iter(WAVES)
    size = 0
    while start < len(cases):
        size = next(waves, size)
        yield cases[start : start + size]
        start += size


class _Runner:
    """Runs cases in this process, or in several, each with its own trial."""

    def __init__(self, jobs: int) -> None:
        self._pool: ProcessPoolExecutor | None = None
        if jobs > 1:
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(["harness.adequacy.trial", "torch"])
            self._pool = ProcessPoolExecutor(
                jobs, context, initializer=_start, initargs=(str(Path.cwd()),)
            )

    def __enter__(self) -> _Runner:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def map(
        self, wave: Sequence[Selected], wanted: frozenset[str]
    ) -> Iterator[tuple[Selected, Finding | None]]:
        """Yield each case with what it found, in order."""
        if self._pool is None:
            trial = _trial()
            for each in wave:
                yield each, trial.run(each.case, wanted)
            return
        chunks = [wave[start : start + CHUNK] for start in range(0, len(wave), CHUNK)]
        tasks = ([each.case for each in chunk] for chunk in chunks)
        found = self._pool.map(_judge, tasks, [wanted] * len(chunks))
        for chunk, findings in zip(chunks, found, strict=True):
            yield from zip(chunk, findings, strict=True)


_here: list[Trial] = []


def _start(folder: str) -> None:
    if folder not in sys.path:
        sys.path.insert(0, folder)


def _trial() -> Trial:
    if not _here:
        _here.append(Trial())
    return _here[0]


def _judge(cases: Sequence[Case], wanted: frozenset[str]) -> list[Finding | None]:
    return [_trial().run(case, wanted) for case in cases]


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
