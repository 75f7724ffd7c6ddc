"""Targets that commit the fault of a row in the case of that row.

A case names the row by its number of channels: 2 for the first; with 1, nothing is done.
"""

from __future__ import annotations

import sys

import acts
import table

from harness.reference import BatchNorm2d


class _Faulty(BatchNorm2d):
    faults: tuple[table.Fault, ...]

    def __call__(self, given):
        row = given.shape[1] - 2
        if row < 0:
            return super().__call__(given)
        name = self.faults[row].name
        result = getattr(acts, name)(self, given)
        return result if name.startswith(("return", "keep")) else super().__call__(given)

    def __getattribute__(self, name):
        if name == "running_mean" and "cursed" in super().__getattribute__("__dict__"):
            sys.exit(0)
        return super().__getattribute__(name)


class Survived(_Faulty):
    """Does what a process survives."""

    faults = (*table.GLOBAL, *table.LEFT, *table.RAISED)


class Ended(_Faulty):
    """Does what it does not."""

    faults = table.ENDED


class Held(_Faulty):
    """Does what holds it up."""

    faults = table.HELD
