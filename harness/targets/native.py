"""The targets ``torch`` and its options, and module classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from harness.case.model import Case
from harness.errors import InvalidInput
from harness.targets.base import (
    LOW_PRECISION,
    Declaration,
    FunctionTarget,
    Target,
    TargetInfo,
)
from harness.targets.driver import execute
from harness.targets.torch_module import construct
from harness.trace import Trace

DEVICES = ("cpu", "cuda")


def torch_target(options: dict[str, str]) -> Target:
    """Return ``torch.nn.BatchNorm2d`` as a target.

    Parameters
    ----------
    options : dict of str to str
        device: "cpu" or "cuda"; threads: how many torch may use, one unless given.

    Raises
    ------
    InvalidInput
        An option is not known.
    """
    spelled = ",".join(f"{key}={value}" for key, value in options.items())
    name = f"torch:{spelled}" if spelled else "torch"
    unknown = sorted(set(options) - {"device", "threads"})
    if unknown:
        raise InvalidInput(f"--target {name}: no option {unknown[0]}; there are device and threads")
    device = options.get("device", "cpu")
    if device not in DEVICES:
        raise InvalidInput(f"--target {name}: device must be one of {', '.join(DEVICES)}")
    threads = options.get("threads", "1")
    if not threads.isdecimal() or not int(threads):
        raise InvalidInput(f"--target {name}: threads must be a number from 1")
    declarations = LOW_PRECISION if device == "cpu" else ()
    return module_target(name, torch.nn.BatchNorm2d, device, int(threads), declarations)


def module_target(
    name: str,
    cls: Callable[..., torch.nn.Module],
    device: str = "cpu",
    threads: int = 1,
    declarations: tuple[Declaration, ...] = (),
) -> Target:
    """Return a module class as a target.

    Parameters
    ----------
    name : str
        As the report shows it.
    cls : class
        Takes the arguments of ``nn.BatchNorm2d``.
    device : str
        "cpu" or "cuda".
    threads : int
        Threads of torch while it runs.
    declarations : tuple of Declaration
        Where it declares lower accuracy.
    """
    absent = None
    if device == "cuda" and not torch.cuda.is_available():
        absent = "no CUDA device"

    def run(case: Case) -> Trace:
        with _threads(threads):
            return execute(case, lambda config: construct(cls, config, device))

    versions = {"torch": str(torch.__version__)}
    return FunctionTarget(TargetInfo(name, absent, versions, declarations), run)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    if before == count:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def cuda() -> dict[str, Any] | str:
    """Return the CUDA device's description for the report, "absent" without one."""
    if not torch.cuda.is_available():
        return "absent"
    return {
        "device": torch.cuda.get_device_name(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
    }
