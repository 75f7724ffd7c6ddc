"""One step of batch normalisation, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.oracle.arithmetic import Array

_ROWS, _IMAGES = 2, 4

Channels: TypeAlias = slice | NDArray[np.intp]
"""Which channels: their indices, or all of them."""


def rows(images: Array) -> Array:
    """Lay (N, C, H, W) out as (C, N·H·W), a row for each channel; (C, n) is returned as it is."""
    if images.ndim == _ROWS:
        return images
    count, channels, height, width = images.shape
    return images.transpose(1, 0, 2, 3).reshape(channels, count * height * width)


def unrows(array: Array, shape: tuple[int, ...]) -> Array:
    """Undo `rows`: view (C, n) as `shape`."""
    if len(shape) == _ROWS:
        return array
    count, channels, height, width = shape
    return array.reshape(channels, count, height, width).transpose(1, 0, 2, 3)


@dataclass(frozen=True, eq=False)
class Step:
    """What a module is given in one step, each array in its own type.

    Attributes
    ----------
    input : (N, C, H, W) or (C, n) array
        float64, float32, float16 or bfloat16; any strides. As (C, n), rows may belong to
        different cases: everything below may differ by channel.
    eps : float or (C,) array
        Added to the variance. The exact value is the float64 one.
    batch_statistics : bool
        Normalise by the batch's statistics (training, or evaluation without buffers), else by
        `running_mean` and `running_var`.
    weight, bias : (C,) arrays, optional
        None stands for 1 and 0.
    running_mean, running_var : (C,) arrays, optional
        The values before the step.
    factor : float or (C,) array, optional
        Averaging factor of the update new = (1 − factor)·old + factor·batch: momentum, or
        1 / num_batches_tracked where momentum is None. None: no update.
    grad_output : array like input, optional
        Gradient with respect to the output; None: no gradients.
    unbiased : bool
        running_var is given n/(n−1) times the variance, as torch does (its documentation, and
        Ioffe & Szegedy 2015, algorithm 2). False for implementations that declare otherwise.

    Raises
    ------
    ValueError
        If shapes disagree, or statistics are missing that the step needs.
    """

    input: Array
    eps: float | Array
    batch_statistics: bool
    weight: Array | None = None
    bias: Array | None = None
    running_mean: Array | None = None
    running_var: Array | None = None
    factor: float | Array | None = None
    grad_output: Array | None = None
    unbiased: bool = True

    def __post_init__(self) -> None:
        if self.input.ndim not in (_ROWS, _IMAGES):
            raise ValueError(
                f"input: expected (N, C, H, W) or (C, n), got the shape {self.input.shape}"
            )
        if self.grad_output is not None and self.grad_output.shape != self.input.shape:
            raise ValueError(
                f"grad_output: expected input's shape {self.input.shape}, "
                f"got {self.grad_output.shape}"
            )
        shapes = (), (self.channels,)
        for name in ("weight", "bias", "running_mean", "running_var", "eps", "factor"):
            value = getattr(self, name)
            if isinstance(value, np.ndarray) and value.shape not in shapes:
                raise ValueError(
                    f"{name}: expected ({self.channels},), a value for each channel, "
                    f"got the shape {value.shape}"
                )
        if (self.running_mean is None) != (self.running_var is None):
            raise ValueError("running_mean and running_var: give both or neither")
        if self.running_mean is None and not self.batch_statistics:
            raise ValueError("batch_statistics=False needs running_mean and running_var")
        if self.updates and self.unbiased and self.count == 1:
            raise ValueError(
                "input: one value per channel has no unbiased variance; "
                "give at least two, or factor=None"
            )

    @property
    def images(self) -> bool:
        """Whether input is (N, C, H, W), not (C, n)."""
        return self.input.ndim == _IMAGES

    @cached_property
    def channels(self) -> int:
        """C."""
        return int(self.input.shape[1 if self.images else 0])

    @cached_property
    def count(self) -> int:
        """The number of values in a channel, n = N·H·W."""
        return int(self.input.size // self.channels) if self.channels else 0

    @cached_property
    def parameter_dtype(self) -> np.dtype[Any]:
        """Type of parameters and running statistics; the input's where there are none."""
        given = (self.weight, self.bias, self.running_mean)
        return next((a.dtype for a in given if a is not None), self.input.dtype)

    @property
    def correction(self) -> float:
        """What running_var is given for each unit of the biased variance: n/(n−1), or 1."""
        return self.count / (self.count - 1) if self.unbiased else 1.0

    @cached_property
    def updates(self) -> bool:
        """Whether the running statistics change."""
        return (
            self.batch_statistics
            and self.factor is not None
            and self.running_mean is not None
            and self.count > 0
        )


def column(value: ArrayLike | None) -> Array:
    """Shape a scalar or (C,) array to broadcast against rows."""
    array = np.asarray(value)
    return array[:, None] if array.ndim else array
