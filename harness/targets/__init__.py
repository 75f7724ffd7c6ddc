"""Targets: what can execute a case."""

from harness.targets.base import Target, TargetInfo, blinded
from harness.targets.spec import resolve

__all__ = ["Target", "TargetInfo", "blinded", "resolve"]
