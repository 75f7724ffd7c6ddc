"""The types in which batch statistics are kept, and the running statistics updated.

Sums are float64; what is kept between statistics and normalisation is rounded to the type of the
parameters. Torch's kernel for dense bfloat16 inputs works in bfloat16 throughout: the sum of
squares, n and momentum are rounded first, and each operation after that. For float16, and for
inputs of other strides, only what is stored is rounded. (Read from
`batch_norm_cpu_update_stats_template` of `aten/src/ATen/native/Normalization.cpp` and measured,
bit for bit, on torch 2.13.)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from harness.dtypes import dtype
from harness.reference import mathematics
from harness.reference.mathematics import Array

_BFLOAT16, _FLOAT16, _FLOAT32, _FLOAT64 = map(dtype, ("bfloat16", "float16", "float32", "float64"))


def working_type(x: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type of the arithmetic on elements of type `x`."""
    return _FLOAT64 if x == _FLOAT64 else _FLOAT32


@dataclass(frozen=True)
class Storage:
    """The types that statistics pass through."""

    kept: np.dtype[Any]
    """Type of the parameters and of all statistics that are stored."""
    division: np.dtype[Any]
    """Type of momentum, and of the sum of squares and n when they are divided."""
    averaged: np.dtype[Any]
    """Type that the mean is rounded to before the running mean moves towards it."""

    @classmethod
    @cache
    def of(cls, kept: np.dtype[Any], *, dense: bool) -> Storage:
        """Return the types that torch uses for parameters of type `kept`."""
        wide = kept == _FLOAT16 or (kept == _BFLOAT16 and not dense)
        division = _FLOAT64 if wide else kept
        return cls(kept, division, division if dense else kept)

    def mean(self, mean: Array) -> Array:
        """Return the mean as it is stored."""
        return mean.astype(self.kept, copy=False)

    def inverse_std(self, squares: Array, n: int, eps: float) -> Array:
        """Return 1/√(var + ε) as it is stored, of the biased variance Σ(x − mean)²/n."""
        return self._stored(mathematics.inverse_std(self._divided(squares, n), eps))

    def update_mean(self, running_mean: Array, mean: Array, momentum: float) -> None:
        """Move the running mean, in place, towards the batch's."""
        batch = mean.astype(self.averaged, copy=False).astype(self.division, copy=False)
        running_mean[...] = self._average(running_mean, batch, momentum)

    def update_var(self, running_var: Array, squares: Array, n: int, momentum: float) -> None:
        """Move the running variance, in place, towards the unbiased Σ(x − mean)²/(n − 1)."""
        unbiased = self._divided(squares, n - 1).astype(_FLOAT64, copy=False)
        running_var[...] = self._average(running_var, unbiased, momentum)

    def _divided(self, squares: Array, n: int) -> Array:
        quotient: Array = squares.astype(self.division, copy=False) / self.division.type(n)
        return quotient

    def _average(self, old: Array, batch: Array, momentum: float) -> Array:
        old, share = old.astype(self.division, copy=False), np.asarray(momentum, self.division)
        return self._stored(mathematics.running_average(old, batch, share))

    def _stored(self, statistic: Array) -> Array:
        # Torch converts double to 16 bits by way of float, which rounds twice.
        return statistic.astype(working_type(self.kept), copy=False).astype(self.kept, copy=False)
