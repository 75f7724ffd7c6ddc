"""How seldom Python looks for circles of objects that nobody holds any more."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_OBJECTS = 5000
"""Made before Python looks which of them are left; what a case leaves waits for its judgement."""


@contextmanager
def patient() -> Iterator[None]:
    """Look seldom."""
    before = gc.get_threshold()
    gc.set_threshold(_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
