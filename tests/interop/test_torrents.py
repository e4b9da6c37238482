"""Torrents are portable: libtorrent and aria2 read ours, and we read libtorrent's."""

from __future__ import annotations

import subprocess
from pathlib import Path
from random import Random
from typing import Any

import pytest

from node.content.torrent_file import create_torrent, parse_torrent_file
from tests.interop.others import INTEROP

pytestmark = INTEROP

ANNOUNCE = "http://127.0.0.1:12345/announce"
SIZES = [1, 32 << 10, (32 << 10) + 1, 3_000_000]


def file_of(folder: Path, size: int) -> Path:
    path = folder / "naïve file.bin"
    path.write_bytes(Random(size).randbytes(size))
    return path


@pytest.mark.parametrize("size", SIZES)
def test_libtorrent_reads_ours_as_we_do(libtorrent: Any, tmp_path: Path, size: int) -> None:
    ours = create_torrent(file_of(tmp_path, size), tmp_path / "x.torrent", ANNOUNCE)
    theirs = libtorrent.torrent_info(str(tmp_path / "x.torrent"))
    assert theirs.info_hashes().v1.to_bytes() == ours.info_hash
    assert theirs.name() == ours.name
    assert theirs.total_size() == ours.size
    assert theirs.piece_length() == ours.piece_length
    assert theirs.num_pieces() == ours.geometry.piece_count
    assert b"".join(theirs.hash_for_piece(index) for index in range(theirs.num_pieces())) == ours.pieces
    assert [theirs.piece_size(index) for index in range(theirs.num_pieces())] == [
        ours.geometry.piece_length_of(index) for index in range(ours.geometry.piece_count)
    ]
    assert [tracker.url for tracker in theirs.trackers()] == [ANNOUNCE]


@pytest.mark.parametrize("size", SIZES)
def test_we_read_libtorrents_as_it_does(libtorrent: Any, tmp_path: Path, size: int) -> None:
    path = file_of(tmp_path, size)
    storage = libtorrent.file_storage()
    libtorrent.add_files(storage, str(path))
    creator = libtorrent.create_torrent(storage, 32 << 10, libtorrent.create_torrent.v1_only)
    creator.add_tracker(ANNOUNCE)
    creator.set_comment("a comment")
    libtorrent.set_piece_hashes(creator, str(tmp_path))
    theirs = libtorrent.bencode(creator.generate())
    (tmp_path / "theirs.torrent").write_bytes(theirs)
    parsed = parse_torrent_file(tmp_path / "theirs.torrent")
    info = libtorrent.torrent_info(libtorrent.bdecode(theirs))
    assert parsed.info_hash == info.info_hashes().v1.to_bytes()
    assert (parsed.name, parsed.size, parsed.announce) == (path.name, size, ANNOUNCE)
    ours = create_torrent(path, tmp_path / "ours.torrent", ANNOUNCE)
    assert (ours.piece_length, ours.pieces) == (parsed.piece_length, parsed.pieces)


def test_we_read_a_folder_that_libtorrent_made(libtorrent: Any, tmp_path: Path) -> None:
    folder = tmp_path / "course"
    (folder / "week 1").mkdir(parents=True)
    (folder / "week 1" / "slides.pdf").write_bytes(bytes(50_000))
    (folder / "readme.txt").write_bytes(b"hello")
    storage = libtorrent.file_storage()
    libtorrent.add_files(storage, str(folder))
    creator = libtorrent.create_torrent(storage, 32 << 10, libtorrent.create_torrent.v1_only)
    libtorrent.set_piece_hashes(creator, str(tmp_path))
    (tmp_path / "course.torrent").write_bytes(libtorrent.bencode(creator.generate()))
    parsed = parse_torrent_file(tmp_path / "course.torrent")
    assert not parsed.is_single_file
    assert {entry.path: entry.length for entry in parsed.files if "pad" not in entry.path[1]} == {
        ("course", "readme.txt"): 5,
        ("course", "week 1", "slides.pdf"): 50_000,
    }


@pytest.mark.parametrize("size", [0, *SIZES])
def test_aria2_reads_ours(aria2: str, tmp_path: Path, size: int) -> None:
    ours = create_torrent(file_of(tmp_path, size), tmp_path / "x.torrent", ANNOUNCE)
    ran = subprocess.run(
        [aria2, "--no-conf", "-S", str(tmp_path / "x.torrent")],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=True,
        env={"LC_ALL": "C.UTF-8", "HOME": str(tmp_path)},
    )
    assert f"Info Hash: {ours.info_hash_hex}" in ran.stdout
    assert f"Name: {ours.name}" in ran.stdout
    assert f"The Number of Pieces: {ours.geometry.piece_count}" in ran.stdout
    assert f"({size:,})" in ran.stdout
    assert ANNOUNCE in ran.stdout
