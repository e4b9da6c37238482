"""The files that are moved."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import machine
from bench.content import BLOCK, HEADER, REPEATED, make_content, make_repeated_content, same, touch_memory
from node.content.torrent_file import parse_torrent_file

SIZE = 2 * BLOCK + 5


@pytest.mark.parametrize("make", [make_content, make_repeated_content])
def test_a_file_has_its_size_and_a_torrent(make: object, tmp_path: Path) -> None:
    assert callable(make)
    content = make(tmp_path, SIZE)
    metainfo = parse_torrent_file(content.torrent)
    assert content.path.stat().st_size == content.size == metainfo.size == SIZE
    assert metainfo.name == content.path.name
    assert len({metainfo.piece_hash(index) for index in range(metainfo.geometry.piece_count)}) > 60


def test_repetitions_differ_in_their_header_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.content.REPEATED", 2 * BLOCK)
    assert REPEATED % BLOCK == 0
    data = make_repeated_content(tmp_path, 3 * BLOCK).path.read_bytes()
    assert data[HEADER:BLOCK] == data[2 * BLOCK + HEADER :]
    assert data[:HEADER] != data[2 * BLOCK : 2 * BLOCK + HEADER]
    assert data[HEADER:BLOCK] != data[BLOCK + HEADER : 2 * BLOCK]


@pytest.mark.parametrize(
    ("other", "equal"), [(b"", True), (b"x", False), (b"\0", False)], ids=["same", "changed", "longer"]
)
def test_files_are_compared_to_the_last_byte(other: bytes, equal: bool, tmp_path: Path) -> None:
    data = bytes(BLOCK + 10)
    (tmp_path / "a").write_bytes(data)
    changed = data[:-1] + other if other == b"x" else data + other
    (tmp_path / "b").write_bytes(changed)
    assert same(tmp_path / "a", tmp_path / "b") is equal


@pytest.mark.parametrize(("kind", "written"), [("tmpfs", 2 * BLOCK + 5), ("ext4", 0)])
def test_memory_is_touched_where_files_are_in_memory_and_nothing_remains(
    kind: str, written: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []

    class Counted:
        def __init__(self, **where: object) -> None:
            assert where == {"dir": tmp_path, "buffering": 0}

        def __enter__(self) -> Counted:
            return self

        def __exit__(self, *why: object) -> None:
            pass

        def write(self, block: memoryview) -> None:
            sizes.append(len(block))

    monkeypatch.setattr(machine, "file_system", lambda folder: kind)
    monkeypatch.setattr("bench.content.tempfile.TemporaryFile", Counted)
    touch_memory(tmp_path, 2 * BLOCK + 5)
    assert sum(sizes) == written
    monkeypatch.undo()
    touch_memory(tmp_path, BLOCK)
    assert not list(tmp_path.iterdir())
