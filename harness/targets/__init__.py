"""Targets: what can execute a case."""

from harness.targets.base import Target, TargetInfo, resolve

__all__ = ["Target", "TargetInfo", "resolve"]
