"""Differential conformance testing of batch normalisation against ``torch.nn.BatchNorm2d``.

>>> import harness
>>> report = harness.run("cases/seed", targets=["reference"])
>>> report.summary["reference"].diverge
0
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = ["Case", "assert_conforms", "explain", "run"]

if TYPE_CHECKING:
    from harness.api import Case, assert_conforms, explain, run


def __getattr__(name: str) -> object:
    # The command line starts without what these need.
    if name in __all__:
        from harness import api  # what it needs is slow to import

        found: object = getattr(api, name)
        return found
    raise AttributeError(f"module 'harness' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
