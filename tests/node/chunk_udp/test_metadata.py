"""Metadata over UDP: whole and right, or a fault that names the reason, whatever the owner and network do."""

from __future__ import annotations

import dataclasses
import hashlib
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import PeerFault
from node.chunk_udp import metadata_exchange, sockets, wire
from node.chunk_udp.address_validation import AddressValidator
from node.chunk_udp.metadata_exchange import ANSWER_LIMIT, SILENCE_LIMIT, WINDOW, MetadataExchange
from node.chunk_udp.responder import Responder
from node.chunk_udp.transport import UdpTransport
from node.peer import Peer
from simulator.served import MemoryTorrent
from tests.node.chunk_udp.loopback import CONTENT, PATIENT

HERE = ("192.0.2.7", 4000)
Change = Callable[[wire.Message], wire.Message]


def owner(raw: bytes, private: bool = False) -> Responder:
    """Shares a torrent with the info dictionary ``raw``."""
    torrent = MemoryTorrent(bytes(1000), 1000)
    torrent.info = dataclasses.replace(torrent.info, raw_info=raw, private=private)
    return Responder(AddressValidator(b"secret"), {hashlib.sha1(raw).digest(): torrent})


def exchange_with(
    responder: Responder,
    raw: bytes,
    change: Change = lambda message: message,
    loss: float = 0.0,
    seed: int = 0,
) -> MetadataExchange:
    """Carry datagrams both ways, in virtual time, until the metadata is there; PeerFault passes through."""
    rng = random.Random(seed)
    now = 0.0
    exchange = MetadataExchange(hashlib.sha1(raw).digest(), 7, now)
    while exchange.metadata is None:
        for datagram in exchange.datagrams_to_send(now):
            assert len(datagram) == wire.ASK_SIZE
            answer = responder.handle_requests(datagram, HERE, now)
            if (
                isinstance(answer, (wire.Token, wire.MetadataPage, wire.Refuse, wire.Tell))
                and rng.random() >= loss
            ):
                exchange.datagram_received(wire.encode(change(answer)), now)
        if exchange.metadata is None:
            now = max(now + 0.001, exchange.next_timer())
    return exchange


@given(st.integers(1, 40_000))
def test_metadata_of_any_size_arrives_whole(size: int) -> None:
    raw = random.Random(size).randbytes(size)
    assert exchange_with(owner(raw), raw).metadata == raw


@given(st.integers(0, 2**32))
def test_lost_pages_are_asked_for_again(seed: int) -> None:
    raw = random.Random(seed).randbytes(50_000)
    assert exchange_with(owner(raw), raw, loss=0.2, seed=seed).metadata == raw


def test_a_silent_owner_is_given_up() -> None:
    exchange = MetadataExchange(bytes(20), 7, 10.0)
    assert len(exchange.datagrams_to_send(10.0)) == 1
    assert exchange.next_timer() == 10.0 + ANSWER_LIMIT
    with pytest.raises(PeerFault, match="silent"):
        exchange.datagrams_to_send(10.0 + SILENCE_LIMIT)


def test_at_most_a_window_is_outstanding() -> None:
    raw = bytes(100 * wire.METADATA_PAGE)
    exchange = MetadataExchange(hashlib.sha1(raw).digest(), 7, 0.0)
    exchange.datagrams_to_send(0.0)
    page = wire.MetadataPage(7, metadata_exchange.FIRST_ASK, len(raw), 0, raw[: wire.METADATA_PAGE])
    exchange.datagram_received(wire.encode(page), 0.0)
    assert len(exchange.datagrams_to_send(0.0)) == WINDOW
    assert exchange.datagrams_to_send(ANSWER_LIMIT / 2) == []


def _replaced(**fields: object) -> Change:
    return lambda message: (
        dataclasses.replace(message, **fields) if isinstance(message, wire.MetadataPage) else message
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_replaced(page=bytes(1024)), "does not match the info hash"),
        (_replaced(size=0), "0 bytes"),
        (_replaced(size=2**40), "bytes"),
        (_replaced(page=b"short"), "do not fit together"),
        (_replaced(offset=5), "do not fit together"),
        (lambda message: wire.Refuse(7, message.sequence, wire.Refusal.NOT_SHARED), "does not share"),
        (lambda message: wire.Tell(7, message.sequence, 5, True), "earlier version"),
        (lambda message: wire.Token(7, message.sequence, bytes(16)), "tokens"),
    ],
)
def test_a_lie_ends_the_exchange_with_its_reason(change: Change, reason: str) -> None:
    raw = random.Random(1).randbytes(5000 // 1024 * 1024)
    with pytest.raises(PeerFault, match=reason):
        exchange_with(owner(raw), raw, change)


@given(st.lists(st.binary(max_size=200)))
def test_strange_datagrams_change_nothing(datagrams: list[bytes]) -> None:
    exchange = MetadataExchange(bytes(20), 7, 0.0)
    exchange.datagrams_to_send(0.0)
    for datagram in datagrams:
        exchange.datagram_received(datagram, 0.0)
    assert exchange.metadata is None and exchange.size is None and exchange.received == 0


def test_a_private_torrent_stays_with_its_tracker() -> None:
    raw = b"d4:name1:xe"
    with pytest.raises(PeerFault, match="does not share"):
        exchange_with(owner(raw, private=True), raw)


class _Observer:
    def on_address_lost(self, host: str) -> None: ...
    def on_address_restored(self, host: str) -> None: ...
    def on_failed(self, fault: object) -> None: ...
    def on_peer(self, info_hash: bytes, found: object) -> None: ...


def test_over_real_sockets() -> None:
    raw = random.Random(3).randbytes(30_000)
    info_hash = hashlib.sha1(raw).digest()
    served = MemoryTorrent(CONTENT)
    served.info = dataclasses.replace(served.info, raw_info=raw)
    transport = UdpTransport(PATIENT, sockets.udp_socket("127.0.0.1", 0, 1 << 20))
    transport.start({info_hash: served}, _Observer())
    peer = Peer(*transport.addr)
    try:
        metadata = transport.fetch_metadata(peer, info_hash, lambda done, size: None, lambda: False)
        assert metadata == raw
        with pytest.raises(PeerFault, match="does not share"):
            transport.fetch_metadata(peer, bytes(20), lambda done, size: None, lambda: False)
        with pytest.raises(PeerFault, match="not needed"):
            transport.fetch_metadata(peer, info_hash, lambda done, size: None, lambda: True)
    finally:
        transport.stop()
    with pytest.raises(PeerFault, match="no program listens|silent"):
        transport.fetch_metadata(peer, info_hash, lambda done, size: None, lambda: False)
