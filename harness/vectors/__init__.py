"""Test vectors: cases with exact results and bounds, for implementations in any language."""

from harness.vectors.export import SCHEMA, export

__all__ = ["SCHEMA", "export"]
