"""How seldom Python looks for circles of objects that nobody holds any more."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_OBJECTS = 200_000
"""Made before Python looks by itself which of them are left: more than what waits for judgement."""


@contextmanager
def patient() -> Iterator[None]:
    """Look seldom, except by `look`."""
    before = gc.get_threshold()
    gc.set_threshold(_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def look() -> None:
    """Look among the latest objects: soon done where few of them are held yet."""
    gc.collect(0)
