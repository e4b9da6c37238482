"""One content from its first byte to the finished file, and its readers' view meanwhile."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from common.bitfield import Bitfield
from common.errors import FileFault
from common.metainfo import decode_metainfo, encode_metainfo
from node.content.lookalike import find_lookalike
from node.content.shared_file import MAX_OPEN_FILES, OpenFiles, SharedFile
from node.content.store import ContentStore

LENGTH = 16_384
BYTES = Random(5).randbytes(3 * LENGTH + 7)
HASHES = b"".join(hashlib.sha1(BYTES[at : at + LENGTH]).digest() for at in range(0, len(BYTES), LENGTH))
INFO = decode_metainfo(encode_metainfo("a.bin", len(BYTES), LENGTH, HASHES, ""))


@pytest.fixture
def open_files() -> Iterator[OpenFiles]:
    made = OpenFiles()
    yield made
    made.close()


@pytest.fixture
def content(tmp_path: Path, open_files: OpenFiles) -> Iterator[ContentStore]:
    made = ContentStore(INFO, tmp_path, open_files)
    yield made
    made.close()


def read(content: ContentStore, start: int, end: int) -> bytes:
    buffer = bytearray(end - start)
    content.read_into(start, memoryview(buffer))
    return bytes(buffer)


def test_from_the_first_byte_to_the_finished_file(content: ContentStore, tmp_path: Path) -> None:
    assert content.path == tmp_path / "a.bin.part" and not content.is_finished
    content.open_part()
    content.write(0, [BYTES[:LENGTH], BYTES[LENGTH:]])
    for piece in range(4):
        content.mark_verified(piece)
    assert content.finish() == content.path == tmp_path / "a.bin"
    assert content.is_finished and content.have.all()
    assert read(content, 5, len(BYTES)) == BYTES[5:]
    content.check_unchanged()


def test_have_is_a_snapshot(content: ContentStore) -> None:
    content.open_part()
    before = content.have
    content.mark_verified(2)
    assert before.count == 0 and list(content.have) == [2]
    assert content.have is content.have
    pieces = Bitfield(4)
    pieces.set(0)
    content.set_verified(pieces)
    pieces.set(1)
    assert list(content.have) == [0]


def test_a_reader_goes_on_while_the_content_is_finished(content: ContentStore) -> None:
    content.open_part()
    content.write(0, [BYTES])
    stop, failures, reads = threading.Event(), [], 0

    def read_on() -> None:
        nonlocal reads
        while not stop.is_set():
            try:
                assert read(content, LENGTH, 2 * LENGTH) == BYTES[LENGTH : 2 * LENGTH]
                reads += 1
            except BaseException as error:
                failures.append(error)

    reader = threading.Thread(target=read_on)
    reader.start()
    while not reads and not failures:
        stop.wait(0.001)
    content.finish()
    done = reads
    while reads == done and not failures:
        stop.wait(0.001)
    stop.set()
    reader.join()
    allowed = "closed" if os.name == "nt" else None  # Windows renames no open file
    assert [error for error in failures if not (allowed and allowed in str(error))] == []


def test_a_closed_part_serves_nothing_and_keeps_its_bytes(content: ContentStore, tmp_path: Path) -> None:
    content.open_part()
    content.write(0, [b"kept"])
    content.mark_verified(0)
    content.close()
    content.mark_verified(1)  # by a hashing thread that comes late
    assert content.have.count == 0
    with pytest.raises(FileFault, match="a.bin.part is closed"):
        read(content, 0, 1)
    with pytest.raises(FileFault, match="a.bin.part is closed"):
        content.write(0, [b"x"])
    assert (tmp_path / "a.bin.part").read_bytes()[:4] == b"kept"
    content.open_part()
    assert read(content, 0, 4) == b"kept"


def test_a_complete_file_is_adopted_wherever_it_is(content: ContentStore, tmp_path: Path) -> None:
    path = tmp_path / "elsewhere"
    path.write_bytes(BYTES)
    content.adopt(SharedFile.open(path, len(BYTES)))
    assert content.path == path and content.have.all()
    assert read(content, 0, len(BYTES)) == BYTES


def test_a_file_that_changed_while_it_was_hashed_is_not_adopted(
    content: ContentStore, tmp_path: Path
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(BYTES)
    file = SharedFile.open(path)
    os.truncate(path, 3)
    with pytest.raises(FileFault, match="changed"):
        content.adopt(file)
    assert not content.is_finished


def test_a_finished_file_that_changed_is_not_read(content: ContentStore, tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(BYTES)
    content.adopt(SharedFile.open(path))
    os.utime(path, ns=(0, 0))
    with pytest.raises(FileFault, match="changed"):
        content.check_unchanged()
    with pytest.raises(FileFault, match="changed"):
        read(content, 0, 1)


def test_many_contents_keep_few_files_open(tmp_path: Path, open_files: OpenFiles) -> None:
    contents = []
    for number in range(MAX_OPEN_FILES + 20):
        path = tmp_path / str(number)
        path.write_bytes(BYTES)
        content = ContentStore(INFO, tmp_path, open_files)
        content.adopt(SharedFile.open(path))
        contents.append(content)
    for content in contents:
        assert read(content, 3, 9) == BYTES[3:9]
    assert len(open_files._files) == MAX_OPEN_FILES
    assert read(contents[0], 0, 2) == BYTES[:2]


def test_a_name_with_accents_is_found_composed_or_decomposed(tmp_path: Path, open_files: OpenFiles) -> None:
    composed, decomposed = "caf\u00e9.pdf", "cafe\u0301.pdf"
    (tmp_path / decomposed).write_bytes(BYTES)
    if (tmp_path / composed).exists():
        pytest.skip("this file system takes both for one name")
    info = decode_metainfo(encode_metainfo(composed, len(BYTES), LENGTH, HASHES, ""))
    assert ContentStore(info, tmp_path, open_files).final_path == tmp_path / decomposed
    assert find_lookalike(tmp_path / composed) == tmp_path / decomposed
    (tmp_path / composed).write_bytes(b"")
    assert find_lookalike(tmp_path / composed) == tmp_path / composed
    assert find_lookalike(tmp_path / "tea.pdf") is None
    assert find_lookalike(tmp_path / "nowhere" / composed) is None
