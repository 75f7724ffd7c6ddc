"""How ``--target SPEC`` names a target."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import inspect
import operator
import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from harness.case.model import Case
from harness.errors import InvalidInput
from harness.plan import TIMEOUT
from harness.semantics import declares
from harness.targets.base import (
    Declaration,
    FunctionTarget,
    RunAll,
    Target,
    TargetInfo,
)
from harness.targets.lacking import lacking, without
from harness.trace import Trace

GROUP = "bn_harness.targets"
"""Entry-point group of the names that other packages register."""

T = TypeVar("T")


def resolve(spec: str | type[Any], timeout: float = TIMEOUT) -> Target:
    """Return the target that a SPEC names.

    Parameters
    ----------
    spec : str or class
        "torch" and "reference" with options, ``exec:COMMAND``, ``file.py:Class``,
        ``package.module:Class``, a name registered under the entry-point group
        ``bn_harness.targets``; or a class itself.
    timeout : float
        Seconds that a worker process may take for one case.

    Raises
    ------
    InvalidInput
        There is no such target, or it cannot be loaded.
    """
    if isinstance(spec, type):
        return _class_target(f"{spec.__module__}:{spec.__qualname__}", spec)
    if not isinstance(spec, str):
        raise InvalidInput(f"a target is a SPEC or a class, not {_wrapped(spec)}")
    name, _, rest = spec.partition(":")
    if name == "torch":
        from harness.targets.native import torch_target  # imports torch

        return torch_target(_options(spec, rest))
    if name == "exec":
        from harness.targets.process import ProcessTarget

        return ProcessTarget(spec, rest, timeout)
    if name == "reference":
        return _reference(spec, _options(spec, rest))
    registered = {entry.name: entry for entry in entry_points(group=GROUP)}
    if spec in registered:
        return _adopt(spec, _loaded(spec, registered[spec].load))
    if not rest:
        names = ["torch", "reference", *sorted(registered)]
        raise InvalidInput(
            f"{spec or '(empty)'}: no such target{_meant(spec, names)}; name one of "
            f"{', '.join(names)}, a class as path/to/file.py:Class or package.module:Class, "
            "or a worker as exec:COMMAND"
        )
    path, _, attribute = spec.rpartition(":")
    return _adopt(spec, _attribute(spec, _module(spec, path), attribute))


def _meant(spec: str, names: list[str]) -> str:
    near = difflib.get_close_matches(spec, names, 1)
    module, _, attribute = spec.rpartition(".")
    if spec.endswith(".py"):
        meant = f"{spec}:Class"
    elif near or not module:
        meant = next(iter(near), "")
    else:
        meant = f"{module}:{attribute}"
    return f"; did you mean '{meant}'?" if meant else ""


def _reference(spec: str, options: dict[str, str]) -> Target:
    from harness.reference import BatchNorm2d, FusedBatchNorm2d

    classes = {"plain": BatchNorm2d, "fused": FusedBatchNorm2d}
    found = classes.get(options.pop("arithmetic", "plain"))
    if options or found is None:
        raise InvalidInput(f"{spec}: the option of reference is arithmetic={' or '.join(classes)}")
    return _class_target(spec, found, harmless=True)


def _options(spec: str, text: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        key, separator, value = part.partition("=")
        if not separator or key in options:
            raise InvalidInput(f"{spec}: '{part}' should be one of its kind, as key=value")
        options[key] = value
    return options


def _module(spec: str, path: str) -> ModuleType:
    if not path.endswith(".py"):
        return _loaded(spec, lambda: importlib.import_module(path))
    file = Path(path)
    if not file.is_file():
        raise InvalidInput(f"{spec}: there is no file {path}")
    digest = hashlib.blake2b(str(file.resolve()).encode(), digest_size=4).hexdigest()
    name = f"_bn_harness_target_{file.stem}_{digest}"

    def load() -> ModuleType:
        found = importlib.util.spec_from_file_location(name, file)
        if found is None or found.loader is None:
            raise ImportError("not a Python file")
        module = importlib.util.module_from_spec(found)
        sys.modules[name] = module
        found.loader.exec_module(module)
        return module

    folder = str(file.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)  # the file may import its neighbours
    return _loaded(spec, load)


def _loaded(spec: str, load: Callable[[], T]) -> T:
    try:
        return load()
    except InvalidInput:
        raise
    except (Exception, SystemExit) as error:
        raise InvalidInput(f"{spec}: cannot be imported: {type(error).__name__}: {error}") from None


def _attribute(spec: str, module: ModuleType, name: str) -> object:
    try:
        found: object = operator.attrgetter(name)(module)
    except AttributeError:
        classes = [key for key, value in vars(module).items() if isinstance(value, type)]
        raise InvalidInput(
            f"{spec}: there is no class {name}; "
            f"the module has {', '.join(sorted(classes)) or 'none'}"
        ) from None
    return found


def _adopt(spec: str, found: object) -> Target:
    """Return a target made of what a module or entry point holds: a class or a Target."""
    if isinstance(found, type):
        return _class_target(spec, found)
    if hasattr(found, "execute") and hasattr(found, "info"):
        target: Target = found
        return target
    raise InvalidInput(
        f"{spec}: expected a class (an nn.Module or an array class) or a Target, "
        f"found {_wrapped(found)}"
    )


def _wrapped(found: object) -> str:
    """Return what was found in place of a class, and what to do with it."""
    if inspect.isroutine(found) or isinstance(found, partial):
        name = getattr(found, "__name__", "partial")
        return f"the function {name}; call it in a class of the form in docs/targets.md"
    kind = type(found).__name__
    if isinstance(found, list | tuple | set | frozenset | dict):
        return f"a {kind}: run takes several, assert_conforms and explain one"
    return f"an instance of {kind}; name the class, which is constructed for each case"


def _class_target(name: str, cls: type[Any], *, harmless: bool = False) -> Target:
    said = declares(name, cls)
    run, run_all, versions = _runner(name, cls, harmless=harmless)
    if (reason := said.no_gradients()) is not None:
        run = partial(_forward_only, run, reason)
    declarations = tuple(Declaration(*each) for each in said.accuracies())
    versions = {**versions, **said.versions}
    info = TargetInfo(name, None, versions, declarations, said.semantics())
    return FunctionTarget(info, run, run_all)


def _runner(
    name: str, cls: type[Any], *, harmless: bool
) -> tuple[Callable[[Case], Trace], RunAll | None, Mapping[str, str]]:
    """Return what runs a case by a class, and many; and the versions of what that needs."""
    if any(base.__module__ == "torch.nn.modules.module" for base in cls.__mro__):
        from harness.targets.native import module_target  # imports torch

        target = module_target(name, cls)
        return target.execute, None, target.info.versions
    if "__call__" not in dir(cls):
        raise InvalidInput(f"{name}: the class has no __call__(input)")
    from harness.targets import array_class
    from harness.targets.driver import execute, execute_all

    construct = partial(array_class.construct, cls)
    run = partial(execute, construct=construct, harmless=harmless)
    return run, partial(execute_all, construct=construct) if harmless else None, {}


def _forward_only(run: Callable[[Case], Trace], reason: str, case: Case) -> Trace:
    return lacking("backward", case, run(without("backward", case)), reason)
