"""Differential conformance testing of batch normalisation against ``torch.nn.BatchNorm2d``."""

__version__ = "0.1.0"
