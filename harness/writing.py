"""Files that are written whole or not at all."""

from __future__ import annotations

import fcntl
import glob
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from harness.errors import InvalidInput

_UNFINISHED = ".unfinished"


def write_whole(path: Path, text: str) -> None:
    """Write a file so that no reader, and no failure, ever sees a part of it.

    The text is written beside it, in a file that takes its name when it is whole. What a writing
    that was killed has left there (SIGKILL, a loss of power) the next one removes. What is no
    regular file, as a pipe or ``/dev/stdout``, is written to as it stands.

    Raises
    ------
    InvalidInput
        The folder cannot be written, or the disk is full; what stood there before still does.
    """
    try:
        if special(path):
            path.write_text(text, encoding="utf-8")
            return
        path = path.resolve()  # a link stays one
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_unfinished(path)
        handle, unfinished = _locked_beside(path)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(handle)
                unfinished.chmod(0o666 & ~_umask())
                unfinished.replace(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be written: {error.strerror}") from None


def special(path: Path) -> bool:
    """Whether a path is no regular file, nor the place for one: a pipe, or a device."""
    place = path.absolute().parts[1:3]
    device = place[:1] == ("dev",) and place != ("dev", "shm")
    return path.exists() and (device or not path.is_file())


def _locked_beside(path: Path) -> tuple[int, Path]:
    """Return a new file beside a path, open, and locked (flock) as long as its process writes."""
    while True:
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}.", suffix=_UNFINISHED
        )
        with suppress(OSError):  # where a file system has no locks, nothing is removed either
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:  # else another has found it before it was locked
            return handle, Path(name)
        os.close(handle)


def _remove_unfinished(path: Path) -> None:
    """Remove what nobody is writing any more: files beside a path that no process has locked."""
    for each in path.parent.glob(f".{glob.escape(path.name)}.*{_UNFINISHED}"):
        with suppress(OSError):  # another removes it, or is writing it
            handle = os.open(each, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                each.unlink()
            finally:
                os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
