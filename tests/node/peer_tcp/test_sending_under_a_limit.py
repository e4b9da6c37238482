"""Blocks wait for their turn under the upload limit, messages do not."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from node.peer_tcp.block_sender import BlockSender, prepare
from node.peer_tcp.connection import OutgoingBlock
from node.rate_limit import RateLimit
from simulator.served import MemoryTorrent

BLOCK = 16 << 10
HEADER = b"h" * 13


class EndlessWire:
    """A peer that always wants more blocks."""

    encrypts_payload = False

    def __init__(self) -> None:
        self.messages = b""

    has_blocks = True

    def next_block(self, now: float) -> OutgoingBlock:
        return OutgoingBlock(HEADER, 0, BLOCK)

    def next_blocks(self, size: int, now: float) -> list[OutgoingBlock]:
        return [OutgoingBlock(HEADER, 0, BLOCK)] * -(-size // BLOCK)

    def data_to_send(self, now: float) -> bytes:
        messages, self.messages = self.messages, b""
        return messages


class EncryptedWire(EndlessWire):
    encrypts_payload = True

    def encrypt(self, payload: memoryview) -> bytes:
        return bytes(payload)


class Uplinks:
    """Connections that send under one limit, and their other ends."""

    def __init__(self, limit: RateLimit, count: int, stack: ExitStack, wire: type[EndlessWire]) -> None:
        self.wires = [wire() for _ in range(count)]
        self.senders: list[BlockSender] = []
        self.peers: list[socket.socket] = []
        self.received = [0] * count
        for each in self.wires:
            ours, theirs = (stack.enter_context(closing(end)) for end in socket.socketpair())
            ours.setblocking(False)
            theirs.setblocking(False)
            sender = BlockSender(ours, each, limit)  # type: ignore[arg-type]
            sender.torrent = MemoryTorrent(bytes(BLOCK))
            self.senders.append(sender)
            self.peers.append(theirs)

    def run(self, seconds: float) -> float:
        """Send and receive; returns the seconds that it took."""
        began = time.monotonic()
        while (now := time.monotonic()) < began + seconds:
            for number, (sender, peer) in enumerate(zip(self.senders, self.peers, strict=True)):
                sender.send(now)
                self.received[number] += sum(map(len, chunks(peer)))
            time.sleep(min(0.01, max(0.0002, min(sender.wait for sender in self.senders))))
        return now - began


def chunks(peer: socket.socket) -> Iterator[bytes]:
    while True:
        try:
            yield peer.recv(1 << 16)
        except BlockingIOError:
            return


@pytest.mark.parametrize("wire", [EndlessWire, EncryptedWire])
@pytest.mark.parametrize("rate", [100_000, 3_000_000])
def test_connections_share_the_upload_limit(rate: int, wire: type[EndlessWire]) -> None:
    limit = RateLimit(rate)
    with ExitStack() as stack:
        uplinks = Uplinks(limit, 6, stack, wire)
        took = uplinks.run(1.0)
    assert sum(uplinks.received) <= rate * took + limit.depth + 6 * limit.quantum
    assert sum(uplinks.received) >= 0.8 * rate * took
    assert min(uplinks.received) >= 0.6 * max(uplinks.received)


def test_a_message_waits_for_no_turn() -> None:
    """At 16 kB/s, five connections: a block takes a second, but a message between blocks leaves at once."""
    limit = RateLimit(16_000)
    with ExitStack() as stack:
        uplinks = Uplinks(limit, 5, stack, EndlessWire)
        idle = uplinks.senders[0]
        uplinks.wires[0].has_blocks = False
        uplinks.run(0.2)
        uplinks.wires[0].messages = b"have"
        before = uplinks.received[0]
        idle.send(time.monotonic())
        assert b"".join(chunks(uplinks.peers[0])).endswith(b"have") and before == 0
    assert limit.available(time.monotonic()) <= 0


def test_sockets_are_prepared_without_blocking() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as sock,
    ):
        prepare(sock)
        assert not sock.getblocking()
