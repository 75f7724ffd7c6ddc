"""Which files: those of the shipped suite, of folders, and what reports call them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

from harness.errors import InvalidInput

KNOWN = "known.yaml"
"""The file of known divergences, which holds no cases."""

SUFFIX = ".yaml"
"""The end of the names of case files, by which they are found in folders."""

_SHIPPED = "cases"
"""What reports call the folder of the shipped suite."""


def shipped() -> Path:
    """Return the folder of the shipped suite."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "suite"
    return installed if installed.is_dir() else package.parent / "cases"


def case_files(name: str) -> tuple[list[Path], list[Path]]:
    """Return the case files that a name stands for, and the files of known divergences with them.

    Parameters
    ----------
    name : str
        A file or a folder; what a report calls one of the shipped suite is found from anywhere.

    Raises
    ------
    InvalidInput
        There is none, or it cannot be read.
    """
    if not name:
        raise InvalidInput("an empty path; name a case file or a folder")
    try:
        found = _found(Path(name))
    except OSError as error:
        raise InvalidInput(f"{error.filename or name}: cannot be read: {error.strerror}") from None
    lists = [path for path in found if path.name == KNOWN]
    return [path for path in found if path.name != KNOWN], lists


def known_below(folder: Path) -> list[Path]:
    """Return the files of known divergences in a folder and its folders; none where it is not."""
    return sorted(folder.rglob(KNOWN))


def _found(path: Path) -> list[Path]:
    if not path.exists():
        # What a report calls a shipped file is found from any folder.
        path = _namesake(path) or path
    if path.is_dir():
        found = sorted(
            each
            for folder, _, names in os.walk(path, onerror=_refuse)
            for each in (Path(folder, file) for file in names)
            if each.suffix == SUFFIX and each.is_file()
        )
        if all(each.name == KNOWN for each in found):
            raise InvalidInput(f"{path}: the folder has no case files (*{SUFFIX})")
        return found
    if not path.exists():
        meant = "; a case of a file is file.yaml::id" if f"{SUFFIX}:" in path.name else ""
        raise InvalidInput(f"{path}: no such file or folder{meant}")
    if path.name == KNOWN:
        raise InvalidInput(
            f"{path}: holds known divergences, no cases; it is read with those beside it"
        )
    beside = path.with_name(KNOWN)
    return [path, beside] if beside.is_file() else [path]


def _namesake(path: Path) -> Path | None:
    """Return what the shipped suite has under a name."""
    if path.parts[:1] != (_SHIPPED,):
        return None
    found = shipped().joinpath(*path.parts[1:])
    return found if found.exists() else None


def hidden(selector: str) -> Path | None:
    """Return the part of the shipped suite whose name is taken by another file or folder here."""
    path = Path(selector.partition("::")[0])
    if len(path.parts) == 1 or not path.exists():  # the suite as a whole needs no name
        return None
    found = _namesake(path)
    return None if found is None or found.samefile(path) else found


def _refuse(error: OSError) -> NoReturn:
    raise error


def shown_name(path: Path) -> str:
    """Return the name of a case file in messages and reports, the same wherever it is run."""
    absolute = path.resolve()
    if absolute.is_relative_to(shipped()):
        return (Path(_SHIPPED) / absolute.relative_to(shipped())).as_posix()
    if absolute.is_relative_to(Path.cwd()):
        return absolute.relative_to(Path.cwd()).as_posix()
    return path.as_posix()
