"""Types, lone statistics and constructor arguments: what is refused, and when."""

# ruff: noqa: D102, ANN401 - a method is documented where it is first defined

from __future__ import annotations

from typing import Any

import numpy as np

from harness.adequacy.base import OpenBatchNorm2d
from harness.reference import checks
from harness.reference.mathematics import Array


class IntegersPromoted(OpenBatchNorm2d):
    """Integers are taken for float32.

    Met in frameworks that promote types.
    """

    def forward(self, x: Array) -> Array:
        return super().forward(x.astype(np.float32) if x.dtype.kind in "iu" else x)


class BooleansPromoted(OpenBatchNorm2d):
    """Booleans are taken for float32.

    Met in frameworks that promote types.
    """

    def forward(self, x: Array) -> Array:
        return super().forward(x.astype(np.float32) if x.dtype.kind == "b" else x)


class TypesMixed(OpenBatchNorm2d):
    """float64 inputs are taken by float32 parameters.

    Met in frameworks that promote types.
    """

    def parameter_type(self, x: Array, mean: Array | None, var: Array | None) -> np.dtype[Any]:
        if x.dtype == np.float64 and self._all_float32():
            return np.dtype(np.float32)
        return super().parameter_type(x, mean, var)

    def _all_float32(self) -> bool:
        arrays = (self.weight, self.bias, self.running_mean, self.running_var)
        return all(array is None or array.dtype == np.float32 for array in arrays)


class FloatsNarrowed(OpenBatchNorm2d):
    """float32 inputs are taken by 16-bit parameters, as if they were of their type.

    Could be met where a layer casts its input to the type of its parameters.
    """

    def forward(self, x: Array) -> Array:
        kept = next((a for a in (self.weight, self.running_mean) if a is not None), x)
        narrow = x.dtype == np.float32 and kept.dtype.itemsize < x.dtype.itemsize
        return super().forward(x.astype(kept.dtype) if narrow else x)


class LoneStatisticTolerated(OpenBatchNorm2d):
    """One running statistic without the other is ignored.

    Met in torch of old, where the other was updated.
    """

    def buffers(self) -> tuple[Array | None, Array | None]:
        mean, var = super().buffers()
        return (None, None) if mean is None or var is None else (mean, var)

    def uses_batch(self) -> bool:
        return self.training or self.running_mean is None or self.running_var is None


class LoneStatisticIsRuntimeError(OpenBatchNorm2d):
    """One running statistic without the other is a RuntimeError in train, as it is in eval.

    Could be met where one check serves both modes.
    """

    def check_lengths(
        self, features: int, mean: Array | None, var: Array | None, *, of_batch: bool
    ) -> None:
        try:
            super().check_lengths(features, mean, var, of_batch=of_batch)
        except ValueError as error:
            raise RuntimeError(str(error)) from None


class BiasTypeCheckedFirst(OpenBatchNorm2d):
    """A bias of another type is refused before the statistics move.

    Could be met where all checks come first.
    """

    def check(
        self, x: Array, mean: Array | None, var: Array | None, *, of_batch: bool, factor: float
    ) -> np.dtype[Any]:
        kept = super().check(x, mean, var, of_batch=of_batch, factor=factor)
        checks.of_type(self.bias, kept)
        return kept


class NoFeaturesRefused(OpenBatchNorm2d):
    """num_features of 0 is refused.

    Could be met where a port validates what torch takes as it is.
    """

    def __init__(self, num_features: int, *args: Any, **more: Any) -> None:
        if num_features == 0:
            raise ValueError("num_features must be positive")
        super().__init__(num_features, *args, **more)


class NegativeFeaturesClamped(OpenBatchNorm2d):
    """A negative num_features counts as 0.

    Could be met where sizes are unsigned.
    """

    def __init__(self, num_features: int, *args: Any, **more: Any) -> None:
        super().__init__(max(num_features, 0), *args, **more)
