"""Texts of cases and targets that several tests write to files."""

from __future__ import annotations

THREE = """
- id: first
  why: it is well.
  module: {num_features: 2}
  steps: [{train: {input: {shape: [4, 2, 3, 3], fill: normal, seed: 1}}}]
- id: marked
  why: the target does what it does.
  module: {num_features: 2}
  steps: [{eval: {input: {shape: [1, 2, 1, 1], fill: ones}}}]
- id: last
  why: it is well too.
  module: {num_features: 2}
  steps: [{train: {input: {shape: [4, 2, 3, 3], fill: normal, seed: 2}}}]
"""
"""Three cases, of which the second is marked by its size."""

MARKED = """
from harness.reference import BatchNorm2d

class Marked(BatchNorm2d):
    def __call__(self, given):
        if given.size == 2:
            self.act()
        return super().__call__(given)
"""
"""A class whose subclasses act in the marked case."""

SOMETIMES = """
from harness.reference import BatchNorm2d

class Sometimes(BatchNorm2d):
    def __call__(self, given):
        output = super().__call__(given)
        if given.shape[1] == 3:
            output[0, 0, 0, 0] += 1
        return output
"""
"""A class that is wrong where there are three channels."""
