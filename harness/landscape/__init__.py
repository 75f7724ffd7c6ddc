"""The landscape: what other frameworks' batch normalisation does, feature by feature."""

from harness.landscape.merge import landscape
from harness.landscape.model import Landscape
from harness.landscape.page import to_markdown

__all__ = ["Landscape", "landscape", "to_markdown"]
