"""ε in the wrong place, of the wrong size, or unchecked."""

# ruff: noqa: D102, ANN401 - a method is documented where it is first defined

from __future__ import annotations

from typing import Any

import numpy as np

from harness.adequacy.base import OpenBatchNorm2d, scale
from harness.reference.kernel import Saved
from harness.reference.mathematics import Array


class EpsOutsideRoot(OpenBatchNorm2d):
    """1/(√var + ε): ε is added to the standard deviation.

    Met in hand-written layers modelled on layer or instance normalisation that divide by std + ε.
    """

    def invstd(self, var: Array) -> Array:
        return 1.0 / (np.sqrt(var.astype(np.float64)) + self.eps)


class EpsAddedTwice(OpenBatchNorm2d):
    """1/√(var + 2ε): ε is added where the variance is stored and where it is used.

    Could be met in fused kernels whose variance already holds ε.
    """

    def invstd(self, var: Array) -> Array:
        return super().invstd(var + self.eps)


class EpsOffByThousandth(OpenBatchNorm2d):
    """ε is 0.1 % too large.

    Could be met where ε is stored in a 16-bit attribute of an exported graph.
    """

    def invstd(self, var: Array) -> Array:
        return super().invstd(var + 0.001 * self.eps)


class EpsInFloat32(OpenBatchNorm2d):
    """ε is rounded to float32, in float64 too.

    Met wherever an attribute of a graph is a float32, as in ONNX.
    """

    def invstd(self, var: Array) -> Array:
        return 1.0 / np.sqrt(var.astype(np.float64) + np.float64(np.float32(self.eps)))


class EpsOfKeras(OpenBatchNorm2d):
    """ε is 1e-3 where the caller names none.

    Met in Keras, whose BatchNormalization has this default.
    """

    def __init__(self, num_features: int, eps: float = 1e-3, *args: Any, **more: Any) -> None:
        super().__init__(num_features, eps, *args, **more)


class EpsIgnored(OpenBatchNorm2d):
    """ε is 1e-5 whatever the caller asks for.

    Could be met in kernels that have it as a constant.
    """

    def invstd(self, var: Array) -> Array:
        return 1.0 / np.sqrt(var.astype(np.float64) + 1e-5)


class EpsLeftOut(OpenBatchNorm2d):
    """ε is not added at all.

    Could be met where it is taken for a guard against zero that "normal" data does not need.
    """

    def invstd(self, var: Array) -> Array:
        return 1.0 / np.sqrt(var.astype(np.float64))


class EpsAsFloor(OpenBatchNorm2d):
    """1/√max(var, ε): ε is a floor, not a term.

    Met in hand-written layers that clamp the variance.
    """

    def invstd(self, var: Array) -> Array:
        return 1.0 / np.sqrt(np.maximum(var.astype(np.float64), self.eps))


class EpsSquared(OpenBatchNorm2d):
    """1/√(var + ε²): ε counts as a standard deviation.

    Could be met in ports that add ε to the deviation "inside the root".
    """

    def invstd(self, var: Array) -> Array:
        return 1.0 / np.sqrt(var.astype(np.float64) + self.eps**2)


class EpsFixedAtConstruction(OpenBatchNorm2d):
    """An ε that is set later is ignored.

    Could be met in modules that compile their kernel with the constructor's value.
    """

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._eps = self.eps

    def invstd(self, var: Array) -> Array:
        return 1.0 / np.sqrt(var.astype(np.float64) + self._eps)


class EpsMissingInBackward(OpenBatchNorm2d):
    """The gradient of the input divides by √var, without ε.

    Could be met in backward passes that save the variance in place of the inverse deviation.
    """

    def grad_input(self, g: Array, centred: Array, saved: Saved) -> Array:
        inverse = scale(saved).astype(np.float64)
        ratio = np.sqrt(1 / (1 - self.eps * saved.invstd.astype(np.float64) ** 2))
        wrong = np.where(np.isfinite(ratio), ratio, 1.0) * inverse
        found: Array = (
            super().grad_input(g, centred, saved) * (wrong / inverse).astype(g.dtype)[:, None]
        )
        return found


class EpsUnchecked(OpenBatchNorm2d):
    """An ε of 0 or below is not refused.

    Met in torch before 2.10.
    """

    def check_epsilon(self, *, of_batch: bool) -> None:
        pass


class EpsHeldToTrainInEval(OpenBatchNorm2d):
    """An ε of 0 is refused in eval as it is in train.

    Could be met where one check serves both modes.
    """

    def check_epsilon(self, *, of_batch: bool) -> None:  # noqa: ARG002
        super().check_epsilon(of_batch=True)
