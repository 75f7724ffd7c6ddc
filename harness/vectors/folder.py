"""A folder that is written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.errors import InvalidInput

INDEX = "index.json"


@contextmanager
def whole(folder: Path, schema: str) -> Iterator[Path]:
    """Yield a folder to write in, which takes its place when the block ends without an error.

    Parameters
    ----------
    folder : Path
        Replaced if it is empty, or holds an export of the same schema.
    schema : str

    Raises
    ------
    InvalidInput
        It holds something else, or cannot be written; then it is as it was.
    """
    folder = folder.resolve()
    _refuse(folder, schema)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        try:
            made = staging / "new"
            made.mkdir()
            yield made
            if folder.exists():
                folder.rename(staging / "old")
            made.rename(folder)
        finally:
            shutil.rmtree(staging)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise InvalidInput(f"{folder}: cannot be written: {reason}") from None


def _refuse(folder: Path, schema: str) -> None:
    if folder.exists() and not folder.is_dir():
        raise InvalidInput(f"{folder}: is no folder; name another")
    if not folder.exists() or not any(folder.iterdir()):
        return
    found = None
    with suppress(OSError, ValueError, AttributeError):
        found = json.loads((folder / INDEX).read_text(encoding="utf-8")).get("schema")
    if found != schema:
        raise InvalidInput(f"{folder}: holds something else than test vectors; name another folder")
