"""Arrays in a safetensors file, each content once.

The format: the header's length in eight bytes, little-endian; the header, JSON, from each name to
type, shape and place; the arrays, row-major and little-endian, without gaps
(https://huggingface.co/docs/safetensors, "Format"). Its library writes what is in memory as a
whole; here arrays come one by one.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from harness.dtypes import name_of
from harness.trace import Array

TYPES = {
    "float16": "F16",
    "bfloat16": "BF16",
    "float32": "F32",
    "float64": "F64",
    "bool": "BOOL",
    "uint8": "U8",
    "int32": "I32",
    "int64": "I64",
    "complex64": "C64",
}
"""Names that safetensors has for element types."""


class Store:
    """A safetensors file in the making; it is there when the block ends without an error.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._names: dict[bytes, str] = {}
        self._header: dict[str, Any] = {}
        self._end = 0
        self._body = path.with_suffix(".part")

    def __enter__(self) -> Store:
        self._data = self._body.open("wb")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._data.close()
        if error is None:
            header = json.dumps(self._header, separators=(",", ":")).encode()
            header += b" " * (-len(header) % 8)
            with self.path.open("wb") as file, self._body.open("rb") as body:
                file.write(len(header).to_bytes(8, "little") + header)
                shutil.copyfileobj(body, file)
        self._body.unlink()

    def add(self, array: Array) -> str:
        """Return the name under which an array is in the file."""
        stored = TYPES[name_of(array.dtype)]
        little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
        data = little.tobytes()
        key = hashlib.blake2b(data, digest_size=16, person=stored.encode()).digest()
        key += repr(array.shape).encode()
        if key not in self._names:
            self._names[key] = name = str(len(self._names))
            place = [self._end, self._end + len(data)]
            self._header[name] = {
                "dtype": stored,
                "shape": list(array.shape),
                "data_offsets": place,
            }
            self._data.write(data)
            self._end = place[1]
        return self._names[key]
