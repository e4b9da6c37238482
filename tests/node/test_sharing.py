"""What a node offers, and when it stops offering it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from common.errors import FileFault
from node import events
from node.chunk_udp.sockets import udp_socket
from node.content import storage
from node.content.storage import SharedFile
from node.content.torrents import create_torrent
from node.sharing import MAX_OPEN_FILES, Sharing


@pytest.fixture
def heard() -> list[events.Event]:
    return []


@pytest.fixture
def sharing(heard: list[events.Event]) -> Iterator[Sharing]:
    made = Sharing(udp_socket("127.0.0.1", 0, 1 << 16), heard.append)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def share(sharing: Sharing, tmp_path: Path) -> Callable[[str, bytes], Path]:
    def do(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        file = SharedFile.open(path)
        torrent = path.with_name(name + ".torrent")
        sharing.share(create_torrent(path, torrent, ""), file, torrent)
        return path

    return do


def states(sharing: Sharing) -> list[str]:
    return [row.state for row in sharing.files()]


def test_what_is_shared_is_announced_and_listed(sharing: Sharing, share, heard: list[events.Event]) -> None:
    path = share("a.bin", b"hello")
    assert sharing.is_sharing()
    (file,) = sharing.owned_files()
    assert (file.filename, file.size, file.complete) == ("a.bin", 5, True)
    assert states(sharing) == ["sharing"]
    assert isinstance(heard[0], events.Sharing)
    assert sharing.serves(bytes.fromhex(str(file.info_hash))) == path


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
def test_a_file_that_changed_is_not_offered_any_more(
    sharing: Sharing, share, heard: list[events.Event], change
) -> None:
    path = share("a.bin", b"hello")
    os.utime(path, ns=(0, 0))  # or a change within one tick of the file system's clock would not show
    sharing_again(sharing, path)
    change(path)
    sharing.check_files()
    assert not sharing.is_sharing()
    assert sharing.owned_files() == []
    assert states(sharing)[0].startswith("stopped: ")
    stopped = [event for event in heard if isinstance(event, events.SharingStopped)]
    assert len(stopped) == 1
    sharing.check_files()
    assert len([event for event in heard if isinstance(event, events.SharingStopped)]) == 1


def sharing_again(sharing: Sharing, path: Path) -> None:
    torrent = path.with_name(path.name + ".torrent")
    file = SharedFile.open(path)
    sharing.share(create_torrent(path, torrent, ""), file, torrent)


def test_a_file_that_changes_while_it_is_hashed_is_not_shared(sharing: Sharing, tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"hello")
    file = SharedFile.open(path)
    metainfo = create_torrent(path, tmp_path / "a.torrent", "")
    os.truncate(path, 3)
    with pytest.raises(FileFault, match="changed"):
        sharing.share(metainfo, file, tmp_path / "a.torrent")
    assert not sharing.is_sharing()


def test_sharing_many_files_keeps_few_of_them_open(sharing: Sharing, share) -> None:
    for number in range(MAX_OPEN_FILES + 20):
        share(f"{number}.bin", b"%d" % number)
    buffer = memoryview(bytearray(1))
    for shared in list(sharing._shared.values()):
        shared.read_into(0, buffer)
        assert bytes(buffer) == str(shared.path.stem).encode()[:1]
    assert len(sharing._open_files._files) == MAX_OPEN_FILES


def test_what_changed_and_is_shared_anew_is_served_anew(sharing: Sharing, share) -> None:
    path = share("a.bin", b"hello")
    (first,) = sharing._shared.values()
    buffer = memoryview(bytearray(5))
    first.read_into(0, buffer)  # it is open now
    os.utime(path, ns=(0, 0))
    sharing.check_files()
    assert not sharing.is_sharing()
    sharing_again(sharing, path)
    (again,) = sharing._shared.values()
    again.read_into(0, buffer)  # not from the file as it was opened then
    assert again.offered and bytes(buffer) == b"hello"


def test_where_files_have_no_reliable_numbers_their_size_and_time_must_do(
    sharing: Sharing, share, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_NUMBERED", False)
    path = share("a.bin", b"hello")
    status = os.stat(path)
    same = path.with_name("same")
    same.write_bytes(b"hello")
    os.utime(same, ns=(status.st_mtime_ns, status.st_mtime_ns))
    os.replace(same, path)  # as an open file and a path seem to be two files on Windows
    sharing.check_files()
    assert sharing.is_sharing()
    os.utime(path, ns=(0, 0))
    sharing.check_files()
    assert not sharing.is_sharing()
