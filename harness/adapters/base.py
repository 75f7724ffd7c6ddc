"""What the adapters share: the state of ``nn.BatchNorm2d`` as NumPy arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from harness.dtypes import name_of
from harness.targets.support import Unsupported
from harness.trace import STATE, Array

NO_COUNTER = {"is": "absent", "reason": "the layer counts no batches, so momentum=None cannot be"}
"""Declaration of layers without `num_batches_tracked`."""

OWN_LAYOUT = {"is": "own", "reason": "arrays of the framework have no memory format to keep"}
"""Declaration of frameworks whose arrays have no strides that a user sees."""


OWN_ERRORS = {"is": "own types", "reason": "the framework has types of errors of its own"}
"""Declaration of frameworks whose refusals are other types than torch's."""

OWN_STATE = {"is": "own", "reason": "the state is read from the framework's layer after each step"}
"""Declaration of adapters, whose arrays are copies of the framework's."""


class Layer(ABC):
    """The interface of ``nn.BatchNorm2d`` in front of a framework's layer.

    The arrays here are the state; an adapter hands them to the framework before a step and takes
    back what the step made of them. What a framework has no word for is unsupported.

    Attributes
    ----------
    module_dtypes : tuple of str
        Types that parameters and statistics may have.
    input_dtypes : tuple of str
        Types of input that the framework has.
    counts : bool
        Whether the layer has the counter.
    bias_apart : bool
        Whether a layer can have a weight without a bias.
    channels : int
        num_features as the constructor was given it.
    """

    module_dtypes: ClassVar[tuple[str, ...]] = ("float32",)
    input_dtypes: ClassVar[tuple[str, ...]] = ("float32",)
    counts: ClassVar[bool] = False
    bias_apart: ClassVar[bool] = True

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        bias: bool = True,
        dtype: Any = np.float32,  # noqa: ANN401  # whatever NumPy takes for a type
    ) -> None:
        if name_of(np.dtype(dtype)) not in self.module_dtypes:
            raise Unsupported(f"parameters and statistics have no type {name_of(np.dtype(dtype))}")
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.channels = num_features
        self.track_running_stats, self.training = track_running_stats, True
        self.weight = np.ones(num_features, dtype) if affine else None
        self.bias = np.zeros(num_features, dtype) if affine and bias else None
        self.running_mean = np.zeros(num_features, dtype) if track_running_stats else None
        self.running_var = np.ones(num_features, dtype) if track_running_stats else None
        counted = self.counts and track_running_stats
        self.num_batches_tracked = np.zeros((), np.int64) if counted else None
        self._shape = self._presence()
        self.check()

    def _presence(self) -> tuple[bool, ...]:
        return (*(getattr(self, name) is not None for name in STATE), self.track_running_stats)

    def check(self) -> None:
        """Raise Unsupported for arguments that the framework has no word for."""
        if self.momentum is None:
            raise Unsupported("there is no cumulative average (momentum=None)")
        if not self.bias_apart and (self.weight is None) != (self.bias is None):
            raise Unsupported("the layer has weight and bias together, or neither")

    def train(self, mode: bool = True) -> None:
        """Choose the mode."""
        self.training = mode

    def eval(self) -> None:
        """Choose evaluation mode."""
        self.train(False)

    def __setattr__(self, name: str, value: object) -> None:
        """Assign an attribute; a counter that the layer lacks cannot be given to it."""
        if name == "num_batches_tracked" and value is not None and not self.counts:
            raise Unsupported("the layer has no counter")
        super().__setattr__(name, value)

    @property
    def batch_statistics(self) -> bool:
        """Whether a step normalises by the batch."""
        return self.training or self.running_mean is None

    @property
    def updates(self) -> bool:
        """Whether a step changes the running statistics."""
        return self.training and self.running_mean is not None

    def __call__(self, given: Array) -> Array:
        """Return the output of a step.

        Raises
        ------
        Unsupported
            The framework has no such step.
        """
        self.check()
        if self._presence() != self._shape:
            raise Unsupported("parameters and statistics are chosen by the constructor alone")
        if name_of(given.dtype) not in self.input_dtypes:
            raise Unsupported(f"the framework has no input of type {name_of(given.dtype)}")
        return self.forward(given)

    @abstractmethod
    def forward(self, given: Array) -> Array:
        """Return the output, and update the arrays of the state."""


def channels_last(array: Array) -> Array:
    """View (N, C, ...) as (N, ..., C), the layout of most frameworks."""
    return np.moveaxis(array, 1, -1) if array.ndim > 1 else array


def channels_first(array: Array) -> Array:
    """View (N, ..., C) as (N, C, ...)."""
    return np.moveaxis(array, -1, 1) if array.ndim > 1 else array
