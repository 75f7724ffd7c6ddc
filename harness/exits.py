"""How processes end, in words."""

from __future__ import annotations

import signal


def ending(code: int | None) -> str:
    """Return the words for an exit code: "exit code 7", "SIGSEGV"; negative is a signal."""
    if code is None or code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:  # a real-time signal, most of which have no name
        return f"signal {-code}"
