"""Injection by an off-path attacker, which cannot see the datagrams between owner and fetcher."""

from __future__ import annotations

import enum
import random
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from node.chunk_udp import sockets, wire
from node.chunk_udp.asks import FIRST_ASK
from node.chunk_udp.congestion import make_controller
from node.chunk_udp.connection import ConnectionState, FetchConnection
from node.chunk_udp.events import ConnectionConfig, ConnectionStats, DataReceived
from node.chunk_udp.fetcher import Fetcher
from node.chunk_udp.owner import Owner
from node.settings import TransferSettings
from simulator.served import MemoryTorrent, memory_info
from tests.node.chunk_udp.loopback import LoopbackDownload

INFO_HASH = b"i" * 20
CONTENT = random.Random(1).randbytes(1_500_000)
INFO = memory_info(len(CONTENT), info_hash=INFO_HASH)
TRANSFER = 0x1122334455667788
TOKEN = bytes(range(16))
SEGMENT = 1000
SETTINGS = TransferSettings(owner_timeout=20.0, loopback_segment_size=1400, socket_buffer_size=1 << 16)


class WatchingSession(LoopbackDownload):
    """Wants everything once, and calls ``on_data`` for whatever comes."""

    def __init__(self, on_data: Callable[[], None]) -> None:
        super().__init__(len(CONTENT))
        self.on_bytes = lambda received: on_data()


@pytest.fixture
def owner_addr() -> Iterator[tuple[str, int]]:
    sock = sockets.udp_socket("127.0.0.1", 0, 4 << 20)
    owner = Owner(sock, {INFO_HASH: MemoryTorrent(CONTENT)}, b"secret")
    thread = threading.Thread(target=owner.listen)
    thread.start()
    yield sock.getsockname()
    owner.stop()
    thread.join(20)
    sock.close()


def forgeries(transfer: int, sequences: Sequence[int]) -> list[bytes]:
    """Every answer that could do harm, for these sequences of this transfer."""
    wrong = b"\xee" * 1400
    forged: list[bytes] = []
    for sequence in sequences:
        messages: list[wire.Message] = [
            wire.Refuse(transfer, sequence, reason, queue_position=5) for reason in wire.Refusal
        ]
        messages += [
            wire.Token(transfer, sequence, b"\xee" * 16),
            wire.Tell(transfer, sequence, 17, True),
            wire.Tell(transfer, sequence, len(CONTENT), False, 0, b"\0" * 8),
            wire.Data(transfer, sequence, (sequence * 1400) % (len(CONTENT) - 1400), wrong, True),
            wire.Data(transfer, sequence, 0, wrong),
        ]
        forged += [wire.encode(message) for message in messages]
    return forged


def spoofers(owner_addr: tuple[str, int]) -> Iterator[socket.socket]:
    """Strangers on this very machine: another port of the owner's address; its port at another address."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((owner_addr[0], 0))
    yield sock
    if sockets.LINUX:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.5", owner_addr[1]))
        yield sock


def test_what_comes_from_another_address_is_dropped_even_if_it_knows_everything(
    owner_addr: tuple[str, int],
) -> None:
    """The forger has the transfer id and every sequence; only its address is not the owner's."""
    strangers = list(spoofers(owner_addr))
    forged = 0

    def inject() -> None:
        nonlocal forged
        connection = fetcher.connection
        first = next_sequence(connection)
        assert first, "the forger does not know the sequences: no test"
        due = [*range(max(1, first - 3), first + 3), FIRST_ASK, FIRST_ASK + 1]
        for datagram in forgeries(connection.config.transfer_id, due):
            for stranger in strangers:
                stranger.sendto(datagram, fetcher._sock.getsockname())
                forged += 1

    deliveries = 0

    def now_and_then() -> None:
        nonlocal deliveries
        deliveries += 1
        if deliveries % 20 == 1:
            inject()

    supply = WatchingSession(now_and_then)
    fetcher = Fetcher(owner_addr, INFO, supply, SETTINGS)
    inject()  # before it has asked anything
    fetcher.receive_chunk()
    for stranger in strangers:
        stranger.close()
    counters = fetcher.connection.stats
    assert forged > 500
    assert supply.data == CONTENT and not supply.missing
    assert supply.bitfields == [None]
    assert (counters.stale, counters.malformed) == (0, 0), "the system let something through"


def test_a_port_that_is_served_cannot_be_taken_over(owner_addr: tuple[str, int]) -> None:
    """No other socket can bind the owner's port, with any option for shared addresses."""
    for name in ("SO_REUSEADDR", "SO_REUSEPORT"):
        if not hasattr(socket, name):
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thief:
            thief.setsockopt(socket.SOL_SOCKET, getattr(socket, name), 1)
            with pytest.raises(OSError):
                thief.bind(owner_addr)


def test_transfer_ids_cannot_be_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 bits for each transfer, from the system's source of secrets, never from ``random``."""
    asked: list[int] = []
    genuine = __import__("secrets").randbits

    def randbits(bits: int) -> int:
        asked.append(bits)
        return int(genuine(bits))

    monkeypatch.setattr("secrets.randbits", randbits)
    ids = []
    for _ in range(64):
        random.seed(1)
        fetcher = Fetcher(("127.0.0.1", 9), INFO, WatchingSession(lambda: None), SETTINGS)
        ids.append(fetcher.connection.config.transfer_id)
        fetcher._sock.close()
    assert asked == [64] * 64
    assert len(set(ids)) == 64
    for bit in range(64):  # a bit that never changes is one less to guess; by chance once in 2^57 runs
        assert len({transfer >> bit & 1 for transfer in ids}) == 2, f"bit {bit} is always the same"


