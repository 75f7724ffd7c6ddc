"""All that a trace says, in values that compare."""

from __future__ import annotations

import numpy as np


def in_bits(value):
    """Return a value whose arrays are their types, shapes and bits."""
    if isinstance(value, np.ndarray):
        return value.dtype.name, value.shape, value.tobytes()
    if isinstance(value, dict):
        return {key: in_bits(each) for key, each in value.items()}
    if isinstance(value, tuple):
        return tuple(map(in_bits, value))
    return value


def recorded(trace):
    """Return all that a trace says."""
    steps = [in_bits(tuple(step._replace(overwritten=None))) for step in trace.steps]
    return in_bits(dict(trace.initial)), steps, trace.raised, trace.unsupported
