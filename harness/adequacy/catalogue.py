"""The planted mistakes and the sound variants, found in their packages."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any, Literal

from harness.adequacy import planted as planted_package
from harness.adequacy import sound as sound_package
from harness.targets import Target, resolve
from harness.targets.base import LOW_PRECISION


@dataclass(frozen=True)
class Variant:
    """An implementation that the suite is tested on.

    Attributes
    ----------
    name : str
        Of its class.
    kind : "planted" or "sound"
    topic : str
        The module that it stands in.
    spec : str
        By which ``--target`` names it.
    about : str
        What is wrong with it, or different.
    met : str
        Where it is met, or could be; empty for a sound one.
    """

    name: str
    kind: Literal["planted", "sound"]
    topic: str
    spec: str
    about: str
    met: str

    def target(self) -> Target:
        """Return the variant as a target."""
        module, _, name = self.spec.partition(":")
        cls: type[Any] = getattr(importlib.import_module(module), name)
        if not hasattr(cls, "register_buffer"):
            return resolve(cls)
        from harness.targets.native import module_target  # imports torch

        # What calls torch's kernels has their accuracy in 16-bit modules.
        return module_target(self.spec, cls, declarations=LOW_PRECISION)


@cache
def planted() -> tuple[Variant, ...]:
    """Return the planted mistakes, in order of topic and place."""
    return tuple(_variants(planted_package, "planted"))


@cache
def sound() -> tuple[Variant, ...]:
    """Return the variants that only differ, in order of topic and place."""
    return tuple(_variants(sound_package, "sound"))


def _variants(package: ModuleType, kind: Literal["planted", "sound"]) -> Iterator[Variant]:
    for found in sorted(pkgutil.iter_modules(package.__path__), key=lambda each: each.name):
        name = f"{package.__name__}.{found.name}"
        module = importlib.import_module(name)
        for cls in vars(module).values():
            own = isinstance(cls, type) and cls.__module__ == name
            if own and not cls.__name__.startswith("_"):
                about, _, met = inspect.cleandoc(cls.__doc__ or "").partition("\n\n")
                spec = f"{name}:{cls.__name__}"
                yield Variant(cls.__name__, kind, found.name, spec, _line(about), _line(met))


def _line(text: str) -> str:
    return " ".join(text.split())
