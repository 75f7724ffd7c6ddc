"""What a run asks of each of its processes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT = 60.0
"""Seconds that one case may take, unless said otherwise."""


def in_own_process(spec: object) -> bool:
    """Whether a SPEC names a command, which executes cases in a process of its own."""
    return str(spec).startswith("exec:")


@dataclass(frozen=True)
class Plan:
    """What a run asks of each of its processes.

    Attributes
    ----------
    targets : tuple of str or class
        SPECs, in the order that they were asked for.
    baseline : str
        SPEC of the target that defines the expected behaviour.
    accuracy : str or None
        The class whose bound is the standard; None for that of the input's type.
    full : bool
        Keep the agreeing cases of matrices.
    timeout : float
        Seconds that one case may take in a worker process, and a target that is a process of its
        own for its answer.
    memory : int or None
        Bytes that targets may take beside what the process has once they are loaded.
    known : tuple of pathlib.Path
        Files of known divergences, beside that of the shipped suite.
    """

    targets: tuple[Any, ...]
    baseline: str = "torch"
    accuracy: str | None = None
    full: bool = False
    timeout: float = TIMEOUT
    memory: int | None = None
    known: tuple[Path, ...] = ()
