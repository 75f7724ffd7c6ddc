"""`torch.nn.BatchNorm2d` on NumPy arrays: its state, and the order in which it moves.

Source: `torch/nn/modules/batchnorm.py`, and `aten/src/ATen/native/Normalization.cpp` for what
happens in the kernels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from harness.reference import checks, mathematics, state
from harness.reference.allocation import fill, parameter, statistic
from harness.reference.arithmetic import Arithmetic
from harness.reference.kernel import Gradients, Saved, backward, forward
from harness.reference.mathematics import Array
from harness.reference.twice import DoubleGradients, double_backward

LOW_PRECISION = [
    {
        "parameters": dtype,
        "statistics": dtype,
        "reason": f"with {dtype} parameters, torch keeps batch statistics and momentum in {dtype} "
        "(aten/src/ATen/native/Normalization.cpp)",
    }
    for dtype in ("float16", "bfloat16")
]
"""What torch's CPU kernels, and who follows them, declare of 16-bit modules (docs/targets.md)."""

_ARRAYS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


class BatchNorm2d:
    """Batch normalisation of arrays of shape (N, C, H, W).

    Every array attribute may be assigned to, element by element or as a whole, None included;
    anything else than an array, a NumPy scalar or None is a TypeError.

    Parameters
    ----------
    num_features
        C.
    eps
        Added to the variance.
    momentum
        Weight of the batch in the running statistics; None weighs all batches alike.
    affine
        Whether there are a weight and a bias.
    track_running_stats
        Whether there are running statistics.
    bias
        Whether there is a bias, where `affine` is true.
    dtype
        Type of the parameters and running statistics.

    Attributes
    ----------
    training : bool
        Whether the batch's statistics are used.
    weight, bias : ndarray of shape (C,), or None
    running_mean, running_var : ndarray of shape (C,), or None
    num_batches_tracked : ndarray of shape () and int64, or None

    Raises
    ------
    TypeError
        `num_features` is not an integer.
    RuntimeError
        `num_features` is negative, or `dtype` is not one that parameters can have.
    """

    bn_harness: ClassVar[dict[str, Any]] = {"accuracy": LOW_PRECISION}

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        bias: bool = True,
        dtype: DTypeLike = np.float32,
    ) -> None:
        kind: np.dtype[Any] = np.dtype(dtype)
        self.training = True
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self.weight: Array | None = parameter(num_features, kind) if affine else None
        self.bias: Array | None = parameter(num_features, kind) if affine and bias else None
        self.running_mean: Array | None = None
        self.running_var: Array | None = None
        self.num_batches_tracked: Array | None = None
        if track_running_stats:
            self.running_mean = statistic(num_features, kind)
            self.running_var = statistic(num_features, kind)
            self.num_batches_tracked = np.array(0, np.int64)
        self.saved_for_backward: Saved | None = None
        self.saved_for_double_backward: tuple[Saved, Array] | None = None
        self.reset_parameters()

    def __setattr__(self, name: str, value: object) -> None:
        """Assign to an attribute; parameters and buffers take arrays and None alone.

        Raises
        ------
        TypeError
            As torch does, with its messages: ``Module.__setattr__`` (torch/nn/modules/module.py).
        """
        if value is not None and name in _ARRAYS:
            value = checks.assigned(name, value)
        object.__setattr__(self, name, value)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the graph behind in copies and pickles."""
        return self.__dict__ | {"saved_for_backward": None, "saved_for_double_backward": None}

    def reset_running_stats(self) -> None:
        """Start the statistics and the counter again, where the module tracks them.

        Raises
        ------
        AttributeError
            One of them has been removed.
        """
        if self.track_running_stats:
            fill(self.running_mean, 0, "zero_")
            fill(self.running_var, 1, "fill_")
            fill(self.num_batches_tracked, 0, "zero_")

    def reset_parameters(self) -> None:
        """Start everything again: the running statistics, weight 1 and bias 0.

        Raises
        ------
        AttributeError
            One of them has been removed.
        """
        self.reset_running_stats()
        if self.affine:
            fill(self.weight, 1, "fill_")
            if self.bias is not None:
                fill(self.bias, 0, "zero_")

    def train(self, mode: bool = True) -> BatchNorm2d:
        """Set the mode and return the module; anything but a bool is a ValueError."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")  # noqa: TRY004 - torch's type
        self.training = mode
        return self

    def eval(self) -> BatchNorm2d:
        """Set evaluation mode and return the module."""
        return self.train(False)

    def to(self, dtype: DTypeLike) -> BatchNorm2d:
        """Convert parameters and running statistics, not the counter; return the module.

        Raises
        ------
        TypeError
            `dtype` is neither floating-point nor complex.
        """
        kind: np.dtype[Any] = np.dtype(dtype)
        if not checks.is_floating(kind):
            raise TypeError(
                "nn.Module.to only accepts floating point or complex dtypes,"
                f" but got desired dtype=torch.{kind}"
            )
        with np.errstate(all="ignore"):
            for name, array in self._arrays().items():
                if array is not None and checks.is_floating(array.dtype):
                    setattr(self, name, array.astype(kind, copy=False))
        return self

    def state_dict(self) -> state.StateDict:
        """Return the arrays by name, in torch's order; they are the module's own."""
        return state.save(self._arrays())

    def load_state_dict(
        self, state_dict: Mapping[str, Array], strict: bool = True
    ) -> state.IncompatibleKeys:
        """Copy arrays into the module's own, in place; see `harness.reference.state.load`."""
        return state.load(
            self._arrays(),
            state_dict,
            type(self).__name__,
            strict=strict,
            counts=bool(self.track_running_stats),
        )

    @np.errstate(all="ignore")
    def __call__(self, input: Array) -> Array:
        """Normalise `input` (N, C, H, W) and return a new array of its shape, type and layout.

        The counter moves before the input is looked at beyond its rank, and the running
        statistics before the type of the bias is.

        Raises
        ------
        AttributeError, ValueError, TypeError, RuntimeError, NotImplementedError, IndexError,
        ZeroDivisionError, OverflowError
            As torch does, with its messages: `harness.reference.checks`.
        """
        checks.rank(input)
        factor = self._averaging_factor()
        of_batch = self.training or (self.running_mean is None and self.running_var is None)
        untracked = self.training and not self.track_running_stats
        output, self.saved_for_backward = forward(
            input,
            None if untracked else self.running_mean,
            None if untracked else self.running_var,
            self.weight,
            self.bias,
            of_batch=of_batch,
            momentum=factor,
            eps=self.eps,
            arithmetic=self._arithmetic(input),
        )
        return output

    @np.errstate(all="ignore")
    def backward(self, grad_output: Array) -> Gradients:
        """Return the gradients of input, weight and bias of the latest call, None where absent.

        `grad_output` has the shape of the output and is cast to its type.

        Raises
        ------
        RuntimeError
            No call precedes, or its gradients have been taken, or `grad_output` does not fit.
        """
        if self.saved_for_backward is None:
            raise RuntimeError(
                "Trying to backward through the graph a second time (or directly access saved"
                " tensors after they have already been freed). Saved intermediate values of the"
                " graph are freed when you call .backward() or autograd.grad(). Specify"
                " retain_graph=True if you need to backward through the graph a second time or"
                " if you need to access saved tensors after calling backward."
            )
        checks.gradient(
            grad_output, self.saved_for_backward.input.shape, self.saved_for_backward.input.dtype
        )
        saved, self.saved_for_backward = self.saved_for_backward, None
        self.saved_for_double_backward = saved, grad_output
        return backward(saved, grad_output, self._arithmetic(saved.input, grad_output))

    @np.errstate(all="ignore")
    def double_backward(
        self,
        gg_input: Array | None = None,
        gg_weight: Array | None = None,
        gg_bias: Array | None = None,
    ) -> DoubleGradients:
        """Return the gradients by input, weight and grad_output of the latest `backward`.

        The arguments are the gradients of a loss by what `backward` returned, in its shapes and
        types; None where the loss does not depend on it. See `harness.reference.twice`.

        Raises
        ------
        RuntimeError
            No `backward` precedes, or there is a bias without a weight, as torch does.
        """
        if self.saved_for_double_backward is None:
            raise RuntimeError("there is no backward pass to differentiate; call backward first")
        saved, grad_output = self.saved_for_double_backward
        given = saved, grad_output, gg_input, gg_weight, gg_bias
        return double_backward(*given, arithmetic=self._arithmetic(saved.input, grad_output))

    def _arithmetic(self, *arrays: Array) -> Arithmetic:  # noqa: ARG002 - a subclass goes by them
        """Return what computes an output from an input, or gradients from it and grad_output."""
        return mathematics

    def _arrays(self) -> dict[str, Array | None]:
        return {name: getattr(self, name) for name in _ARRAYS}

    def _averaging_factor(self) -> float:
        """Count the batch and return its weight: momentum, or 1/count where that is None."""
        factor = 0.0 if self.momentum is None else self.momentum
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            checks.counter(self.num_batches_tracked)
            np.add(self.num_batches_tracked, 1, out=self.num_batches_tracked)
            if self.momentum is None:
                factor = 1.0 / float(self.num_batches_tracked.item())
        return factor
