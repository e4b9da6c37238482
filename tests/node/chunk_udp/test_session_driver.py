"""Between a connection and its session: the peer's answers become calls of the download."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from common.bitfield import Bitfield
from common.errors import PeerFault
from node.chunk_udp import wire
from node.chunk_udp.congestion import make_controller
from node.chunk_udp.connection import ConnectionState, FetchConnection
from node.chunk_udp.events import ConnectionConfig
from node.chunk_udp.have_poll import HAVE_POLL_INTERVAL
from node.chunk_udp.session_driver import PeerPieces, SessionDriver
from node.transport import Range, Reject
from simulator.served import memory_info
from tests.node.chunk_udp.loopback import LoopbackDownload

SIZE, PIECE = 100_000, 10_000
INFO = memory_info(SIZE, PIECE)
HALF = b"\xf8\x00"


class NotingSession(LoopbackDownload):
    """Notes its calls, in order."""

    def __init__(self) -> None:
        super().__init__(SIZE)
        self.news: list[object] = []
        self.trusted = False

    def on_bitfield(self, pieces: Bitfield | None, is_all: bool = True) -> None:
        self.news.append(None if pieces is None else list(pieces))

    def on_blocked(self, queue_position: int | None) -> None:
        self.news.append(("blocked", queue_position))

    def on_unblocked(self) -> None:
        self.news.append("unblocked")

    def on_rejected(self, ranges: Sequence[Range], reason: Reject) -> None:
        self.news.append((reason, list(ranges)))
        self.on_returned(ranges)


class DriverAndOwner:
    """A driver after the handshake, and its owner's answers."""

    def __init__(self, checked: bool = True, complete: bool = False, size: int = SIZE) -> None:
        terms = ConnectionConfig(
            INFO.info_hash, 7, 1000, 64_000, owner_timeout=2.0, checked=checked, node_id=3
        )
        self.session = NotingSession()
        self.driver = SessionDriver(
            FetchConnection(terms, make_controller("cubic", 1000), 0.0), INFO, self.session
        )
        (first,) = self.sent(0.0)
        self.take(wire.Token(7, first.sequence, b"t" * wire.TOKEN_SIZE))
        (self.ask,) = self.sent(0.01)
        self.tell(HALF, complete, size)

    def sent(self, now: float) -> list[wire.Message]:
        return [wire.decode(datagram) for datagram in self.driver.datagrams_to_send(now)]

    def take(self, message: wire.Message, now: float = 0.02) -> None:
        self.driver.datagram_received(wire.encode(message), now)

    def tell(
        self, bitfield: bytes = b"", complete: bool = False, size: int = SIZE, now: float = 0.02
    ) -> None:
        self.take(wire.Tell(7, self.ask.sequence, size, complete, 0, bitfield), now)

    def asked_again(self, at_most: float) -> None:
        """Time goes on until there is another ASK."""
        timer = self.driver.connection.next_timer()
        assert timer is not None and timer <= at_most
        self.driver.connection.on_timer(timer)
        (self.ask,) = [m for m in self.sent(timer) if isinstance(m, wire.Ask)]


def test_asks_say_which_node_asks() -> None:
    ask = DriverAndOwner().ask
    assert isinstance(ask, wire.Ask) and ask.node_id == 3


def test_a_file_of_another_size_is_a_fault() -> None:
    with pytest.raises(PeerFault, match="100001 bytes, the torrent says 100000"):
        DriverAndOwner(size=SIZE + 1)


def test_a_partial_owner_is_polled_and_only_news_is_told() -> None:
    pair = DriverAndOwner()
    pair.session.todo.cut(0, SIZE)  # nothing to fetch: the polls are all that goes on
    pair.asked_again(at_most=HAVE_POLL_INTERVAL)
    pair.tell(HALF, now=0.7)
    pair.asked_again(at_most=0.7 + HAVE_POLL_INTERVAL)
    pair.tell(b"\xfc\x00", now=1.7)
    pair.asked_again(at_most=1.7 + HAVE_POLL_INTERVAL)
    pair.tell(complete=True, now=2.7)
    assert pair.session.news == [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 5], None]
    assert pair.driver.connection.next_timer() is None


def test_an_owner_that_is_busy_is_blocked_until_it_tells_again() -> None:
    pair = DriverAndOwner(complete=True)
    request = pair.sent(0.03)[0]
    pair.take(wire.Refuse(7, request.sequence, wire.Refusal.BUSY, 2), 0.04)
    assert list(pair.session.todo) == [(0, SIZE)]
    pair.asked_again(at_most=2.0)
    pair.tell(HALF, now=1.1)
    assert pair.session.news == [None, ("blocked", 2), "unblocked", [0, 1, 2, 3, 4]]


