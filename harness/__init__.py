"""Differential conformance testing of batch normalisation against ``torch.nn.BatchNorm2d``.

    report = harness.run("cases/edge", targets=["reference"])
    harness.assert_conforms(MyBatchNorm2d, tags=["forward"])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = ["assert_conforms", "run"]

if TYPE_CHECKING:
    from harness.api import assert_conforms, run


def __getattr__(name: str) -> Any:
    # The command line starts without what these need.
    if name in __all__:
        from harness import api  # noqa: PLC0415

        return getattr(api, name)
    raise AttributeError(f"module 'harness' has no attribute '{name}'")