# ---- from the owner's very address: the source is forged, the answers are guessed


def fetching(checked: bool = True) -> FetchConnection:
    """A connection in the middle: 8 requests are open."""
    terms = ConnectionConfig(INFO_HASH, TRANSFER, SEGMENT, 1 << 20, 2.0, checked)
    connection = FetchConnection(terms, make_controller("fixed", SEGMENT), 0.0)
    connection.datagram_received(wire.encode(wire.Token(TRANSFER, FIRST_ASK, TOKEN)), 0.01)
    tell = wire.Tell(TRANSFER, FIRST_ASK + 1, len(CONTENT), True)
    connection.datagram_received(wire.encode(tell), 0.02)
    assert connection.state is ConnectionState.FETCHING
    for number in range(8):
        connection.request(number * SEGMENT, (number + 1) * SEGMENT, 0.03)
    connection.datagrams_to_send()
    return connection


def visible(thing: Any, known: frozenset[int] = frozenset()) -> Any:
    """All that an answer could change, however it is kept; but for the counters, which are for people."""
    if id(thing) in known or isinstance(thing, (ConnectionStats, enum.Enum)) or callable(thing):
        return None
    known |= {id(thing)}
    if isinstance(thing, dict):
        return {key: visible(value, known) for key, value in thing.items()}
    if isinstance(thing, (list, tuple, set, deque)):
        return [visible(item, known) for item in thing]
    slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
    fields = {**{name: getattr(thing, name, None) for name in slots}, **getattr(thing, "__dict__", {})}
    return {name: visible(value, known) for name, value in fields.items()} if fields else thing


def state_of(connection: FetchConnection) -> tuple[Any, ...]:
    """The connection's state by name, and its visible counts."""
    return (
        connection.state,
        connection.tracker.in_flight.bytes,
        connection.room(),
        connection.next_timer(),
        visible(connection),
    )


def next_sequence(thing: Any, depth: int = 4) -> int:
    """The number of the fetcher's next REQUEST, wherever in the connection it is kept; 0 if nowhere."""
    if hasattr(thing, "next_sequence"):
        return int(thing.next_sequence)
    inside = vars(thing).values() if depth and hasattr(thing, "__dict__") else ()
    return max((next_sequence(value, depth - 1) for value in inside), default=0)


def test_a_hundred_thousand_guesses_of_the_transfer_id_change_nothing() -> None:
    """Right source, right port, right sequences and ranges: without the 64 bits no guess has an effect."""
    connection = fetching()
    before = state_of(connection)
    rng = random.Random(6)
    pool = [
        forgeries(transfer, [1, 8, FIRST_ASK])
        for transfer in [*(TRANSFER ^ 1 << bit for bit in range(64)), 0, 2**64 - 1]
        + [rng.getrandbits(64) for _ in range(300)]
    ]
    forged = [datagram for some in pool for datagram in some]
    count = 0
    while count < 100_000:
        for datagram in forged:
            assert not connection.datagram_received(datagram, 0.04)
        count += len(forged)
    assert connection.stats.stale == count
    assert state_of(connection) == before


def test_a_right_transfer_id_with_a_wrong_sequence_changes_nothing() -> None:
    """TOKEN, TELL and REFUSE must answer an open request; DATA must lie in a requested range."""
    connection = fetching()
    before = state_of(connection)
    for sequence in (0, 9, 10, 2**31 - 1, FIRST_ASK, FIRST_ASK + 1, FIRST_ASK + 2, 2**32 - 1):
        for reason in wire.Refusal:
            refusal = wire.Refuse(TRANSFER, sequence, reason, 1)
            assert not connection.datagram_received(wire.encode(refusal), 0.04)
        for message in (wire.Token(TRANSFER, sequence, b"\xee" * 16), wire.Tell(TRANSFER, sequence, 1, True)):
            assert not connection.datagram_received(wire.encode(message), 0.04)
    for offset in (8 * SEGMENT, 10**6, 2**63, 2**64 - 1):
        data = wire.Data(TRANSFER, 3, offset, bytes(SEGMENT), True)
        assert not connection.datagram_received(wire.encode(data), 0.04)
    assert state_of(connection) == before


def test_data_without_the_check_that_was_asked_for_is_not_taken() -> None:
    connection = fetching(checked=True)
    before = state_of(connection)
    unchecked = wire.Data(TRANSFER, 1, 0, bytes(SEGMENT), checked=False)
    assert not connection.datagram_received(wire.encode(unchecked), 0.04)
    assert state_of(connection) == before
    good = wire.Data(TRANSFER, 1, 0, bytes(SEGMENT), checked=True)
    assert [type(fact) for fact in connection.datagram_received(wire.encode(good), 0.05)] == [DataReceived]
    assert state_of(connection) != before


def test_an_answer_of_this_connection_is_worthless_for_another() -> None:
    """A replayed TOKEN, TELL, REFUSE or DATA of one transfer has no effect on the next with the same
    owner."""
    other = FetchConnection(
        ConnectionConfig(INFO_HASH, TRANSFER + 1, SEGMENT, 1 << 20, 2.0),
        make_controller("fixed", SEGMENT),
        0.0,
    )
    before = state_of(other)
    for datagram in forgeries(TRANSFER, [1, FIRST_ASK]):
        assert not other.datagram_received(datagram, 0.01)
    assert state_of(other) == before


@pytest.mark.skipif(sys.platform != "win32", reason="elsewhere a bound port is nobody else's by itself")
def test_windows_is_told_that_a_port_is_ours_alone() -> None:
    with sockets.udp_socket("127.0.0.1", 0, 1 << 16) as sock:
        assert sock.getsockopt(socket.SOL_SOCKET, sockets.EXCLUSIVE or 0)
