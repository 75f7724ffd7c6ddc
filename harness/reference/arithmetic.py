"""What an arithmetic of the reference computes: the seam between kernel and mathematics."""

from __future__ import annotations

from typing import Protocol

from harness.reference.mathematics import Array


class Arithmetic(Protocol):
    """The numerical parts of batch normalisation, in some order of operations and roundings.

    Elements are float32 or float64 arrays of shape (N, C, L), and what belongs to a channel has
    shape (C,). `harness.reference.mathematics` is one, and says what each part computes.
    """

    def batch_statistics(self, x: Array) -> tuple[Array, Array]:
        """Return the mean of each channel and Σ(x − mean)²."""

    def inverse_std(self, var: Array, eps: float) -> Array:
        """Return 1/√(var + ε) of the running variance, to normalise with."""

    def normalise(
        self,
        x: Array,
        mean: Array,
        invstd: Array,
        *,
        weight: Array | None,
        bias: Array | None,
        out: Array,
    ) -> None:
        """Write the output into `out`."""

    def sums_of_gradients(self, grad_output: Array, x: Array, mean: Array) -> tuple[Array, Array]:
        """Return Σg and Σ(x − mean)·g for each channel."""

    def grad_input_of_batch(
        self,
        grad_output: Array,
        x: Array,
        mean: Array,
        invstd: Array,
        *,
        weight: Array | None,
        sums: tuple[Array, Array],
        out: Array,
    ) -> None:
        """Write the gradient of the input into `out`; the statistics are the batch's own."""

    def grad_input_of_constants(
        self, grad_output: Array, invstd: Array, *, weight: Array | None, out: Array
    ) -> None:
        """Write the gradient of the input into `out`; the statistics are constants."""
