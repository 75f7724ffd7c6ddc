"""The targets ``torch`` and its options, and module classes."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from harness.case.model import Case, ModuleConfig
from harness.errors import InvalidInput
from harness.targets import own_module
from harness.targets.base import (
    LOW_PRECISION,
    Declaration,
    FunctionTarget,
    Target,
    TargetInfo,
)
from harness.targets.driver import execute, execute_all
from harness.targets.routes import COMPILERS, VIA, missing, route
from harness.targets.torch_module import ModuleSubject, construct
from harness.trace import Trace

OPTIONS = {
    "device": ("cpu", "cuda"),
    "via": VIA,
    "compile": COMPILERS,
    "cudnn": ("on", "off"),
}
"""Options of ``torch:`` and their values; the first is what holds unless said otherwise."""


def torch_target(options: dict[str, str]) -> Target:
    """Return ``torch.nn.BatchNorm2d`` as a target.

    Parameters
    ----------
    options : dict of str to str
        By the names of `OPTIONS`, each with one of its values; threads: how many torch may use.

    Raises
    ------
    InvalidInput
        An option or its value is not known, or two do not go together.
    """
    spelled = ",".join(f"{key}={value}" for key, value in options.items())
    name = f"torch:{spelled}" if spelled else "torch"
    for key, value in options.items():
        if key == "threads":
            continue
        if key not in OPTIONS:
            raise InvalidInput(
                f"{name}: no option {key}; there are {', '.join(OPTIONS)} and threads"
            )
        if value not in OPTIONS[key]:
            raise InvalidInput(f"{name}: {key} must be one of {', '.join(OPTIONS[key])}")
    threads = options.get("threads", "1")
    if not threads.isdecimal() or not int(threads):
        raise InvalidInput(f"{name}: threads must be a number from 1")
    chosen = {key: options.get(key, values[0]) for key, values in OPTIONS.items()}
    if chosen["compile"] != "none" and chosen["via"] != "module":
        raise InvalidInput(f"{name}: compile= is of the module; leave out via=")
    if "cudnn" in options and chosen["device"] != "cuda":
        raise InvalidInput(f"{name}: cudnn= is for device=cuda")
    return module_target(
        name,
        torch.nn.BatchNorm2d,
        chosen["device"],
        int(threads),
        _declarations(chosen),
        way=Way(chosen["via"], chosen["compile"], chosen["cudnn"] == "on"),
    )


def _declarations(chosen: dict[str, str]) -> tuple[Declaration, ...]:
    """Return what torch's CPU kernels declare; decompositions compute 16-bit types in float32."""
    own = chosen["via"] != "decomposed" and chosen["compile"] == "none"
    return LOW_PRECISION if chosen["device"] == "cpu" and own else ()


@dataclass(frozen=True)
class Way:
    """How torch gets to a module's output.

    Attributes
    ----------
    via : str
        Of `routes.VIA`.
    compiler : str
        Of `routes.COMPILERS`.
    cudnn : bool
        Whether cuDNN's kernels may be taken on a CUDA device.
    """

    via: str = "module"
    compiler: str = "none"
    cudnn: bool = True


def module_target(
    name: str,
    cls: Callable[..., torch.nn.Module],
    device: str = "cpu",
    threads: int = 1,
    declarations: tuple[Declaration, ...] = (),
    *,
    way: Way = Way(),
) -> FunctionTarget:
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
    way : Way
        How its forward pass is done.
    """
    absent = missing(way.compiler)
    if device == "cuda" and not torch.cuda.is_available():
        absent = "no CUDA device"
    make = route(way.via, way.compiler)

    harmless = cls is torch.nn.BatchNorm2d and way == Way()
    own = harmless and device == "cpu"
    if not own and absent is None:
        import_autograd()

    def subject(config: ModuleConfig) -> ModuleSubject:
        return own_module.construct(config) if own else construct(cls, config, device, make())

    def setting() -> AbstractContextManager[None]:
        if _is_set(threads, device, way.cudnn):
            return nullcontext()
        return _setting(threads, way.cudnn)

    def run(case: Case) -> Trace:
        with setting():
            return execute(case, subject, harmless=harmless)

    def run_all(cases: Iterable[Case]) -> list[Trace]:
        with setting():
            return execute_all(cases, subject)

    info = TargetInfo(name, absent, {"torch": str(torch.__version__)}, declarations)
    return FunctionTarget(info, run, run_all if harmless else None)


def import_autograd() -> None:
    """Import what ``torch.autograd.grad`` would import when it is first called, sympy above all.

    A third of a second, and memory, that no case is to be charged with.
    """
    importlib.import_module("torch.fx.experimental.symbolic_shapes")


def _is_set(threads: int, device: str, cudnn: bool) -> bool:
    if torch.get_num_threads() != threads:
        return False
    return device == "cpu" or torch.backends.cudnn.enabled == cudnn


@contextmanager
def _setting(threads: int, cudnn: bool) -> Iterator[None]:
    before = torch.get_num_threads(), torch.backends.cudnn.enabled
    torch.set_num_threads(threads)
    torch.backends.cudnn.enabled = cudnn
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.backends.cudnn.enabled = before[1]


def cuda() -> dict[str, Any] | str:
    """Return the CUDA device's description for the report, "absent" without one."""
    if not torch.cuda.is_available():
        return "absent"
    return {
        "device": torch.cuda.get_device_name(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
    }
