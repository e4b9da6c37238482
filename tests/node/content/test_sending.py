"""Bytes of files sent to a stream socket, by sendfile and without it."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from common.errors import FileFault, TransientFileFault
from common.metainfo import decode_metainfo, encode_metainfo
from node.content import sending
from node.content.part_file import PartFile
from node.content.positional_file import PositionalFile
from node.content.sending import COPIED_BYTES
from node.content.shared_file import OpenFiles, SharedFile
from node.content.store import ContentStore
from node.torrent import Torrent

LENGTH = 1 << 18
BYTES = Random(7).randbytes(3 * LENGTH + 11)
HASHES = b"".join(hashlib.sha1(BYTES[at : at + LENGTH]).digest() for at in range(0, len(BYTES), LENGTH))
INFO = decode_metainfo(encode_metainfo("a.bin", len(BYTES), LENGTH, HASHES, ""))


@pytest.fixture(params=["sendfile", "read and send", "a file without sendfile"])
def any_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "read and send":
        monkeypatch.setattr(sending, "HAS_SENDFILE", False)
    elif not hasattr(os, "sendfile"):
        pytest.skip("this system has no sendfile")
    elif request.param == "a file without sendfile":

        def refuse(*arguments: object) -> int:
            raise OSError(errno.EINVAL, "not this file")

        monkeypatch.setattr(os, "sendfile", refuse)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


@pytest.fixture
def content(tmp_path: Path) -> Iterator[ContentStore]:
    open_files = OpenFiles()
    made = ContentStore(INFO, tmp_path, open_files)
    made.open_part()
    made.write(0, [BYTES])
    yield made
    made.close()
    open_files.close()


class SocketReader:
    """Reads everything that comes to ``sock``, on its own thread, so that a sender is not blocked."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._data = bytearray()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while data := self._sock.recv(1 << 16):
            self._data += data

    def all(self, sender: socket.socket) -> bytes:
        """Everything, once the sender is shut down."""
        sender.shutdown(socket.SHUT_WR)
        self._thread.join(10)
        return bytes(self._data)


def send_all(send: Callable[[int, int], int], start: int, end: int) -> None:
    while start < end:
        sent = send(start, end - start)
        assert 0 < sent <= end - start
        start += sent


def verify_all(content: ContentStore) -> None:
    for piece in range(INFO.geometry.piece_count):
        content.mark_verified(piece)


def test_unfinished_and_finished_content(
    any_way: None, content: ContentStore, pair: tuple[socket.socket, socket.socket]
) -> None:
    sender, receiver = pair
    reader = SocketReader(receiver)
    verify_all(content)
    send_all(lambda at, length: content.send_to(sender, at, length), 5, LENGTH + 9)
    content.finish()
    send_all(lambda at, length: content.send_to(sender, at, length), LENGTH + 9, len(BYTES))
    assert reader.all(sender) == BYTES[5:]


def test_only_verified_pieces_are_sent(
    any_way: None, content: ContentStore, pair: tuple[socket.socket, socket.socket]
) -> None:
    content.mark_verified(0)
    with pytest.raises(FileFault, match="piece 1 is not verified"):
        content.send_to(pair[0], LENGTH - 1, 2)
    assert content.send_to(pair[0], LENGTH - 1, 1) == 1
    assert pair[1].recv(9) == BYTES[LENGTH - 1 : LENGTH]
    content.close()
    with pytest.raises(FileFault, match="not verified"):
        content.send_to(pair[0], 0, 1)


def test_a_socket_that_takes_nothing_now(
    any_way: None, content: ContentStore, pair: tuple[socket.socket, socket.socket]
) -> None:
    verify_all(content)
    sender, receiver = pair
    sender.setblocking(False)
    sent = 0
    with pytest.raises(BlockingIOError):
        while sent < 64 << 20:
            sent += content.send_to(sender, 0, len(BYTES))
    receiver.close()
    with pytest.raises(OSError) as raised:
        content.send_to(sender, 0, len(BYTES))
    assert raised.value.errno in (errno.EPIPE, errno.ECONNRESET)


def test_a_closed_socket_is_no_fault_of_the_file(
    any_way: None, content: ContentStore, pair: tuple[socket.socket, socket.socket]
) -> None:
    verify_all(content)
    pair[0].close()
    with pytest.raises(OSError) as raised:
        content.send_to(pair[0], 0, 9)
    assert not isinstance(raised.value, FileFault)


