"""What a target may change in its process: how it is read, and written."""

from __future__ import annotations

import gc
import locale
import os
import signal
import sys

# The public getsignal makes an enum of what it returns: 4 µs instead of 0.06.
from _signal import getsignal  # type: ignore[import-not-found]  # typeshed leaves it out
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any, NamedTuple

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGALRM)
"""Those whose handlers are put back."""

LEFT = object()
"""What a setting has while a case runs that is the caller's affair."""


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
    during: Any = LEFT


def of_python() -> Iterator[Setting]:
    """Yield what Python and the operating system have."""
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


def of_torch() -> Iterator[Setting]:
    """Yield what torch has."""
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
    yield from of_the_module()


@cache
def of_the_module() -> tuple[Setting, ...]:
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
