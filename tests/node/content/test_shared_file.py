"""A shared file: served as long as it is unchanged."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from common.errors import FileFault
from node.content.part_file import PartFile
from node.content.shared_file import SharedFile
from tests.node.content.content_case import read

SIZE = 100_000

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX file systems only")


@pytest.fixture
def shared(any_system: None, tmp_path: Path) -> Iterator[SharedFile]:
    path = tmp_path / "x.bin"
    path.write_bytes(Random(6).randbytes(SIZE))
    opened = SharedFile.open(path, SIZE)
    yield opened
    opened.close()


def change_times(path: Path) -> None:
    """As an editor that saves the same number of bytes, whatever the resolution of the file's times."""
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 2_000_000_000))


def test_any_range_of_a_shared_file(shared: SharedFile) -> None:
    content = shared.path.read_bytes()
    for start, end in [(0, SIZE), (0, 0), (SIZE, SIZE), (SIZE - 1, SIZE), (77, 61_517)]:
        assert read(shared, start, end) == content[start:end]
    shared.check_unchanged()


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="Linux only")
@pytest.mark.parametrize("name", ["/proc/self/mem", "/proc/version"])
def test_a_file_of_the_system_that_hides_its_size_is_refused(name: str) -> None:
    with pytest.raises(FileFault, match=name):
        SharedFile.open(Path(name))


def test_an_empty_file_is_shared(any_system: None, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    opened = SharedFile.open(tmp_path / "empty")
    assert opened.size == 0
    opened.close()


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (0, SIZE + 1), (SIZE, SIZE + 1)])
def test_nothing_outside_a_shared_file(shared: SharedFile, start: int, end: int) -> None:
    with pytest.raises(ValueError, match="range"):
        read(shared, start, end)


def test_content_that_changed_is_noticed_by_the_next_read(shared: SharedFile) -> None:
    with open(shared.path, "r+b") as file:
        file.write(b"changed")
    change_times(shared.path)
    with pytest.raises(FileFault, match="x.bin changed while it was shared"):
        read(shared, 50_000, 50_001)
    with pytest.raises(FileFault, match="changed"):
        shared.check_unchanged()


def test_a_file_that_grew_is_noticed(shared: SharedFile) -> None:
    with open(shared.path, "ab") as file:
        file.write(b"more")
    with pytest.raises(FileFault, match="changed"):
        read(shared, 0, 10)


def test_a_truncated_file_is_noticed(shared: SharedFile) -> None:
    os.truncate(shared.path, 1_000)
    with pytest.raises(FileFault, match="shorter"):
        read(shared, 900, 1_100)
    with pytest.raises(FileFault, match="changed"):
        read(shared, 0, 10)
    with pytest.raises(FileFault, match="changed"):
        shared.check_unchanged()


@posix
def test_a_file_that_vanished_is_noticed_and_what_is_read_is_still_right(shared: SharedFile) -> None:
    content = shared.path.read_bytes()
    shared.path.unlink()
    assert read(shared, 0, 100) == content[:100]
    with pytest.raises(FileFault, match="x.bin is gone: No such file"):
        shared.check_unchanged()


@posix
def test_a_file_that_was_replaced_is_noticed(shared: SharedFile) -> None:
    other = shared.path.with_name("other")
    shutil.copy2(shared.path, other)
    os.replace(other, shared.path)
    with pytest.raises(FileFault, match="replaced"):
        shared.check_unchanged()


def test_after_closing_reading_is_a_fault(shared: SharedFile) -> None:
    shared.close()
    shared.close()
    with pytest.raises(FileFault, match="closed"):
        read(shared, 0, 1)


def test_files_that_cannot_be_shared(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"four")
    for path, size, says in [
        (tmp_path / "missing", 4, "no such file"),
        (tmp_path, 4, "is a folder"),
        (tmp_path / "x", 5, "has 4 bytes; its torrent says 5"),
        (tmp_path / ("n" * 300), 4, "too long"),
        (tmp_path / "a\0b", 4, "no file can have this name"),
    ]:
        with pytest.raises(FileFault, match=says):
            SharedFile.open(path, size)


@posix
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileFault, match="no plain file"):
        SharedFile.open(tmp_path / "pipe", 0)


def test_a_finished_download_is_shared_while_its_part_was_still_read(part: PartFile) -> None:
    part.write(0, [b"all there"])
    shared = SharedFile.open(part.finish(), SIZE)
    assert read(shared, 0, 9) == b"all there"
    shared.close()
