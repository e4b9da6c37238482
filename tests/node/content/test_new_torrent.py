"""A torrent of a file or folder: it describes exactly the hashed files."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from common.errors import FileFault
from common.metainfo import decode_metainfo
from common.torrent_encoding import TorrentNotes
from node.content.finished_files import FinishedFiles
from node.content.local_files import LocalFile, LocalFiles
from node.content.new_torrent import NewTorrent
from node.content.shared_file import OpenFiles, SharedFile
from node.content.torrent_file import create_torrent
from tests.node.content.content_case import write_files

PIECE = 16 << 10
SIZES = {"a": PIECE - 1, "b/empty": 0, "b/one": 1, "b/two": 3 * PIECE + 5, "c": 2 * PIECE}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_files(tmp_path / "course", SIZES)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_folder_is_hashed_across_its_files(folder: Path, threads: int) -> None:
    content = b"".join((folder / name).read_bytes() for name in SIZES)
    notes = TorrentNotes("http://a/", (("http://a/", "http://b/"), ("udp://c:1",)), True, "ü", "us", 7)
    progress: list[int] = []
    data = NewTorrent.plan(folder, PIECE).encode(notes, threads, lambda done, size: progress.append(done))
    info = decode_metainfo(data)
    assert info.name == "course" and not info.is_single_file
    assert {"/".join(entry.path[1:]): entry.length for entry in info.files} == SIZES
    assert info.pieces == b"".join(
        hashlib.sha1(content[at : at + PIECE]).digest() for at in range(0, len(content), PIECE)
    )
    assert (info.tiers, info.private, info.comment) == (notes.tiers, True, "ü")
    assert (info.announce, info.created_by, info.creation_date) == ("http://a/", "us", 7)
    assert info.warnings == ()
    assert progress[-1] == len(content)


def test_a_single_file_is_encoded_as_the_node_does_when_it_shares(folder: Path) -> None:
    created = create_torrent(folder / "c", folder.parent / "c.torrent", "http://a/")
    data = NewTorrent.plan(folder / "c").encode(TorrentNotes("http://a/", created_by="classroom-swarm"), 2)
    assert (folder.parent / "c.torrent").read_bytes() == data
    assert created.is_single_file


def test_a_file_that_changes_meanwhile_is_noticed(folder: Path) -> None:
    planned = NewTorrent.plan(folder, PIECE)

    def change_last_file(done: int, size: int) -> None:
        if done == size:
            (folder / "c").write_bytes(bytes(2 * PIECE))
            os.utime(folder / "c", ns=(1, 1))

    with pytest.raises(FileFault, match="c changed while it was shared"):
        planned.encode(TorrentNotes(), 1, change_last_file)
    with pytest.raises(FileFault, match="c changed while it was shared"):
        planned.encode(TorrentNotes(), 1)
    (folder / "c").unlink()
    with pytest.raises(FileFault, match="c: no such file"):
        planned.encode(TorrentNotes(), 2)


def test_once_cancelled_nothing_is_encoded(folder: Path) -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(FileFault, match="interrupted"):
        NewTorrent.plan(folder).encode(TorrentNotes(), 2, None, cancelled)


def test_a_torrent_that_no_client_could_read_is_refused_before_hashing(tmp_path: Path) -> None:
    sparse = tmp_path / "large.bin"
    with sparse.open("wb") as file:
        file.truncate((1 << 21) * PIECE + 1)
    with pytest.raises(FileFault, match="too large for a torrent with pieces of 16384 bytes: 2097153 pieces"):
        NewTorrent.plan(sparse, PIECE)
    assert NewTorrent.plan(sparse).geometry.piece_length > PIECE


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_names_that_some_system_cannot_store(folder: Path) -> None:
    (folder / "What?").write_bytes(b"x")
    (folder / "A").write_bytes(b"y")
    (folder / os.fsdecode(b"\xff")).write_bytes(b"z")
    info = decode_metainfo(NewTorrent.plan(folder).encode(TorrentNotes(), 1))
    assert len(info.files) == len(SIZES) + 3
    assert sum(bool(entry.renamed_from) for entry in info.files) == 3
    with pytest.raises(FileFault, match=r"What\? cannot be shared: .*Windows"):
        NewTorrent.plan(folder / "What?")


def test_padding_reads_as_zeros(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"aaa")
    file = SharedFile.open(tmp_path / "a")
    file.close()
    content = LocalFiles(
        [LocalFile(3, tmp_path / "a", file.identity), LocalFile(2), LocalFile(3, file.path, file.identity)]
    )
    buffer = bytearray(b"x" * 6)
    assert content.read_into(1, memoryview(buffer)) == 6
    assert buffer == b"aa\0\0aa" and content.size == 8
    with pytest.raises(ValueError):
        content.read_into(3, memoryview(buffer))
    content.close()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_a_shared_folder_keeps_its_names_even_if_other_systems_could_not_store_them(folder: Path) -> None:
    (folder / "What?").write_bytes(b"what")
    planned = NewTorrent.plan(folder, 1 << 20, follow_links=False)
    info = decode_metainfo(planned.encode(TorrentNotes(), 1))
    open_files = OpenFiles()
    found = FinishedFiles.find(info, folder, open_files)
    adopted = FinishedFiles(info, folder, [file.identity for file in planned.files], open_files)
    for files in (found, adopted):
        content = bytearray(info.size)
        files.read_into(0, memoryview(content))
        assert hashlib.sha1(content).digest() == info.pieces
        files.check_all_unchanged()
    open_files.close()


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_a_link_is_hashed_but_not_shared(folder: Path) -> None:
    (folder / "link").symlink_to("a")
    assert len(NewTorrent.plan(folder).files) == len(SIZES) + 1
    with pytest.raises(FileFault, match="link is a link; only plain files are shared"):
        NewTorrent.plan(folder, follow_links=False)


def test_more_files_than_can_be_open_are_read_by_several_threads(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"{number:03}").write_bytes(b"%03d" % number * 100)
    info = decode_metainfo(NewTorrent.plan(tmp_path, PIECE).encode(TorrentNotes(), 4))
    content = b"".join(b"%03d" % number * 100 for number in range(300))
    assert info.piece_hash(1) == hashlib.sha1(content[PIECE : 2 * PIECE]).digest()
