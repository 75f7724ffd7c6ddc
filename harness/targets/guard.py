"""What a target changes in its process is put back: no case depends on those before it."""

from __future__ import annotations

import gc
import locale
import os
import signal
import sys
import warnings

# The public getsignal makes an enum of what it returns: 4 µs instead of 0.06.
from _signal import getsignal  # type: ignore[import-not-found]  # typeshed leaves it out
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGALRM)
"""Those whose handlers are put back."""

_LEFT = object()
_SMALLEST = 5e-324


class Setting(NamedTuple):
    """A piece of global state.

    Attributes
    ----------
    name : str
        As docs/faults.md spells it.
    read : callable
        Returns its value, as an object that nobody else changes.
    write : callable
        Takes such a value.
    during : object
        The value that it has while a case runs; without one, what the caller has.
    """

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]
    during: Any = _LEFT


class _Session(NamedTuple):
    """What cases in a row start from: settings, what reads each, and the values read."""

    torch: bool
    here: Sequence[Setting]
    reads: Sequence[Callable[[], Any]]
    known: list[Any]


_session: ContextVar[_Session | None] = ContextVar("_session", default=None)


@contextmanager
def session() -> Iterator[None]:
    """Have cases in a row, each in `guarded`, start from a known global state that is read once.

    The caller gets back the state that it had.
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
    try:
        yield
    finally:
        _session.reset(token)
        _put_back(here, reads, before)
        np.random.mtrand.set_bit_generator(drew)
        if torch:
            torch_draws.set_state(torch_drew)


@contextmanager
def guarded() -> Iterator[None]:
    """Run a case in a known global state; give the caller back the state that it had.

    The generators of NumPy and torch begin anew. What a module warns of is between it and its
    users, and is dropped.
    """
    now = _session.get()
    # Once torch is imported, its settings are watched too.
    if now is None or now.torch != ("torch" in sys.modules):
        with session(), guarded():
            yield
        return
    _keep_subnormals()
    if now.torch:
        sys.modules["torch"].default_generator.set_state(_torch_begun())
    np.random.mtrand.set_bit_generator(_bits())
    np.random.seed(0)
    try:
        with (
            warnings.catch_warnings(),
            np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"),
        ):
            warnings.simplefilter("ignore")
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
    found = (*_of_python(), *(_of_torch() if torch else ()))
    fixed = [index for index, each in enumerate(found) if each.during is not _LEFT]
    return found, [each.read for each in found], fixed


def _of_python() -> Iterator[Setting]:
    yield Setting("working folder", _folder, _enter)
    yield Setting("environment variables", _variables, _set_variables)
    yield Setting("`sys.path`", lambda: list(sys.path), partial(sys.path.__setitem__, slice(None)))
    for name in ("stdin", "stdout", "stderr"):
        yield _attribute("sys", sys, name)
    for number in range(3):
        yield Setting(f"descriptor {number}", partial(_open, number), partial(_reopen, number))
    yield Setting("recursion limit", sys.getrecursionlimit, sys.setrecursionlimit)
    yield Setting("trace function", sys.gettrace, sys.settrace)
    yield Setting("garbage collector", gc.isenabled, lambda on: gc.enable() if on else gc.disable())
    yield Setting("its thresholds", gc.get_threshold, lambda counts: gc.set_threshold(*counts))
    yield Setting(
        "locale",
        partial(locale.setlocale, locale.LC_ALL),
        partial(locale.setlocale, locale.LC_ALL),
    )
    for number in SIGNALS:
        handle = partial(signal.signal, number)
        yield Setting(f"handler of {number.name}", partial(getsignal, number), handle)
    yield Setting("alarm", _is_set, _silence)


def _of_torch() -> Iterator[Setting]:
    import torch

    modes: list[Any] = []  # one that is collected ends

    def infer(on: bool) -> None:
        modes.append(torch.inference_mode(on))
        modes[-1].__enter__()

    def place(device: torch.device | None) -> None:
        torch.set_default_device(None if device is None or device.type == "cpu" else device)

    cpu = torch.device("cpu")

    def placed() -> torch.device | None:
        # Where no mode and no default type moves it, it need not be tried out, which takes 3 µs.
        if not torch._C._len_torch_function_stack() and torch._C._get_default_device() == "cpu":
            return cpu
        try:
            return torch.empty(0).device
        except (AssertionError, RuntimeError):  # there is no such device
            return None

    yield Setting("torch: default device", placed, place, cpu)
    yield Setting(
        "torch: default dtype", torch.get_default_dtype, torch.set_default_dtype, torch.float32
    )
    yield Setting("torch: inference mode", torch.is_inference_mode_enabled, infer, during=False)
    yield Setting("torch: autograd", torch.is_grad_enabled, torch._C._set_grad_enabled, during=True)
    yield Setting(
        "torch: autocast",
        partial(torch.is_autocast_enabled, "cpu"),
        partial(torch.set_autocast_enabled, "cpu"),
        during=False,
    )
    yield Setting("torch: threads", torch.get_num_threads, torch.set_num_threads)
    yield Setting(
        "torch: deterministic algorithms",
        torch.are_deterministic_algorithms_enabled,
        torch.use_deterministic_algorithms,
    )
    yield from _of_the_module()


@cache
def _of_the_module() -> tuple[Setting, ...]:
    """Return what ``torch.nn.BatchNorm2d`` is made of."""
    import torch

    return tuple(
        _attribute(owner.__name__, owner, name)
        for owner, names in (
            (torch, ("batch_norm", "native_batch_norm")),
            (torch.nn.functional, ("batch_norm",)),
            (torch.nn, ("BatchNorm2d",)),
            (torch.nn.BatchNorm2d, ("forward", "__call__", "_check_input_dim")),
        )
        for name in names
    )


@contextmanager
def replacing() -> Iterator[list[str]]:
    """Watch who replaces what ``torch.nn.BatchNorm2d`` is made of; see that it is put back.

    Yields
    ------
    list of str
        Afterwards, the names of what was replaced.
    """
    watched = _of_the_module() if "torch" in sys.modules else ()
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


def _attribute(owner: str, holder: object, name: str) -> Setting:
    return Setting(
        f"`{owner}.{name}`", partial(getattr, holder, name), partial(setattr, holder, name)
    )


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109  # Path.cwd makes a Path of it
    except OSError:  # it is gone
        return None


def _enter(folder: str | None) -> None:
    if folder is not None:
        os.chdir(folder)


def _variables() -> dict[bytes, bytes]:
    # os.environ decodes each: 24 µs instead of 0.2.
    return dict(os.environ._data)  # type: ignore[attr-defined]  # what the mapping is made of


def _set_variables(values: dict[bytes, bytes]) -> None:
    os.environ.clear()
    os.environb.update(values)


def _open(number: int) -> bool:
    try:
        os.get_inheritable(number)
    except OSError:
        return False
    return True


def _reopen(number: int, was_open: bool) -> None:
    """Have a descriptor that was closed lead nowhere, so that no other file comes to have it."""
    if was_open:
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere != number:
            os.dup2(nowhere, number)
            os.close(nowhere)


def _is_set() -> bool:
    return signal.getitimer(signal.ITIMER_REAL)[0] > 0


def _silence(was_set: bool) -> None:
    if not was_set:
        signal.setitimer(signal.ITIMER_REAL, 0)
