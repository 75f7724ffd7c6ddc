"""Many questions as one: their channels are the channels of one step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.compare.question import Question
from harness.oracle import Step
from harness.trace import Array

_IMAGES = 4


def stacked(questions: Sequence[Question], whole: bool = True) -> Step:
    """Return one step of (C, n) rows that asks all questions.

    If it is not to be the whole of them, but the update of running statistics alone, its input
    has shape and type, and no values.
    """
    first, step = questions[0], questions[0].step
    channels = step.channels

    def joined(name: str) -> Array | None:
        there = getattr(first, name) is not None
        return _joined([getattr(each, name) for each in questions]) if there else None

    if whole:
        given = _joined([each.input for each in questions])
    else:
        shape = channels * len(questions), step.count
        given = np.broadcast_to(np.zeros((), first.input.dtype), shape)
    factors = [each.factor for each in questions if each.factor is not None]
    return Step(
        input=given,
        eps=np.array([each.eps for each in questions]).repeat(channels),
        batch_statistics=first.batch_statistics,
        weight=joined("weight") if whole else None,
        bias=joined("bias") if whole else None,
        running_mean=joined("running_mean"),
        running_var=joined("running_var"),
        factor=np.array(factors).repeat(channels) if factors else None,
        grad_output=joined("grad_output") if whole else None,
        unbiased=first.unbiased,
    )


def stacked_seeds(questions: Sequence[Question]) -> dict[str, Array]:
    """Return where the double backward passes of all questions begin."""
    return {name: _joined([each.seeds[name] for each in questions]) for name in questions[0].seeds}


def _joined(arrays: Sequence[Array]) -> Array:
    """Lay arrays out as rows (K·C, n), or as columns (K·C,)."""
    whole = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    shape = arrays[0].shape
    if len(shape) != _IMAGES:
        return whole
    count, channels, height, width = shape
    return (
        whole.reshape(len(arrays), count, channels, height * width)
        .transpose(0, 2, 1, 3)
        .reshape(len(arrays) * channels, count * height * width)
    )


def stacked_rows(arrays: Sequence[Array]) -> Array:
    """Lay arrays out as rows (K·C, n); n is 1 where there is a value for each channel."""
    joined = _joined(arrays)
    return joined if joined.ndim > 1 else joined[:, np.newaxis]
