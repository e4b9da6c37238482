"""A part file: every byte in its place, with any writer and any order."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from common.errors import FileFault
from common.metainfo import Metainfo
from node.content import positional_file
from node.content.part_file import PartFile
from tests.node.content.content_case import read

SIZE = 100_000

MakeMetainfo = Callable[..., Metainfo]
Raising = Callable[[int], Callable[..., Any]]


def test_a_new_part_is_as_large_as_the_content_and_zero(part: PartFile, tmp_path: Path) -> None:
    assert part.path == tmp_path / "x.bin.part" and part.final_path == tmp_path / "x.bin"
    assert part.path.stat().st_size == SIZE
    assert read(part, 0, SIZE) == bytes(SIZE)


def test_what_is_written_in_any_order_and_shape_is_there(part: PartFile) -> None:
    content = Random(1).randbytes(SIZE)
    offsets = [*range(0, SIZE, 7_216)]
    Random(2).shuffle(offsets)
    for number, offset in enumerate(offsets):
        segment = memoryview(content)[offset : offset + 7_216]
        shapes: list[list[positional_file.Buffer]] = [
            [segment],
            [segment[:10], segment[10:]],
            [bytes(segment[:1]), bytearray(segment[1:]), b""],
        ]
        part.write(offset, shapes[number % 3])
    assert read(part, 0, SIZE) == content
    assert read(part, 77, 99_001) == content[77:99_001]
    assert part.finish().read_bytes() == content


def test_more_buffers_than_the_system_takes_at_once(part: PartFile) -> None:
    content = Random(3).randbytes(5_000)
    part.write(100, [content[at : at + 2] for at in range(0, 5_000, 2)])
    assert read(part, 100, 5_100) == content
    part.write(0, [])
    assert read(part, 100, 5_100) == content


def test_short_writes_are_completed(part: PartFile, monkeypatch: pytest.MonkeyPatch) -> None:
    content = Random(4).randbytes(1_000)
    real_pwrite, real_write = os.pwrite, os.write
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: real_pwrite(fd, bytes(data)[:7], offset))
    monkeypatch.setattr(
        os, "pwritev", lambda fd, group, offset: real_pwrite(fd, b"".join(group)[:333], offset)
    )
    monkeypatch.setattr(os, "write", lambda fd, data: real_write(fd, bytes(data)[:7]))
    part.write(10, [content])
    part.write(5_000, [content[:300], content[300:600], b"", content[600:]])
    monkeypatch.undo()
    assert read(part, 10, 1_010) == content
    assert read(part, 5_000, 6_000) == content
    assert read(part, 6_000, 7_000) == bytes(1_000)


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (SIZE, 1), (SIZE - 1, 2), (1 << 60, 1)])
def test_nothing_is_written_or_read_outside(part: PartFile, offset: int, length: int) -> None:
    with pytest.raises(ValueError, match="range"):
        part.write(offset, [bytes(length)])
    with pytest.raises(ValueError, match="range"):
        part.read_into(offset, memoryview(bytearray(length)))
    assert part.path.stat().st_size == SIZE


def test_threads_write_and_read_side_by_side(part: PartFile) -> None:
    content = Random(5).randbytes(SIZE)
    wrong: list[int] = []

    def work(first: int) -> None:
        for start in range(first * 500, SIZE, 2_000):
            part.write(start, [content[start : start + 200], content[start + 200 : start + 500]])
            if read(part, start, start + 500) != content[start : start + 500]:
                wrong.append(start)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert part.finish().read_bytes() == content


def test_closing_keeps_the_part_and_opening_goes_on(
    any_system: None, tmp_path: Path, metainfo_of: MakeMetainfo
) -> None:
    part = PartFile.open(tmp_path, metainfo_of())
    part.write(50_000, [b"so far"])
    part.close()
    part.close()
    again = PartFile.open(tmp_path, metainfo_of())
    assert read(again, 50_000, 50_006) == b"so far"
    again.close()


def test_after_closing_every_call_is_a_fault(part: PartFile) -> None:
    part.close()
    for call in (
        lambda: part.write(0, [b"x"]),
        lambda: read(part, 0, 1),
        lambda: part.is_hole(0, 1),
        part.finish,
    ):
        with pytest.raises(FileFault, match="x.bin.part"):
            call()


@pytest.mark.skipif(not positional_file.HAS_POSITIONAL, reason="this system has no pread and pwrite")
def test_a_write_under_way_keeps_the_descriptor_from_being_another_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metainfo_of: MakeMetainfo
) -> None:
    part = PartFile.open(tmp_path, metainfo_of())
    real = os.pwrite
    others: list[int] = []

    def pwrite(number: int, data: bytes, offset: int) -> int:
        part.close()
        others.append(os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT))
        return real(number, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    part.write(0, [b"mine"])
    os.close(others[0])
    assert (tmp_path / "other").read_bytes() == b""
    assert part.path.read_bytes()[:4] == b"mine"


def test_an_empty_file(any_system: None, tmp_path: Path, metainfo_of: MakeMetainfo) -> None:
    part = PartFile.open(tmp_path, metainfo_of(0))
    part.write(0, [b""])
    assert read(part, 0, 0) == b"" and not part.is_hole(0, 0)
    assert part.finish().read_bytes() == b""
    assert not part.path.exists()


def test_holes_are_known_where_the_system_knows_them(tmp_path: Path, metainfo_of: MakeMetainfo) -> None:
    part = PartFile.open(tmp_path, metainfo_of(64 << 20))
    part.write(32 << 20, [b"data"])
    try:
        assert not part.is_hole(0, 64 << 20)
        assert not part.is_hole(32 << 20, (32 << 20) + 1)
        if not part.is_hole(0, 1 << 20):
            pytest.skip("this file system does not tell holes")
        assert part.is_hole(48 << 20, 64 << 20)
    finally:
        part.close()


def test_what_is_allocated_is_what_was_written_not_what_is_promised(part: PartFile) -> None:
    assert part.allocated < SIZE
    part.write(0, [Random(5).randbytes(SIZE)])
    os.fsync(part._file._descriptor.number)  # type: ignore[union-attr]  # some systems allocate late
    assert part.allocated == SIZE
