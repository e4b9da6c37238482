"""An owner and a fetcher with real sockets on the loopback interface, and a bad path between them."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from common.errors import FileFault
from common.ranges import RangeSet
from faults.link import LinkFaults
from faults.relay import FaultyRelay
from node.chunk_udp import sockets
from node.chunk_udp.facts import Counters
from node.chunk_udp.fetcher import Fetcher
from node.chunk_udp.owner import Owner
from node.settings import TransferSettings

INFO_HASH = b"i" * 20
PATIENT = TransferSettings(owner_timeout=20.0)
CONTENT = random.Random(1).randbytes(3_000_001)

linux = pytest.mark.skipif(not sockets.LINUX, reason="batched calls are Linux's")


class Content:
    """A torrent in memory; ``broken`` makes every read fail as a changed file's does."""

    held = None
    piece_length = 1 << 16

    def holds(self, start: int, end: int) -> bool:
        return True

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)
        self.offered = True
        self.broken = False

    def read_into(self, offset: int, buffer: memoryview) -> None:
        if self.broken:
            raise FileFault("the file has changed")
        buffer[:] = self._data[offset : offset + len(buffer)]


class Download:
    """A supply: wants all of ``[start, end)`` from one owner, and notes what comes."""

    def __init__(self, end: int = len(CONTENT), start: int = 0) -> None:
        self.todo = RangeSet([(start, end)])
        self.missing = RangeSet([(start, end)])
        self.data = bytearray(end - start)
        self.sizes: list[int] = []
        self.stop = threading.Event()
        self.on_bytes: Callable[[int], None] = lambda received: None
        self._start, self._received = start, 0

    def told(self, size: int, complete: bool, first_piece: int, bitfield: bytes) -> None:
        assert (complete, first_piece, bitfield) == (True, 0, b"")
        self.sizes.append(size)

    def next_span(self, limit: int) -> tuple[int, int] | None:
        return self.todo.take_first(limit)

    def deliver(self, offset: int, payload: bytes | memoryview) -> None:
        end = offset + len(payload)
        assert self.missing.cut(offset, end) == [(offset, end)]  # asked for, and never here before
        self.data[offset - self._start : end - self._start] = payload
        self._received += len(payload)
        self.on_bytes(self._received)

    def give_back(self, spans: Sequence[tuple[int, int]]) -> None:
        for span in spans:
            self.todo.add(*span)

    def wants_rare(self, start: int) -> bool:
        return False

    def not_rare(self, spans: object) -> None:
        raise AssertionError("nothing was asked for on that condition")

    def not_held(self, spans: object) -> None:
        pass

    def queued(self, place: int) -> None:
        pass

    def wait_for_work(self, timeout: float | None) -> bool:
        return False

    def stopping(self) -> bool:
        return self.stop.is_set()

    def fetch(self, addr: tuple[str, int], settings: TransferSettings = PATIENT) -> Counters:
        """All that is still to do, from the owner at ``addr``."""
        fetcher = Fetcher(addr, INFO_HASH, settings, self)
        fetcher.receive_chunk()
        return fetcher.connection.counters

    def is_identical(self) -> bool:
        return not self.missing and self.data == CONTENT[self._start : self._start + len(self.data)]


class Serving:
    """An owner's listening thread on ``sock``; ``end`` stops it and leaves the socket open."""

    def __init__(self, sock: socket.socket, content: Content, secret: bytes = b"secret") -> None:
        self.addr = sock.getsockname()[:2]
        self.faults: list[tuple[bytes, FileFault]] = []
        self.owner = Owner(sock, {INFO_HASH: content}, secret, lambda *fault: self.faults.append(fault))
        self.thread = threading.Thread(target=self.owner.listen)
        self.thread.start()

    def end(self) -> None:
        self.owner.stop()
        self.thread.join(timeout=20)
        assert not self.thread.is_alive()


@contextlib.contextmanager
def serving(host: str = "127.0.0.1", content: Content | None = None) -> Iterator[Serving]:
    with sockets.udp_socket(host, 0, 4 << 20) as sock:
        served = Serving(sock, content or Content(CONTENT))
        try:
            yield served
        finally:
            served.end()


def relayed(served: Serving, there: LinkFaults, back: LinkFaults | None = None) -> FaultyRelay:
    return FaultyRelay(served.addr, there, back or there, seed=7)
