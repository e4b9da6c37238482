"""The pieces a node serves of its torrents, and the end of serving."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from common.errors import CommandError, FileFault, TransientFileFault
from common.messages import OwnedFile
from common.metainfo import encode_metainfo
from node import events
from node.content import shared_file
from node.content.shared_file import OpenFiles, SharedFile
from node.content.store import ContentStore
from node.content.torrent_file import TorrentFile, create_torrent
from node.download.coordinator import DownloadPhase
from node.torrent import Torrent, TorrentState
from node.torrent_table import TorrentTable

LENGTH = 16_384
BYTES = bytes(range(256)) * 256  # four pieces
HASHES = b"".join(hashlib.sha1(BYTES[at : at + LENGTH]).digest() for at in range(0, len(BYTES), LENGTH))

Share = Callable[..., Path]


@pytest.fixture
def heard() -> list[events.Event]:
    return []


@pytest.fixture
def withdrawn() -> list[OwnedFile]:
    return []


@pytest.fixture
def open_files() -> Iterator[OpenFiles]:
    made = OpenFiles()
    yield made
    made.close()


@pytest.fixture
def table() -> TorrentTable:
    return TorrentTable()


@pytest.fixture
def share(
    table: TorrentTable,
    tmp_path: Path,
    open_files: OpenFiles,
    heard: list[events.Event],
    withdrawn: list[OwnedFile],
) -> Share:
    """``share(name, content)`` as ``send`` does; without content the file is shared again as it is."""

    def do(name: str, content: bytes | None = None, private: bool = False) -> Path:
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        torrent = path.with_name(name + ".torrent")
        info = create_torrent(path, torrent, "http://127.0.0.1:1/announce")
        if private:
            data = b"d8:announce27:http://127.0.0.1:1/announce4:info" + info.raw_info[:-1] + b"7:privatei1eee"
            torrent.write_bytes(data)
        file = TorrentFile.read(torrent)
        store = ContentStore(file.info, tmp_path, open_files)
        store.adopt(SharedFile.open(path))
        table.add(Torrent(store, file, heard.append, withdrawn.append))
        return path

    return do


@pytest.fixture
def unfinished(
    table: TorrentTable,
    tmp_path: Path,
    open_files: OpenFiles,
    heard: list[events.Event],
    withdrawn: list[OwnedFile],
) -> Iterator[Torrent]:
    """A torrent of four pieces of 16 KiB with a running download."""
    file = TorrentFile(tmp_path / "a.bin.torrent", encode_metainfo("a.bin", len(BYTES), LENGTH, HASHES, ""))
    content = ContentStore(file.info, tmp_path, open_files)
    content.open_part()
    torrent = Torrent(content, file, heard.append, withdrawn.append)
    download: Any = SimpleNamespace(error=None, over=False, is_checking=False)
    torrent.download = download
    table.add(torrent)
    yield torrent
    content.close()


def verify(torrent: Torrent, piece: int) -> None:
    torrent.content.write(piece * LENGTH, [BYTES[piece * LENGTH : (piece + 1) * LENGTH]])
    torrent.content.mark_verified(piece)


def read(torrent: Torrent, start: int, end: int) -> bytes:
    buffer = bytearray(end - start)
    torrent.read_into(start, memoryview(buffer))
    return bytes(buffer)


def only(table: TorrentTable) -> Torrent:
    (torrent,) = table.all()
    return torrent


def states(table: TorrentTable) -> list[str]:
    return [torrent.row(0).state for torrent in table.all()]


def stops(heard: list[events.Event]) -> int:
    return sum(isinstance(event, events.SharingStopped) for event in heard)


# ---- finished files


def test_a_shared_file_is_served_announced_and_listed(table: TorrentTable, share: Share) -> None:
    path = share("a.bin", b"hello")
    torrent = only(table)
    assert table.is_sharing() and table[torrent.info.info_hash] is torrent
    assert torrent.state is TorrentState.SEEDING and torrent.have.all()
    (file,) = table.owned_files(())
    assert (file.filename, file.size, file.complete) == ("a.bin", 5, True)
    row = torrent.row(7)
    assert (row.state, row.uploaded, row.path, row.complete) == ("sharing", 7, str(path), True)


def test_a_file_that_the_user_stopped_is_withdrawn_and_not_taken_for_a_changed_one(
    table: TorrentTable, share: Share, withdrawn: list[OwnedFile]
) -> None:
    share("a.bin", b"hello")
    torrent = only(table)
    announced = table.owned_files(())
    assert torrent.stop() and not torrent.stop()
    assert withdrawn == announced and table.owned_files(()) == []
    assert torrent.info.info_hash not in table and list(table) == [] and len(table) == 0
    assert states(table) == ["stopped: you stopped it"]


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(b"HELLO"),
        lambda path: os.truncate(path, 2),
        lambda path: path.unlink(),
        lambda path: (path.with_name("new").write_bytes(b"hello"), os.replace(path.with_name("new"), path)),
    ],
    ids=["overwritten", "truncated", "deleted", "replaced"],
)
def test_a_file_that_changed_is_not_served_any_more(
    table: TorrentTable, share: Share, heard: list[events.Event], change: Callable[[Path], object]
) -> None:
    path = share("a.bin", b"hello")
    os.utime(path, ns=(0, 0))  # a change within one tick of the file system's clock would not show
    share("a.bin")
    change(path)
    table.check_files()
    table.check_files()
    assert not table.is_sharing() and not only(table).is_served
    assert table.owned_files(()) == []
    assert states(table)[0].startswith("stopped: ")
    assert only(table).state is TorrentState.FAILED
    assert stops(heard) == 1


def test_a_change_that_a_read_notices_first_is_told_once(
    table: TorrentTable, share: Share, heard: list[events.Event]
) -> None:
    path = share("a.bin", b"hello")
    os.utime(path, ns=(0, 0))
    for _ in range(2):
        with pytest.raises(FileFault):
            read(only(table), 0, 5)
    table.check_files()
    assert stops(heard) == 1 and not table.is_sharing()


def test_a_changed_file_that_is_shared_again_is_read_again(table: TorrentTable, share: Share) -> None:
    path = share("a.bin", b"hello")
    assert read(only(table), 0, 5) == b"hello"  # it is open now
    os.utime(path, ns=(0, 0))
    table.check_files()
    assert not table.is_sharing()
    share("a.bin")
    assert only(table).is_served and read(only(table), 0, 5) == b"hello"


def test_without_reliable_inodes_size_and_time_must_do(
    table: TorrentTable, share: Share, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_file, "_HAS_INODES", False)
    path = share("a.bin", b"hello")
    status = os.stat(path)
    same = path.with_name("same")
    same.write_bytes(b"hello")
    os.utime(same, ns=(status.st_mtime_ns, status.st_mtime_ns))
    os.replace(same, path)  # on Windows, an open file and its path seem to be two files
    table.check_files()
    assert table.is_sharing()
    os.utime(path, ns=(0, 0))
    table.check_files()
    assert not table.is_sharing()


def test_too_many_open_files_do_not_end_sharing(
    table: TorrentTable, share: Share, monkeypatch: pytest.MonkeyPatch
) -> None:
    share("a.bin", b"hello")

    def no_more(*args: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(shared_file.os, "open", no_more)
        with pytest.raises(TransientFileFault):
            read(only(table), 0, 5)
    assert read(only(table), 0, 5) == b"hello" and table.is_sharing()


def test_a_private_torrent_is_told_to_its_own_trackers_only(table: TorrentTable, share: Share) -> None:
    """BEP 27."""
    share("a.bin", b"hello", private=True)
    assert table.owned_files(["http://127.0.0.1:2"]) == []
    assert len(table.owned_files(["http://127.0.0.1:2", "http://127.0.0.1:1"])) == 1


# ---- unfinished ones


def test_an_unfinished_file_is_served_from_its_first_piece_on(
    table: TorrentTable, unfinished: Torrent
) -> None:
    info_hash = unfinished.info.info_hash
    assert table.owned_files(()) == [] and not table.is_sharing()
    assert table.get(info_hash) is None and list(table) == [] and len(table) == 0
    verify(unfinished, 2)
    assert table.get(info_hash) is unfinished and list(table) == [info_hash]
    assert unfinished.state is TorrentState.DOWNLOADING
    (file,) = table.owned_files(())
    assert (file.filename, file.size, file.complete) == ("a.bin", 65536, False)
    row = unfinished.row(0)
    assert (row.complete, row.state, row.path) == (False, "sharing", str(unfinished.content.path))
    table.check_files()  # it is written to all the time, and no worse for it
    assert table.owned_files(()) == [file]
    assert read(unfinished, 2 * LENGTH, 3 * LENGTH) == BYTES[2 * LENGTH : 3 * LENGTH]


def test_a_finished_download_goes_on_being_served(
    table: TorrentTable, unfinished: Torrent, heard: list[events.Event]
) -> None:
    for piece in range(4):
        verify(unfinished, piece)
    unfinished.content.finish()
    assert unfinished.state is TorrentState.SEEDING
    assert read(unfinished, 0, 10) == BYTES[:10]
    (file,) = table.owned_files(())
    assert file.complete
    assert heard == []


def test_a_download_that_ended_is_not_served_any_more(table: TorrentTable, unfinished: Torrent) -> None:
    verify(unfinished, 0)
    assert table.is_sharing()
    unfinished.content.close()
    assert table.owned_files(()) == [] and not table.is_sharing()
    with pytest.raises(TransientFileFault):
        read(unfinished, 0, 1)


class FakeDownload:
    """A download that ends when it is cancelled."""

    def __init__(self) -> None:
        self.error, self.over, self.is_checking = None, False, False
        self.cancelled_to: list[DownloadPhase] = []
        self.selections = 0
        self.done = threading.Event()

    def cancel(self, to: DownloadPhase = DownloadPhase.CANCELLED) -> None:
        self.cancelled_to.append(to)
        self.over = True
        self.done.set()

    def on_selection(self) -> None:
        self.selections += 1


def test_a_paused_file_is_not_served_until_it_is_resumed(
    table: TorrentTable, share: Share, withdrawn: list[OwnedFile]
) -> None:
    share("a.bin", BYTES)
    torrent = only(table)
    assert torrent.pause()
    with pytest.raises(CommandError, match=r"^a\.bin is paused already$"):
        torrent.pause()
    assert torrent.state is TorrentState.PAUSED and states(table) == ["paused"]
    assert not torrent.is_served and not table.is_sharing() and list(table) == []
    assert [file.filename for file in withdrawn] == ["a.bin"]
    announced: list[OwnedFile] = []
    swarm: Any = SimpleNamespace(announce=announced.append)
    parts: Any = None
    assert torrent.resume(swarm, parts) is None
    assert torrent.state is TorrentState.SEEDING and table.is_sharing() and len(table) == 1
    assert [file.complete for file in announced] == [True]
    with pytest.raises(CommandError, match="is not paused"):
        torrent.resume(swarm, parts)


def test_a_paused_download_ends_and_begins_again(
    unfinished: Torrent, table: TorrentTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    download: Any = FakeDownload()
    unfinished.download = download
    verify(unfinished, 1)
    assert unfinished.pause()
    assert download.cancelled_to == [DownloadPhase.PAUSED] and unfinished.state is TorrentState.PAUSED
    assert list(table) == [] and list(table.in_swarms) == []
    begun: list[Any] = []
    monkeypatch.setattr(unfinished, "fetch", lambda swarm, parts: begun.append((swarm, parts)))
    swarm: Any = "swarm"
    parts: Any = "parts"
    unfinished.resume(swarm, parts)
    assert begun == [("swarm", "parts")]


@dataclass(frozen=True)
class Row:
    """A row of -status, as far as the torrent looks at it."""

    state: str


def test_the_row_of_a_completed_download_says_that_it_is_paused(table: TorrentTable, share: Share) -> None:
    share("a.bin", BYTES)
    torrent = only(table)
    assert torrent.status() is None
    download: Any = FakeDownload()
    download.over, download.status = True, lambda: Row("completed")
    torrent.download = download
    row: Any = torrent.status()
    assert row.state == "completed"
    torrent.pause()
    row = torrent.status()
    assert row.state == "paused"


def test_a_paused_torrent_can_be_stopped(table: TorrentTable, share: Share) -> None:
    share("a.bin", BYTES)
    torrent = only(table)
    torrent.pause()
    assert torrent.stop() and not torrent.is_paused
    assert states(table) == ["stopped: you stopped it"] and not torrent.pause()


def test_a_selection_reaches_a_running_download(unfinished: Torrent) -> None:
    download: Any = FakeDownload()
    unfinished.download = download
    assert not unfinished.select({1}) and download.selections == 1
    download.over = True
    assert unfinished.select(None)
    with pytest.raises(CommandError, match="has no file 2"):
        unfinished.select({2})
