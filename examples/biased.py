"""An array class with a mistake: its running update takes the biased variance."""

import numpy as np


class BiasedBatchNorm2d:
    """Batch normalisation in NumPy, forward only."""

    def __init__(
        self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True,
        *, dtype=np.float32,
    ):  # fmt: skip
        if np.dtype(dtype).kind != "f" or dtype == np.float16:
            raise NotImplementedError(f"{np.dtype(dtype)} is not supported")
        self.eps, self.momentum = eps, momentum
        self.track_running_stats = track_running_stats
        self.training = True
        self.weight = np.ones(num_features, dtype) if affine else None
        self.bias = np.zeros(num_features, dtype) if affine else None
        self.running_mean = np.zeros(num_features, dtype) if track_running_stats else None
        self.running_var = np.ones(num_features, dtype) if track_running_stats else None
        self.num_batches_tracked = np.zeros((), np.int64) if track_running_stats else None

    def train(self, mode=True):
        """Choose the mode."""
        self.training = mode

    def eval(self):
        """Choose evaluation mode."""
        self.train(False)

    def __call__(self, input):
        """Return the normalised input."""
        if self.training or self.running_mean is None:
            mean, var = input.mean((0, 2, 3)), input.var((0, 2, 3))
        else:
            mean, var = self.running_mean, self.running_var
        if self.training and self.track_running_stats:
            self.num_batches_tracked += 1
            factor = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
            self.running_mean[...] = (1 - factor) * self.running_mean + factor * mean
            self.running_var[...] = (1 - factor) * self.running_var + factor * var
        output = (input - mean[:, None, None]) / np.sqrt(var + self.eps)[:, None, None]
        if self.weight is not None:
            output = output * self.weight[:, None, None] + self.bias[:, None, None]
        return output
