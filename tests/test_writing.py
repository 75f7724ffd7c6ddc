"""Files are written whole or not at all, and what a kill leaves does not stay."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from full_disk import files_of_at_most

from harness.errors import InvalidInput
from harness.writing import write_whole


def left(folder):
    """Return the names in a folder."""
    return sorted(each.name for each in folder.iterdir())


def test_a_file_is_written_in_a_folder_that_is_made(tmp_path):
    """A missing folder is made, and nothing but the file stays there."""
    write_whole(tmp_path / "new" / "deep" / "it.json", "text\n")

    assert (tmp_path / "new" / "deep" / "it.json").read_text() == "text\n"
    assert left(tmp_path / "new" / "deep") == ["it.json"]


def test_a_written_file_has_the_usual_permissions(tmp_path):
    """The umask decides who may read a report, as for any other file."""
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "it.json", "text")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "it.json").stat().st_mode) == 0o640


def test_a_full_disk_leaves_the_old_file(tmp_path):
    """Where there is no room the old file stays whole, and no other is left behind."""
    path = tmp_path / "it.json"
    write_whole(path, "old")
    refused = pytest.raises(InvalidInput, match="cannot be written: File too large")
    with refused, files_of_at_most(1000):
        write_whole(path, "new" * 1000)

    assert path.read_text() == "old"
    assert left(tmp_path) == ["it.json"]


def test_an_interruption_leaves_the_old_file(tmp_path, monkeypatch):
    """An interruption while the file is written leaves the old one and no other."""
    path = tmp_path / "it.json"
    write_whole(path, "old")

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, "new")

    assert path.read_text() == "old"
    assert left(tmp_path) == ["it.json"]


def test_a_folder_in_place_of_the_file_is_refused(tmp_path):
    """A path that is a folder, or lies below a file, is refused by name."""
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "it.json"):
        with pytest.raises(InvalidInput, match="cannot be written"):
            write_whole(path, "text")

    assert left(tmp_path) == ["file"]


def test_a_device_is_written_to_and_stays_one():
    """Writing to /dev/null does not put a file in its place."""
    device = os.path.devnull
    write_whole(Path(device), "text")

    assert stat.S_ISCHR(os.stat(device).st_mode)  # noqa: PTH116  # the device, by its name


def test_a_link_stays_a_link(tmp_path):
    """What a link leads to is replaced, not the link."""
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_whole(tmp_path / "link", "text")

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "text"


KILLED = """
import os, signal, sys
from pathlib import Path
from harness.writing import write_whole

os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
write_whole(Path(sys.argv[1]), "half")
"""


def test_what_a_killed_writing_leaves_the_next_removes(tmp_path):
    """After SIGKILL in the middle the old file stands; the next writing stays alone."""
    path = tmp_path / "[it].json"
    write_whole(path, "old")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    before = path.read_text(), len(left(tmp_path))
    write_whole(path, "new")

    assert (killed.returncode, *before) == (-signal.SIGKILL, "old", 2)
    assert path.read_text() == "new"
    assert left(tmp_path) == ["[it].json"]


def test_what_another_writes_is_left_to_it(tmp_path, monkeypatch):
    """Two writings at once both come to their end, and the later one stands."""
    path, fsync = tmp_path / "it.json", os.fsync

    def overtaken(handle):
        monkeypatch.setattr(os, "fsync", fsync)
        write_whole(path, "first")
        assert path.read_text() == "first"
        fsync(handle)

    monkeypatch.setattr(os, "fsync", overtaken)
    write_whole(path, "second")

    assert path.read_text() == "second"
    assert left(tmp_path) == ["it.json"]


def test_a_writing_that_loses_its_file_before_it_has_locked_it_takes_another(tmp_path, monkeypatch):
    """Between making its file and locking it another may remove that; the text is written yet."""
    path, flock = tmp_path / "it.json", fcntl.flock

    def late(handle, how):
        monkeypatch.setattr(fcntl, "flock", flock)
        write_whole(path, "first")
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", late)
    write_whole(path, "second")

    assert path.read_text() == "second"
    assert left(tmp_path) == ["it.json"]


def test_a_file_system_without_locks_is_written_to(tmp_path, monkeypatch):
    """Where files cannot be locked they are written all the same, and nobody's is removed."""
    (tmp_path / ".it.json.another.unfinished").write_text("half")

    def refused(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refused)
    write_whole(tmp_path / "it.json", "text")

    assert (tmp_path / "it.json").read_text() == "text"
    assert left(tmp_path) == [".it.json.another.unfinished", "it.json"]


def test_files_that_look_alike_are_not_removed(tmp_path):
    """Hidden files of other endings, and of other files, are the user's."""
    names = [".it.json.original", ".it.json.swp", ".other.json.x.unfinished", "it.json.unfinished"]
    for name in names:
        (tmp_path / name).write_text("mine")
    write_whole(tmp_path / "it.json", "text")

    assert left(tmp_path) == sorted([*names, "it.json"])
