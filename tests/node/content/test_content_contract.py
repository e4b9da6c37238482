"""The obligations of ``node.content.base.Content``, for one file and for folders: the same tests for all."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from common import bencode
from common.bitfield import Bitfield
from common.errors import FileFault
from common.metainfo import Metainfo, decode_metainfo
from node.content.base import Content
from node.content.shared_file import OpenFiles
from node.content.store import ContentStore
from node.download.checking import check_existing, check_part

LENGTH = 16_384
FOLDERS = {
    "one file": None,
    "a folder": [("a", 40_000), ("sub/b", 1), ("sub/deep/c", 9_000), ("empty", 0), ("d", 17_000)],
    "padding": [("a", 5_000), (None, LENGTH - 5_000), ("b", 33_000), ("empty", 0), (None, 16_152), ("c", 3)],
    "many small": [(f"f{number}", number % 700) for number in range(200)],
    "one in a folder": [("x/y/z", 50_000)],
}


def make_info(files: list[tuple[str | None, int]] | None, name: str = "N") -> tuple[Metainfo, bytes]:
    """A torrent and its content; a path None is padding."""
    rng = Random(3)
    if files is None:
        data = rng.randbytes(3 * LENGTH + 7)
        kind: dict[bytes, bencode.Value] = {b"length": len(data)}
    else:
        data, listed = b"", []
        for path, length in files:
            data += bytes(length) if path is None else rng.randbytes(length)
            entry: dict[bytes, bencode.Value] = {b"length": length}
            if path is None:
                entry |= {b"attr": b"p", b"path": [b".pad", str(length).encode()]}
            else:
                entry |= {b"path": [part.encode() for part in path.split("/")]}
            listed.append(entry)
        kind = {b"files": listed}  # type: ignore[dict-item]
    hashes = b"".join(hashlib.sha1(data[at : at + LENGTH]).digest() for at in range(0, len(data), LENGTH))
    info = kind | {b"name": name.encode(), b"piece length": LENGTH, b"pieces": hashes}
    return decode_metainfo(bencode.encode({b"info": info})), data


class Case:
    """A content of each kind, and its bytes."""

    def __init__(self, files: list[tuple[str | None, int]] | None, folder: Path) -> None:
        self.info, self.data = make_info(files)
        self.folder = folder
        self.open_files = OpenFiles()
        self.content = ContentStore(self.info, folder, self.open_files)

    def again(self) -> ContentStore:
        """The content as the next run finds it."""
        self.content.close()
        self.content = ContentStore(self.info, self.folder, self.open_files)
        return self.content

    def fill(self) -> None:
        self.content.open_part()
        self.content.write(0, [self.data])
        for piece in range(self.info.geometry.piece_count):
            self.content.mark_verified(piece)

    def read(self, start: int, end: int) -> bytes:
        buffer = bytearray(end - start)
        self.content.read_into(start, memoryview(buffer))
        return bytes(buffer)

    def check(self) -> Bitfield:
        part = self.content.open_part()
        held = check_part(part, self.info, 1, lambda done, size: None, threading.Event())
        self.content.set_verified(held)
        return held


@pytest.fixture(params=list(FOLDERS), ids=str)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    made = Case(FOLDERS[request.param], tmp_path)
    yield made
    made.content.close()
    made.open_files.close()


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def expected(info: Metainfo, data: bytes) -> dict[str, bytes]:
    files, start = {}, 0
    for entry in info.files:
        if not entry.padding:
            files["/".join(entry.path)] = data[start : start + entry.length]
        start += entry.length
    return files


def test_it_is_a_content(case: Case) -> None:
    content: Content = case.content
    assert content.have.count == 0


def test_from_the_first_byte_to_the_finished_files(case: Case, tmp_path: Path) -> None:
    case.fill()
    assert case.content.path == tmp_path / "N.part" and not case.content.is_finished
    assert case.content.finish() == tmp_path / "N" == case.content.path
    assert case.content.is_finished and case.content.is_satisfied and case.content.have.all()
    assert tree(tmp_path) == expected(case.info, case.data)
    assert case.read(5, len(case.data)) == case.data[5:]
    case.content.check_unchanged()


def test_any_range_in_any_order(case: Case) -> None:
    case.content.open_part()
    size, rng = len(case.data), Random(8)
    cuts = sorted({0, size, *(rng.randrange(size) for _ in range(20))})
    ranges = list(zip(cuts, cuts[1:], strict=False))
    rng.shuffle(ranges)
    for start, end in ranges:
        middle = (start + end) // 2
        case.content.write(start, [case.data[start:middle], memoryview(case.data)[middle:end]])
        assert case.read(start, end) == case.data[start:end]
    assert case.read(0, size) == case.data


def test_bytes_that_were_never_written_are_zeros_and_holes(case: Case) -> None:
    part = case.content.open_part()
    assert case.read(0, len(case.data)) == bytes(len(case.data))
    if hasattr(os, "SEEK_DATA"):
        assert part.is_hole(0, len(case.data)) and not part.is_hole(5, 5)


def test_ranges_outside(case: Case) -> None:
    case.content.open_part()
    size = len(case.data)
    for start, end in ((-1, 1), (size, size + 1), (0, size + 1)):
        with pytest.raises(ValueError):
            case.read(start, end)
        with pytest.raises(ValueError):
            case.content.write(start, [bytes(end - start)])
    case.read(size, size)


def test_the_next_run_finds_the_right_pieces(case: Case) -> None:
    case.content.open_part()
    case.content.write(0, [case.data])
    wrong = case.info.geometry.piece_count - 1
    start, end = case.info.geometry.piece_range(wrong)
    case.content.write(end - 1, [bytes([case.data[end - 1] ^ 1])])
    case.again()
    assert list(case.check().missing()) == [wrong]
    case.content.write(start, [case.data[start:end]])
    case.content.mark_verified(wrong)
    case.content.finish()
    assert tree(case.folder) == expected(case.info, case.data)


def test_finished_files_are_adopted_by_the_next_run(case: Case) -> None:
    case.fill()
    case.content.finish()
    content = case.again()
    assert content.is_in_place
    files = content.find_finished()
    assert check_existing(files, case.info, 1, lambda done, size: None, threading.Event()).all()
    content.adopt_files(files)
    assert content.is_finished and case.read(0, len(case.data)) == case.data
    sender, receiver = socket.socketpair()
    with sender, receiver:
        sender.settimeout(10)
        sent, got = 0, b""
        while sent < len(case.data):
            sent += content.send_to(sender, sent, min(len(case.data) - sent, 9_999))
            while len(got) < sent:
                got += receiver.recv(1 << 16)
    assert got == case.data


def test_a_download_in_another_process_is_kept_out(case: Case) -> None:
    case.content.open_part()
    other = ContentStore(case.info, case.folder, case.open_files)
    with pytest.raises(FileFault, match="in use by another download"):
        other.open_part()


def test_nothing_is_replaced_at_the_end(case: Case, tmp_path: Path) -> None:
    case.fill()
    entry = case.info.files[-1]
    path = tmp_path.joinpath(*entry.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"mine")
    with pytest.raises(FileFault, match="not overwritten"):
        case.content.finish()
    assert path.read_bytes() == b"mine"


def test_a_finished_file_that_changes_is_noticed(case: Case, tmp_path: Path) -> None:
    case.fill()
    case.content.finish()
    entry = max(case.info.files, key=lambda entry: entry.length * (not entry.padding))
    path = tmp_path.joinpath(*entry.path)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 10**9))
    with pytest.raises(FileFault, match="changed"):
        case.content.check_unchanged()
    with pytest.raises(FileFault, match="changed"):
        case.read(0, len(case.data))


def test_closed_content_fails_and_keeps_its_bytes(case: Case) -> None:
    case.fill()
    case.content.close()
    assert case.content.have.count == 0
    with pytest.raises(FileFault):
        case.read(0, 1)
    with pytest.raises(FileFault):
        case.content.write(0, [b"x"])
    case.again()
    assert case.check().all()


def test_readers_go_on_while_the_content_is_finished(case: Case) -> None:
    case.fill()
    stop, failures = threading.Event(), []

    def read_on() -> None:
        while not stop.is_set():
            try:
                assert case.read(0, len(case.data)) == case.data
            except BaseException as error:
                failures.append(error)
                return
            stop.wait(0.001)  # let the interpreter run the thread that finishes

    threads = [threading.Thread(target=read_on) for _ in range(2)]
    for thread in threads:
        thread.start()
    case.content.finish()
    case.read(0, 9)
    stop.set()
    for thread in threads:
        thread.join(10)
    assert failures == []


def test_open_descriptors_are_bounded(tmp_path: Path) -> None:
    case = Case([(f"d{number % 7}/f{number}", 300) for number in range(2_000)], tmp_path)
    before = len(os.listdir("/dev/fd"))
    case.fill()
    assert len(os.listdir("/dev/fd")) <= before + 20
    case.content.finish()
    assert case.read(0, len(case.data)) == case.data
    assert len(os.listdir("/dev/fd")) <= before + 70
    assert tree(tmp_path) == expected(case.info, case.data)
    case.open_files.close()