def test_what_a_partial_owner_does_not_hold_is_struck_from_its_pieces() -> None:
    pair = DriverAndOwner()
    (request,) = pair.sent(0.03)[:1]
    assert isinstance(request, wire.Request)
    pair.take(wire.Refuse(7, request.sequence, wire.Refusal.NOT_HELD), 0.04)
    span = (request.offset, request.offset + request.length)
    assert pair.session.news[1:] == [[1, 2, 3, 4], (Reject.NOT_HELD, [span])]


def test_a_seed_that_does_not_hold_a_piece_is_at_fault_and_its_bytes_come_back() -> None:
    pair = DriverAndOwner(complete=True)
    (request,) = pair.sent(0.03)[:1]
    assert isinstance(request, wire.Request)
    with pytest.raises(PeerFault, match="announced"):
        pair.take(wire.Refuse(7, request.sequence, wire.Refusal.NOT_HELD), 0.04)
    pair.driver.end()
    assert list(pair.session.todo) == [(0, SIZE)]


@pytest.mark.parametrize("checked", [True, False])
def test_payloads_carry_checksums_until_the_peer_is_trusted(checked: bool) -> None:
    pair = DriverAndOwner(checked=checked, complete=True)
    asked = [m for m in pair.sent(0.03) if isinstance(m, wire.Request)]
    assert asked and all(request.checked for request in asked)
    pair.take(wire.Data(7, asked[0].sequence, 0, bytes(1000)), 0.04)  # without one: not taken
    assert pair.session.missing.first == 0
    pair.take(wire.Data(7, asked[0].sequence, 0, bytes(1000), True), 0.04)
    assert pair.session.missing.first == 1000
    for trusted in (True, False):
        pair.session.trusted = trusted
        later = [m for m in pair.sent(5.0 + (not trusted)) if isinstance(m, wire.Request)]
        assert later and {request.checked for request in later} == {checked or not trusted}
        for request in later:
            end = request.offset + request.length
            pair.take(wire.Data(7, request.sequence, request.offset, bytes(request.length), True), 5.5)
            assert not pair.session.missing.overlap(request.offset, end)
    assert pair.session.checksums == ([] if checked else [False, True])


def test_what_another_peer_delivered_is_not_asked_for_again() -> None:
    pair = DriverAndOwner(complete=True)
    first, *others = [m for m in pair.sent(0.03) if isinstance(m, wire.Request)]
    while pair.driver.connection.stats.lost_bytes == 0:  # the first is lost, the rest arrives
        request = others.pop(0)
        pair.take(wire.Data(7, request.sequence, request.offset, bytes(request.length), True), 0.04)
    lost = pair.driver.connection.stats.lost_bytes
    pair.session.todo.cut(0, SIZE)
    returned: list[Range] = []
    pair.session.on_returned = returned.extend  # type: ignore[method-assign]
    pair.driver.cancel([(first.offset, first.offset + first.length)])
    assert pair.sent(5.0) == []
    assert returned == [(first.offset, first.offset + lost)]


def test_at_the_end_everything_that_never_came_is_given_back() -> None:
    pair = DriverAndOwner(complete=True)
    assert pair.sent(0.03)
    pair.driver.end()
    assert list(pair.session.todo) == [(0, SIZE)]
    assert pair.driver.connection.state is ConnectionState.CLOSED


def test_pages_of_a_bitfield_are_put_together() -> None:
    pieces = PeerPieces(20_000)
    assert pieces.on_page(8192, b"\x01" * 1024)
    assert pieces.on_page(0, b"\x80")
    assert not pieces.on_page(0, b"\x80")
    assert not pieces.on_page(4, b"\xff"), "no page begins within a byte"
    assert pieces.on_page(16_384, b"\xff" * 2000)
    held = pieces.snapshot()
    assert held is not None
    assert [piece for piece in held if piece < 8208] == [0, 8199, 8207]
    assert held.count == 1 + 1024 + 20_000 - 16_384
    pieces.remove([0, 16_384])
    assert (held.count, getattr(pieces.snapshot(), "count", None)) == (held.count, held.count - 2)


def test_a_liars_page_numbers_are_survived() -> None:
    """The last page that a number of 64 bits can name, and more."""
    pair = DriverAndOwner()
    pair.session.todo.cut(0, SIZE)
    pair.asked_again(at_most=1.0)
    pair.take(wire.Tell(7, pair.ask.sequence, SIZE, False, 2**64 - 8, b"\xff" * wire.MAX_BITFIELD), 1.0)
    pair.asked_again(at_most=3.0)
    assert isinstance(pair.ask, wire.Ask) and pair.ask.first_piece == 0
