"""The reference with each of its decisions in a method of its own, to be replaced one at a time."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from harness.reference import BatchNorm2d, checks, kernel, layout, mathematics
from harness.reference.kernel import Gradients, Saved
from harness.reference.mathematics import Array
from harness.reference.storage import working_type

FLOAT64 = np.dtype(np.float64)


class OpenBatchNorm2d(BatchNorm2d):
    """`harness.reference.BatchNorm2d` whose subclasses change a single decision.

    Elements `x`, `g` (the gradient of the output) and `centred` (x − mean) are contiguous arrays
    (N, C, L) with L = H·W, of the working type: float64 for float64 inputs, else float32. What
    belongs to a channel has shape (C,), n = N·L. Sums are float64, and statistics of 16-bit
    modules are rounded once, when they are stored. Errors are those of the reference.
    """

    # The batch's statistics are kept in the working type, so that there is nothing to declare.
    bn_harness: ClassVar[dict[str, Any]] = {}

    saved_for_backward: Saved | None
    saved_for_double_backward: tuple[Saved, Array] | None

    # Forward, in the order of its decisions.

    @np.errstate(all="ignore")
    def __call__(self, input: Array) -> Array:
        """Normalise `input` (N, C, H, W); see the reference."""
        self.check_rank(input)
        self.count(input)
        return self.forward(input)

    def forward(self, x: Array) -> Array:
        """Check the input, move the statistics and return the output."""
        mean, var = self.buffers()
        of_batch, factor = self.uses_batch(), self.factor()
        if x.size == 0:
            return self.empty(x)
        kept = self.check(x, mean, var, of_batch=of_batch, factor=factor)
        elements = self.elements(x)
        if of_batch:
            n = self.number(x)
            batch_mean, squares = self.statistics(elements)
            if mean is not None and var is not None:
                self.update(mean, var, batch_mean, self.unbiased(squares, n), float(factor))
            checks.of_type(self.bias, kept)
            mean, invstd = batch_mean, self.invstd(self.biased(squares, n))
        elif mean is not None and var is not None:
            invstd = self.invstd(var)
        saved = self.save(x, mean, invstd, of_batch=of_batch)
        return self.output(self.normalise(elements, saved), x)

    def check_rank(self, x: Array) -> None:
        """Refuse what has not four axes."""
        checks.rank(x)

    def count(self, x: Array) -> None:  # noqa: ARG002
        """Move the counter of batches."""
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            checks.counter(self.num_batches_tracked)
            self.num_batches_tracked[...] += 1

    def buffers(self) -> tuple[Array | None, Array | None]:
        """Return the running statistics that this pass uses or moves."""
        if self.training and not self.track_running_stats:
            return None, None
        return self.running_mean, self.running_var

    def uses_batch(self) -> bool:
        """Tell whether the batch's own statistics are used."""
        return self.training or (self.running_mean is None and self.running_var is None)

    def factor(self) -> float:
        """Return the weight of this batch in the running statistics."""
        if self.momentum is not None:
            return self.momentum
        count = self.num_batches_tracked
        counted = self.training and self.track_running_stats and count is not None
        return 1.0 / float(count.item()) if counted and count is not None else 0.0

    def empty(self, x: Array) -> Array:
        """Return the output for an input without elements."""
        mean, var = self.buffers()
        output, self.saved_for_backward = kernel.forward(
            x,
            mean,
            var,
            self.weight,
            self.bias,
            of_batch=self.uses_batch(),
            momentum=self.factor(),
            eps=self.eps,
        )
        return output

    def check(
        self, x: Array, mean: Array | None, var: Array | None, *, of_batch: bool, factor: float
    ) -> np.dtype[Any]:
        """Refuse what torch refuses, and return the type of the parameters."""
        if of_batch:
            self.check_batch(x.shape)
        self.check_epsilon(of_batch=of_batch)
        checks.real_numbers(factor, self.eps)
        self.check_lengths(x.shape[1], mean, var, of_batch=of_batch)
        kept = self.parameter_type(x, mean, var)
        if not of_batch:
            checks.of_type(self.bias, kept)
        checks.vector(mean, kept)
        checks.vector(var, kept)
        return kept

    def check_batch(self, shape: tuple[int, ...]) -> None:
        """Refuse a batch of one value per channel."""
        checks.batch(shape)

    def check_epsilon(self, *, of_batch: bool) -> None:
        """Refuse an ε that is out of range."""
        checks.epsilon(self.eps, of_batch=of_batch)

    def check_lengths(
        self, features: int, mean: Array | None, var: Array | None, *, of_batch: bool
    ) -> None:
        """Refuse arrays of another length than the input has channels."""
        checks.lengths(features, mean, var, self.weight, self.bias, of_batch=of_batch)

    def parameter_type(self, x: Array, mean: Array | None, var: Array | None) -> np.dtype[Any]:
        """Return the type of the parameters, refusing those that do not go with the input."""
        parameters = self.weight, self.bias, mean, var
        return checks.parameter_type(x, *parameters, of_batch=self.uses_batch())

    # Statistics.

    def elements(self, x: Array) -> Array:
        """Return `x` (N, C, H, W) as elements (N, C, L) of the working type."""
        return layout.channels(x, working_type(x.dtype))

    def number(self, x: Array) -> int:
        """Return n for an input (N, C, H, W)."""
        found: int = x.size // x.shape[1]
        return found

    def statistics(self, x: Array) -> tuple[Array, Array]:
        """Return the mean of each channel and Σ(x − mean)²."""
        return mathematics.batch_statistics(x)

    def biased(self, squares: Array, n: int) -> Array:
        """Return the variance that normalises."""
        return squares / n

    def unbiased(self, squares: Array, n: int) -> Array:
        """Return the variance that the running variance moves towards."""
        return squares / (n - 1)

    def update(self, mean: Array, var: Array, batch: Array, unbiased: Array, factor: float) -> None:
        """Move the running statistics, in place."""
        mean[...] = self.average(mean, batch, factor)
        var[...] = self.average(var, unbiased, factor)

    def average(self, old: Array, batch: Array, factor: float) -> Array:
        """Return (1 − factor)·old + factor·batch."""
        return mathematics.running_average(
            old.astype(FLOAT64), batch.astype(FLOAT64), np.asarray(factor)
        )

    def invstd(self, var: Array) -> Array:
        """Return 1/√(var + ε), float64."""
        return mathematics.inverse_std(var, self.eps)

    # Output.

    def save(self, x: Array, mean: Array | None, invstd: Array, *, of_batch: bool) -> Saved:
        """Return, and keep for the gradients, what normalises this input."""
        working = working_type(x.dtype)
        assert mean is not None  # noqa: S101 - a lone running statistic has been refused
        weight, bias = (None if p is None else p.copy() for p in (self.weight, self.bias))
        self.saved_for_backward = Saved(
            x, mean.astype(working), invstd.astype(working), weight, bias, of_batch
        )
        return self.saved_for_backward

    def normalise(self, x: Array, saved: Saved) -> Array:
        """Return y = (x − mean)·invstd·weight + bias."""
        y = (x - saved.mean[:, None]) * scale(saved)[:, None]
        return y if saved.bias is None else y + column(saved.bias, y)

    def output(self, y: Array, x: Array) -> Array:
        """Return `y` as an output for `x`."""
        return self.like(y, x)

    def like(self, y: Array, x: Array) -> Array:
        """Return elements `y` in a new array of the shape, type and layout of `x`."""
        found = layout.empty(x.shape, x.dtype, channels_last=layout.is_channels_last(x))
        found[...] = y.reshape(x.shape)
        return found

    # Gradients.

    @np.errstate(all="ignore")
    def backward(self, grad_output: Array) -> Gradients:
        """Return the gradients of input, weight and bias; see the reference."""
        saved = self.saved_for_backward
        if saved is None or saved.input.size == 0:
            return super().backward(grad_output)
        checks.gradient(grad_output, saved.input.shape, saved.input.dtype)
        checks.gradients_of_parameters(saved.weight, saved.bias)
        self.saved_for_backward = None
        self.saved_for_double_backward = saved, grad_output
        return self.gradients(grad_output, saved)

    def gradients(self, grad_output: Array, saved: Saved) -> Gradients:
        """Return the gradients of input, weight and bias, None where absent."""
        x = saved.input
        g = self.elements(grad_output.astype(x.dtype, copy=False))
        centred = self.elements(x) - saved.mean[:, None]
        grad_input = self.grad_input(g, centred, saved)
        weight = None if saved.weight is None else self.grad_weight(g, centred, saved)
        bias = None if saved.bias is None else self.grad_bias(g, saved).reshape(saved.bias.shape)
        return self.grad_like(grad_input, x), weight, bias

    def grad_like(self, grad_input: Array, x: Array) -> Array:
        """Return elements as the gradient of `x`."""
        return self.like(grad_input, x)

    def grad_input(self, g: Array, centred: Array, saved: Saved) -> Array:
        """Return the gradient of the elements of the input."""
        if not saved.of_batch:
            return g * scale(saved)[:, None]
        terms = self.variance_term(g, centred, saved) + self.mean_term(g)[:, None]
        found: Array = (g - terms) * scale(saved)[:, None]
        return found

    def mean_term(self, g: Array) -> Array:
        """Return Σg/n, by which the mean enters grad_input."""
        found: Array = (total(g) / (g.shape[0] * g.shape[2])).astype(g.dtype)
        return found

    def variance_term(self, g: Array, centred: Array, saved: Saved) -> Array:
        """Return (x − mean)·invstd²·Σ(x − mean)g/n, by which the variance enters grad_input."""
        n = g.shape[0] * g.shape[2]
        slope = total(centred * g) * saved.invstd.astype(FLOAT64) ** 2 / n
        found: Array = centred * slope.astype(g.dtype)[:, None]
        return found

    def grad_weight(self, g: Array, centred: Array, saved: Saved) -> Array:
        """Return Σ(x − mean)·invstd·g in the type of the weight."""
        assert saved.weight is not None  # noqa: S101 - asked for only where there is one
        return (total(centred * g) * saved.invstd).astype(saved.weight.dtype)

    def grad_bias(self, g: Array, saved: Saved) -> Array:
        """Return Σg in the type of the bias."""
        assert saved.bias is not None  # noqa: S101 - asked for only where there is one
        return total(g).astype(saved.bias.dtype)


def total(t: Array) -> Array:
    """Return Σt for each channel, (N, C, L) -> float64 (C,)."""
    found: Array = np.add.reduce(t, axis=(0, 2), dtype=np.float64)
    return found


def scale(saved: Saved) -> Array:
    """Return invstd·weight, (C,) of the working type."""
    if saved.weight is None:
        return saved.invstd
    found: Array = saved.invstd * saved.weight.reshape(-1).astype(saved.invstd.dtype)
    return found


def column(parameter: Array, like: Array) -> Array:
    """Return a parameter as (C, 1) of the type of `like`."""
    return parameter.reshape(-1, 1).astype(like.dtype)