@pytest.mark.parametrize("offset, length", [(-1, 2), (0, 0), (len(BYTES) - 1, 2), (len(BYTES), 1)])
def test_ranges_outside(
    content: ContentStore, pair: tuple[socket.socket, socket.socket], offset: int, length: int
) -> None:
    verify_all(content)
    with pytest.raises(ValueError):
        content.send_to(pair[0], offset, length)
    content.finish()
    with pytest.raises(ValueError):
        content.send_to(pair[0], offset, length)


def test_a_changed_file(
    any_way: None, tmp_path: Path, content: ContentStore, pair: tuple[socket.socket, socket.socket]
) -> None:
    verify_all(content)
    content.finish()
    emitted: list[object] = []
    torrent: Any = Torrent(content, None, emitted.append, lambda file: None)  # type: ignore[arg-type]
    assert torrent.send_to(pair[0], 0, 5) == 5
    path = tmp_path / "a.bin"
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 10**9))
    with pytest.raises(FileFault, match="changed while it was shared"):
        torrent.send_to(pair[0], 0, 5)
    assert not torrent.is_served and len(emitted) == 1
    pair[1].setblocking(False)
    assert pair[1].recv(99) == BYTES[:5]


def test_a_change_during_the_call_is_noticed(
    tmp_path: Path, pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    path.write_bytes(BYTES)
    file = SharedFile.open(path)
    send_from = sending.send_from

    def send_and_change(*arguments: Any) -> int:
        sent = send_from(*arguments)
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 10**9))
        return sent

    monkeypatch.setattr("node.content.shared_file.send_from", send_and_change)
    with pytest.raises(FileFault, match="changed"):
        file.send_to(pair[0], 0, 5)
    file.close()


def test_a_part_that_became_shorter(
    any_way: None, tmp_path: Path, content: ContentStore, pair: tuple[socket.socket, socket.socket]
) -> None:
    verify_all(content)
    os.truncate(tmp_path / "a.bin.part", 10)
    with pytest.raises(FileFault, match="became shorter"):
        content.send_to(pair[0], 20, 5)
    torrent: Any = Torrent(content, None, lambda event: None, lambda file: None)  # type: ignore[arg-type]
    with pytest.raises(TransientFileFault):
        torrent.send_to(pair[0], 20, 5)


@pytest.mark.skipif(not hasattr(os, "sendfile"), reason="this system has no sendfile")
def test_the_file_stays_open_for_a_running_call(
    tmp_path: Path, pair: tuple[socket.socket, socket.socket]
) -> None:
    """A blocked sendfile sends the right file to its end, although it was closed and other files were
    opened."""
    sender, receiver = pair
    path = tmp_path / "x"
    path.write_bytes(BYTES)
    number = os.open(path, os.O_RDONLY)
    file, sent = PositionalFile(number), []
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    started = threading.Event()

    def send() -> None:
        started.set()
        sent.append(file.send_to(sender.fileno(), 0, len(BYTES)))  # blocks: nothing is received yet

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    assert started.wait(10)
    data = receiver.recv(1000)  # so the call has begun
    file.close()
    others = [os.open(os.devnull, os.O_RDONLY) for _ in range(20)]
    assert number not in others
    while len(data) < len(BYTES):
        data += receiver.recv(1 << 16)
    thread.join(10)
    assert sent == [len(BYTES)] and data == BYTES
    with pytest.raises(OSError):
        os.fstat(number)
    for other in others:
        os.close(other)


def test_without_sendfile_memory_stays_flat(content: ContentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "HAS_SENDFILE", False)
    verify_all(content)
    lengths = []

    class Socket:
        def fileno(self) -> int:
            return -1

        def send(self, data: memoryview) -> int:
            lengths.append(len(data))
            return 1

    assert content.send_to(Socket(), 0, len(BYTES)) == 1
    assert lengths == [COPIED_BYTES]


def test_zeros(pair: tuple[socket.socket, socket.socket]) -> None:
    assert sending.send_zeros(pair[0], 9) == 9
    assert pair[1].recv(99) == bytes(9)


def test_a_closed_part(tmp_path: Path, pair: tuple[socket.socket, socket.socket]) -> None:
    part = PartFile.open(tmp_path, INFO)
    part.close()
    with pytest.raises(FileFault):
        part.send_to(pair[0], 0, 1)
