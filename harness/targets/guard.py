"""What a target changes in its process is put back: no case depends on those before it."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from harness.targets.settings import LEFT, Setting, of_python, of_the_module, of_torch

_SMALLEST = 5e-324


class _Session(NamedTuple):
    """What cases in a row start from: settings, what reads each, and the values read."""

    torch: bool
    here: Sequence[Setting]
    reads: Sequence[Callable[[], Any]]
    known: list[Any]


_session: ContextVar[_Session | None] = ContextVar("_session", default=None)


@contextmanager
def session() -> Iterator[None]:
    """Have cases in a row start from a known global state that is read once.

    The caller gets back the state that it had. What a module warns of is between it and its
    users, and is dropped.
    """
    torch = "torch" in sys.modules
    here, reads, fixed = _prepared(torch)
    before = [read() for read in reads]
    known = list(before)
    for index in fixed:
        known[index] = here[index].during
        if before[index] != known[index]:
            here[index].write(known[index])
    drew = np.random.mtrand.get_bit_generator()
    torch_draws: Any = sys.modules["torch"].default_generator if torch else None
    torch_drew = torch_draws.get_state() if torch else None
    token = _session.set(_Session(torch, here, reads, known))
    _keep_subnormals()
    try:
        with (
            warnings.catch_warnings(),
            np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        _session.reset(token)
        _put_back(here, reads, before)
        np.random.mtrand.set_bit_generator(drew)
        if torch:
            torch_draws.set_state(torch_drew)


def _current() -> _Session | None:
    """Return the session that a case is in; once torch is imported, one that watches it too."""
    now = _session.get()
    return None if now is None or now.torch != ("torch" in sys.modules) else now


_AT_ONCE = nullcontext()


def unguarded() -> AbstractContextManager[None]:
    """Run a case in a known global state that is not changed by who executes it."""
    return session() if _current() is None else _AT_ONCE


@contextmanager
def guarded() -> Iterator[None]:
    """Run a case in a known global state, and put back what is changed of it.

    The generators of NumPy and torch begin anew.
    """
    now = _current()
    if now is None:
        with session(), guarded():
            yield
        return
    _keep_subnormals()
    if now.torch:
        sys.modules["torch"].default_generator.set_state(_torch_begun())
    np.random.mtrand.set_bit_generator(_bits())
    np.random.seed(0)
    try:
        with warnings.catch_warnings(), np.errstate():
            yield
    finally:
        _put_back(now.here, now.reads, now.known)
        _keep_subnormals()


def _put_back(
    here: Sequence[Setting], reads: Sequence[Callable[[], Any]], before: list[Any]
) -> None:
    if [read() for read in reads] == before:
        return
    for (_, read, write, _), value in zip(here, before, strict=True):
        if read() != value:
            # A folder may be gone, and handlers are set from the main thread alone.
            with suppress(OSError, TypeError, ValueError):
                write(value)


def settings() -> tuple[Setting, ...]:
    """Return what is put back; what is torch's, once that is imported."""
    return _prepared("torch" in sys.modules)[0]


@cache
def _prepared(
    torch: bool,
) -> tuple[tuple[Setting, ...], list[Callable[[], Any]], list[int]]:
    """Return the settings, what reads each, and the places of those that a case fixes."""
    found = (*of_python(), *(of_torch() if torch else ()))
    fixed = [index for index, each in enumerate(found) if each.during is not LEFT]
    return found, [each.read for each in found], fixed


@contextmanager
def replacing() -> Iterator[list[str]]:
    """Watch who replaces what ``torch.nn.BatchNorm2d`` is made of; see that it is put back.

    Yields
    ------
    list of str
        Afterwards, the names of what was replaced.
    """
    watched = of_the_module() if "torch" in sys.modules else ()
    before = [each.read() for each in watched]
    names: list[str] = []
    try:
        yield names
    finally:
        for each, value in zip(watched, before, strict=True):
            if each.read() is not value:
                names.append(each.name)
                each.write(value)


def _keep_subnormals() -> None:
    # A library that was compiled with -ffast-math flushes them from when it is loaded.
    if _SMALLEST * 1.0 == 0 and "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


@cache
def _bits() -> np.random.BitGenerator:
    """Return what NumPy's global functions draw from during a case; to set a state takes 40 µs."""
    return np.random.MT19937(0)


@cache
def _torch_begun() -> Any:  # noqa: ANN401  # a tensor
    """Return the state of torch's generator with the seed 0; to set it is faster than to seed."""
    import torch

    return torch.Generator().manual_seed(0).get_state()
