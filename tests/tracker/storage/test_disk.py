"""The real disk, and that the one in memory behaves as it does."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from common.errors import StorageFault
from faults.disk import MemoryDisk
from tracker.storage.disk import Disk, SystemDisk


@pytest.fixture(params=["system", "memory"])
def disk(request: pytest.FixtureRequest) -> Disk:
    return SystemDisk() if request.param == "system" else MemoryDisk()


def test_files_are_written_cut_renamed_and_linked(disk: Disk, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    disk.make_folder(folder)
    disk.make_folder(folder)
    file = disk.create(folder / "x")
    disk.write(file, b"hello ")
    disk.write(file, b"world")
    disk.sync(file)
    disk.truncate(file, 6)
    disk.write(file, b"there")
    disk.close(file)
    disk.link(folder / "x", folder / "y")
    disk.replace(folder / "x", folder / "z")
    disk.sync_folder(folder)
    assert disk.names(folder) == ["y", "z"]
    for name in ("y", "z"):
        with disk.open(folder / name) as reader:
            assert reader.read() == b"hello there"
    with pytest.raises(FileExistsError):
        disk.link(folder / "y", folder / "z")
    disk.unlink(folder / "y")
    disk.unlink(folder / "y")
    assert disk.names(folder) == ["z"]
    assert disk.names(tmp_path / "nowhere") == []
    with pytest.raises(FileNotFoundError):
        disk.open(folder / "x")


def test_where_there_are_no_links_the_file_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(old: Path, new: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    (tmp_path / "x").write_bytes(b"text")
    SystemDisk().link(tmp_path / "x", tmp_path / "y")
    assert (tmp_path / "y").read_bytes() == b"text"


def test_a_folder_is_locked_for_one(tmp_path: Path) -> None:
    release = SystemDisk().lock(tmp_path)
    with pytest.raises(StorageFault, match="in use by another tracker"):
        SystemDisk().lock(tmp_path)
    release()
    SystemDisk().lock(tmp_path)()
