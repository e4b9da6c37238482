"""The obligations of ``Transport``, over every implementation, between two nodes on loopback."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import pytest

from common.bitfield import Bitfield
from common.errors import FileFault, LocalFault, PeerFault
from common.metainfo import Metainfo
from common.peer_id import new_peer_id
from common.ranges import RangeSet
from node.chunk_udp.sockets import udp_socket
from node.chunk_udp.transport import UdpTransport
from node.notes import ConnectionSample, SlotsStatus
from node.peer import FoundPeer, Peer
from node.peer_tcp.transport import TcpTransport
from node.settings import TransferSettings
from node.transport import Range, Reject, RequestedRange, Transport
from simulator.served import MemoryTorrent
from tests.waiting import until

INFO_HASH = b"i" * 20
PIECE = 1 << 16
CONTENT = random.Random(1).randbytes(20 * PIECE + 4321)
PATIENCE = 20.0  # seconds


class FoundPeers:
    """Notes what a transport reports."""

    def __init__(self) -> None:
        self.peers: list[tuple[bytes, FoundPeer]] = []
        self.found = threading.Event()
        self.faults: list[LocalFault] = []

    def on_address_lost(self, host: str) -> None: ...

    def on_address_restored(self, host: str) -> None: ...

    def on_peer(self, info_hash: bytes, found: FoundPeer) -> None:
        self.peers.append((info_hash, found))
        self.found.set()

    def on_failed(self, fault: LocalFault) -> None:
        self.faults.append(fault)


class PlayedSession:
    """A DownloadSession that wants the pieces ``wanted``, and fails if a range does not come back once."""

    trusted = True
    banned = False

    def __init__(self, info: Metainfo, wanted: Sequence[int] | None = None) -> None:
        self._geometry = info.geometry
        pieces = range(info.geometry.piece_count) if wanted is None else wanted
        self.todo = RangeSet([info.geometry.piece_range(piece) for piece in pieces])
        self.missing = RangeSet(self.todo)
        self.owed = RangeSet()
        self.data = bytearray(info.size)
        self.pieces: Bitfield | None = None
        self.blocked: list[bool] = []
        self.statuses: list[str] = []
        self.stop = threading.Event()
        self.received = threading.Event()
        self.rejected: list[Range] = []
        self.wake: Callable[[], None] = lambda: None
        self.waits = threading.Event()

    @property
    def closing(self) -> bool:
        return self.stop.is_set() or not self.missing

    def end(self) -> None:
        self.stop.set()
        self.wake()

    def on_bitfield(self, pieces: Bitfield | None, is_all: bool = True) -> None:
        self.pieces = pieces

    def on_have(self, piece: int) -> None:
        assert self.pieces is not None
        self.pieces.set(piece)

    def on_blocked(self, queue_position: int | None) -> None:
        self.blocked.append(True)

    def on_unblocked(self) -> None:
        self.blocked.append(False)

    def on_status(self, text: str) -> None:
        self.statuses.append(text)

    def next_range(self, max_length: int) -> RequestedRange | None:
        for piece in range(self._geometry.piece_count):
            if self.pieces is None or piece in self.pieces:
                for start, end in self.todo.overlap(*self._geometry.piece_range(piece)):
                    end = min(end, start + max_length)
                    self.todo.cut(start, end)
                    self.owed.add(start, end)
                    return RequestedRange(start, end)
        return None

    def on_blocks(self, blocks: Sequence[tuple[int, bytes | memoryview]]) -> None:
        for offset, data in blocks:
            self.on_data(offset, data)

    def on_data(self, offset: int, data: bytes | memoryview) -> None:
        span = (offset, offset + len(data))
        assert self.owed.cut(*span) == [span], "it was requested, and came once"
        self.missing.cut(*span)
        self.data[offset : span[1]] = data
        self.received.set()

    def on_checksums(self, present: bool) -> None: ...

    def on_returned(self, ranges: Sequence[Range]) -> None:
        for span in ranges:
            assert self.owed.cut(*span) == [span]
            self.todo.add(*span)

    def on_rejected(self, ranges: Sequence[Range], reason: Reject) -> None:
        self.rejected += ranges
        self.on_returned(ranges)

    def wait_for_work(self, timeout: float | None) -> bool:
        self.waits.set()
        self.stop.wait(0.01 if timeout is None else min(timeout, 0.01))
        return not self.closing

    def watch(self, wake: Callable[[], None]) -> None:
        self.wake = wake

    def keep_work(self, kept: bool) -> None: ...

    def take_work(self) -> Callable[[], None] | None:
        return None

    def pause(self) -> float:
        self.waits.set()
        return float("inf")


class Ends:
    """Two nodes with the same transport."""

    def __init__(self, make: Callable[[], Transport], served: MemoryTorrent) -> None:
        self.served = served
        self.fetched = MemoryTorrent(b"", PIECE)
        self.fetched.info, self.fetched.have = served.info, Bitfield(served.have.size)
        self.owner, self.fetcher = make(), make()
        self.observer = FoundPeers()
        self.torrents = {INFO_HASH: served}
        self.owner.start(self.torrents, self.observer)
        self.fetcher.start({INFO_HASH: self.fetched}, FoundPeers())

    @property
    def peer(self) -> Peer:
        host, port = self.owner.addr  # type: ignore[attr-defined]
        return Peer(host, port, self.owner.name)

    def fetch(self, session: PlayedSession) -> None:
        self.fetcher.connect(self.peer, self.served.info, session).run()

    def close(self) -> None:
        self.fetcher.stop()
        self.owner.stop()


def make_udp() -> Transport:
    return UdpTransport(TransferSettings(owner_timeout=1.0), udp_socket("127.0.0.1", 0, 1 << 20))


def make_tcp() -> Transport:
    return TcpTransport(new_peer_id(), "127.0.0.1")


Between = Callable[[MemoryTorrent], Ends]


@pytest.fixture(params=[make_udp, make_tcp], ids=["udp", "tcp"])
def between(request: pytest.FixtureRequest) -> Iterator[Between]:
    """``between(served)``: an owner of this torrent, and a node that fetches it."""
    with ExitStack() as stack:

        def make(served: MemoryTorrent) -> Ends:
            ends = Ends(request.param, served)
            stack.callback(ends.close)
            return ends

        yield make


def in_background(call: Callable[[], None]) -> tuple[threading.Thread, list[BaseException]]:
    faults: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as fault:
            faults.append(fault)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, faults


def test_all_of_it_arrives_and_is_counted_at_both_ends(between: Between) -> None:
    ends = between(MemoryTorrent(CONTENT, PIECE))
    session = PlayedSession(ends.served.info)
    ends.fetch(session)
    assert session.data == CONTENT and not session.owed
    until(lambda: ends.owner.uploaded(INFO_HASH) >= len(CONTENT))  # it counts after it has sent
    assert ends.owner.uploaded(b"x" * 20) == 0
    (row,) = ends.owner.uploads()
    assert row.info_hash == INFO_HASH and row.uploaded >= len(CONTENT)


def test_the_served_peer_is_listed_and_what_limits_its_requests(between: Between) -> None:
    ends = between(MemoryTorrent(CONTENT, PIECE))
    session = PlayedSession(ends.served.info)
    connection = ends.fetcher.connect(ends.peer, ends.served.info, session)
    seen: list[tuple[SlotsStatus, ConnectionSample | None]] = []
    take = session.on_data

    def on_data(offset: int, data: bytes | memoryview) -> None:
        seen.append((ends.owner.slots_of(INFO_HASH), connection.sample()))
        take(offset, data)

    session.on_data = on_data  # type: ignore[method-assign]
    connection.run()
    assert any(len(slots.served) == 1 and not slots.queue for slots, _ in seen)
    assert any(sample is not None and sample.window > 0 < sample.outstanding for _, sample in seen)
    assert ends.owner.slots_of(b"x" * 20)[1:] == ((), ())


def test_only_pieces_that_are_held_are_requested(between: Between) -> None:
    served = MemoryTorrent(CONTENT, PIECE)
    served.have = Bitfield(served.have.size)
    for piece in (3, 4, 20):
        served.have.set(piece)
    ends = between(served)
    session = PlayedSession(served.info, wanted=[3, 4, 20])
    ends.fetch(session)
    assert session.pieces == served.have
    for piece in (3, 4, 20):
        start, end = served.info.geometry.piece_range(piece)
        assert session.data[start:end] == CONTENT[start:end]


def test_new_pieces_are_announced_and_fetched(between: Between) -> None:
    served = MemoryTorrent(CONTENT, PIECE)
    everything, served.have = served.have, Bitfield(served.have.size)
    served.have.set(5)
    ends = between(served)
    session = PlayedSession(served.info)
    thread, faults = in_background(lambda: ends.fetch(session))
    assert session.waits.wait(PATIENCE) and session.received.wait(PATIENCE)
    served.have = everything
    thread.join(PATIENCE)
    assert not faults and session.data == CONTENT


def test_a_session_may_end_in_mid_transfer(between: Between) -> None:
    ends = between(MemoryTorrent(CONTENT, PIECE))
    session = PlayedSession(ends.served.info)
    take = session.on_data

    def on_data(offset: int, data: bytes | memoryview) -> None:
        take(offset, data)
        session.end()

    session.on_data = on_data  # type: ignore[method-assign]
    ends.fetch(session)
    assert not session.owed, "every range came back"
    assert session.missing


def test_a_torrent_that_is_not_shared_is_a_fault_of_the_peer(between: Between) -> None:
    ends = between(MemoryTorrent(CONTENT, PIECE))
    ends.torrents.clear()
    session = PlayedSession(ends.served.info)
    with pytest.raises(PeerFault):
        ends.fetch(session)
    assert not session.owed


def test_a_file_that_changed_is_a_fault_of_the_peer(between: Between) -> None:
    ends = between(MemoryTorrent(CONTENT, PIECE))
    ends.served.fault = FileFault("x.bin changed")
    session = PlayedSession(ends.served.info)
    with pytest.raises(PeerFault):
        ends.fetch(session)
    assert not session.owed


def test_a_peer_that_is_not_there_is_a_fault_of_the_peer(between: Between) -> None:
    ends = between(MemoryTorrent(CONTENT, PIECE))
    kind = socket.SOCK_STREAM if ends.owner.name == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        free = sock.getsockname()[1]
    session = PlayedSession(ends.served.info)
    with pytest.raises(PeerFault):
        ends.fetcher.connect(Peer("127.0.0.1", free, ends.owner.name), ends.served.info, session).run()


def test_an_owner_that_stops_is_a_fault_of_the_peer(between: Between) -> None:
    served = MemoryTorrent(CONTENT, PIECE)
    served.have.clear(0)
    ends = between(served)
    session = PlayedSession(served.info)
    thread, faults = in_background(lambda: ends.fetch(session))
    assert session.waits.wait(PATIENCE)
    ends.owner.stop()
    thread.join(PATIENCE)
    assert len(faults) == 1 and isinstance(faults[0], PeerFault)
    assert not session.owed


def test_cancelled_ranges_come_back_or_arrive(between: Between) -> None:
    ends = between(MemoryTorrent(CONTENT, PIECE))
    session = PlayedSession(ends.served.info)
    connection = ends.fetcher.connect(ends.peer, ends.served.info, session)
    take = session.on_data

    def on_data(offset: int, data: bytes | memoryview) -> None:
        take(offset, data)
        connection.cancel([(offset + PIECE, offset + 2 * PIECE)])

    session.on_data = on_data  # type: ignore[method-assign]
    connection.run()
    assert session.data == CONTENT and not session.owed
