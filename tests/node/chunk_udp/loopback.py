"""An owner and a fetcher with real sockets on the loopback interface, and a bad path between them."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from common.bitfield import Bitfield
from common.ranges import RangeSet
from faults.link import LinkFaults
from faults.relay import FaultyRelay
from node.chunk_udp import sockets
from node.chunk_udp.events import ConnectionStats
from node.chunk_udp.fetcher import Fetcher
from node.chunk_udp.owner import Owner
from node.settings import TransferSettings
from node.transport import Range, Reject, RequestedRange
from simulator.served import MemoryTorrent, memory_info

INFO_HASH = b"i" * 20
PATIENT = TransferSettings(owner_timeout=20.0)
CONTENT = random.Random(1).randbytes(3_000_001)
INFO = memory_info(len(CONTENT), info_hash=INFO_HASH)

linux = pytest.mark.skipif(not sockets.LINUX, reason="batched calls are Linux's")


class LoopbackDownload:
    """A DownloadSession that wants all of ``[start, end)`` from one owner, and notes what comes."""

    trusted = True
    banned = False

    def __init__(self, end: int = len(CONTENT), start: int = 0) -> None:
        self.todo = RangeSet([(start, end)])
        self.missing = RangeSet([(start, end)])
        self.data = bytearray(end - start)
        self.bitfields: list[Bitfield | None] = []
        self.checksums: list[bool] = []
        self.stop = threading.Event()
        self.on_bytes: Callable[[int], None] = lambda received: None
        self._start, self._received = start, 0

    @property
    def closing(self) -> bool:
        return self.stop.is_set()

    def on_bitfield(self, pieces: Bitfield | None, is_all: bool = True) -> None:
        self.bitfields.append(pieces)

    def on_have(self, piece: int) -> None:
        raise AssertionError("bitfields only")

    def on_blocked(self, queue_position: int | None) -> None:
        raise AssertionError("there are slots enough")

    def on_unblocked(self) -> None:
        raise AssertionError("it was never blocked")

    def on_checksums(self, present: bool) -> None:
        self.checksums.append(present)

    def on_status(self, text: str) -> None: ...

    def next_range(self, max_length: int) -> RequestedRange | None:
        span = self.todo.take_first(max_length)
        return RequestedRange(*span) if span else None

    def on_blocks(self, blocks: Sequence[tuple[int, bytes | memoryview]]) -> None:
        raise AssertionError("this transport passes on bytes as they come")

    def on_data(self, offset: int, data: bytes | memoryview) -> None:
        end = offset + len(data)
        assert self.missing.cut(offset, end) == [(offset, end)]  # asked for, and never here before
        self.data[offset - self._start : end - self._start] = data
        self._received += len(data)
        self.on_bytes(self._received)

    def on_returned(self, ranges: Sequence[Range]) -> None:
        for span in ranges:
            self.todo.add(*span)

    def on_rejected(self, ranges: Sequence[Range], reason: Reject) -> None:
        raise AssertionError(f"rejected: {reason.value}")

    def wait_for_work(self, timeout: float | None) -> bool:
        return False

    def fetch(
        self, addr: tuple[str, int], settings: TransferSettings = PATIENT, size: int = len(CONTENT)
    ) -> ConnectionStats:
        """All that is still to do, from the owner at ``addr``."""
        fetcher = Fetcher(addr, memory_info(size, info_hash=INFO_HASH), self, settings)
        fetcher.run()
        return fetcher.connection.stats

    def is_identical(self) -> bool:
        return not self.missing and self.data == CONTENT[self._start : self._start + len(self.data)]


class ServedOwner:
    """An owner's listening thread on ``sock``; ``end`` stops it and leaves the socket open."""

    def __init__(self, sock: socket.socket, content: MemoryTorrent, secret: bytes = b"secret") -> None:
        self.addr = sock.getsockname()[:2]
        self.owner = Owner(sock, {INFO_HASH: content}, secret)
        self.thread = threading.Thread(target=self.owner.listen)
        self.thread.start()

    def end(self) -> None:
        self.owner.stop()
        self.thread.join(timeout=20)
        assert not self.thread.is_alive()


@contextlib.contextmanager
def serving(host: str = "127.0.0.1", content: MemoryTorrent | None = None) -> Iterator[ServedOwner]:
    with sockets.udp_socket(host, 0, 4 << 20) as sock:
        served = ServedOwner(sock, content or MemoryTorrent(CONTENT))
        try:
            yield served
        finally:
            served.end()


def relayed(served: ServedOwner, there: LinkFaults, back: LinkFaults | None = None) -> FaultyRelay:
    return FaultyRelay(served.addr, there, back or there, seed=7)
