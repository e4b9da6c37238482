"""What a node offers, and when it stops offering it."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from common.bitfield import Bitfield
from common.errors import FileFault, TransientFileFault
from common.metainfo import decode_metainfo, encode_metainfo
from node import events
from node.chunk_udp.sockets import udp_socket
from node.chunk_udp.transport import UdpTransport
from node.content import shared_file
from node.content.part_file import PartFile
from node.content.shared_file import SharedFile
from node.content.torrent_file import create_torrent
from node.offers import MAX_OPEN_FILES
from node.settings import TransferSettings
from node.sharing import Sharing


@pytest.fixture
def heard() -> list[events.Event]:
    return []


@pytest.fixture
def sharing(heard: list[events.Event]) -> Iterator[Sharing]:
    made = Sharing(UdpTransport(TransferSettings(), udp_socket("127.0.0.1", 0, 1 << 16)), heard.append)
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
    (file,) = sharing.owned_files(())
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
    assert sharing.owned_files(()) == []
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
    assert again.is_served and bytes(buffer) == b"hello"


def test_where_files_have_no_reliable_numbers_their_size_and_time_must_do(
    sharing: Sharing, share, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_file, "_HAS_INODES", False)
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


# ---- parts


class Unfinished:
    """A download of ``CONTENT`` in pieces of 16 KiB, of which ``held`` are verified."""

    CONTENT = bytes(range(256)) * 256

    def __init__(self, folder: Path) -> None:
        pieces = [self.CONTENT[at : at + 16384] for at in range(0, len(self.CONTENT), 16384)]
        hashes = b"".join(hashlib.sha1(piece).digest() for piece in pieces)
        self.metainfo = decode_metainfo(encode_metainfo("a.bin", len(self.CONTENT), 16384, hashes, "", ""))
        self.part = PartFile.open(folder, self.metainfo)
        self.held = Bitfield(4)

    def verify(self, piece: int) -> None:
        self.part.write(piece * 16384, [self.CONTENT[piece * 16384 : (piece + 1) * 16384]])
        self.held.set(piece)

    def snapshot(self) -> Bitfield:
        return self.held.copy()


@pytest.fixture
def unfinished(tmp_path: Path) -> Iterator[Unfinished]:
    made = Unfinished(tmp_path)
    yield made
    made.part.close()


def offer_of(sharing: Sharing):
    (offer,) = sharing._shared.values()
    return offer


def test_an_unfinished_file_is_announced_with_its_first_piece(
    sharing: Sharing, unfinished: Unfinished
) -> None:
    sharing.share_part(unfinished.metainfo, unfinished.part, unfinished.snapshot)
    assert sharing.owned_files(()) == []
    unfinished.verify(2)
    (file,) = sharing.owned_files(())
    assert (file.filename, file.size, file.complete) == ("a.bin", 65536, False)
    (row,) = sharing.files()
    assert (row.complete, row.state, row.path) == (False, "sharing", str(unfinished.part.path))
    assert sharing.serves(unfinished.metainfo.info_hash) is None  # so that its download may be asked for
    sharing.check_files()  # it is written to all the time, and no worse for it
    assert sharing.owned_files(()) == [file]


def test_of_an_unfinished_file_only_verified_bytes_are_held(sharing: Sharing, unfinished: Unfinished) -> None:
    sharing.share_part(unfinished.metainfo, unfinished.part, unfinished.snapshot)
    offer = offer_of(sharing)
    assert list(offer.have) == []
    unfinished.verify(1)
    assert list(offer.have) == [1]
    buffer = memoryview(bytearray(16384))
    offer.read_into(16384, buffer)
    assert buffer == unfinished.CONTENT[16384:32768]


def test_a_finished_file_takes_the_parts_place(sharing: Sharing, unfinished: Unfinished, heard) -> None:
    sharing.share_part(unfinished.metainfo, unfinished.part, unfinished.snapshot)
    for piece in range(4):
        unfinished.verify(piece)
    path = unfinished.part.finish()
    buffer = memoryview(bytearray(10))
    with pytest.raises(TransientFileFault):  # it has its new name, and is not shared under it yet
        offer_of(sharing).read_into(0, buffer)
    sharing.share(unfinished.metainfo, SharedFile.open(path), path)
    offer_of(sharing).read_into(0, buffer)
    assert buffer == unfinished.CONTENT[:10]
    (file,) = sharing.owned_files(())
    assert file.complete
    sharing.withdraw_part(unfinished.metainfo.info_hash)
    assert sharing.owned_files(()) == [file]
    sharing.share_part(unfinished.metainfo, unfinished.part, unfinished.snapshot)  # too late, and harmless
    assert sharing.owned_files(()) == [file]
    assert not [event for event in heard if isinstance(event, events.SharingStopped)]


def test_the_part_of_a_download_that_ended_is_not_offered_any_more(
    sharing: Sharing, unfinished: Unfinished
) -> None:
    unfinished.verify(0)
    sharing.share_part(unfinished.metainfo, unfinished.part, unfinished.snapshot)
    sharing.withdraw_part(unfinished.metainfo.info_hash)
    assert sharing.owned_files(()) == [] and not sharing.is_sharing()


def test_too_many_open_files_do_not_end_sharing(
    sharing: Sharing, share, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = share("a.bin", b"hello")
    buffer = memoryview(bytearray(5))

    def no_more(*args: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(shared_file.os, "open", no_more)
        with pytest.raises(TransientFileFault):
            offer_of(sharing).read_into(0, buffer)
    offer_of(sharing).read_into(0, buffer)
    assert buffer == b"hello" and sharing.serves(offer_of(sharing).info.info_hash) == path
