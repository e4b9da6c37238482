"""How much of a connection's bytes may wait unsent in the system."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from node.peer_tcp.block_sender import (
    FIRST_UNSENT,
    LEAST_UNSENT,
    MOST_UNSENT,
    TUNE_INTERVAL,
    BlockSender,
    prepare,
)
from simulator.served import MemoryTorrent
from tests.node.peer_tcp.test_sending_under_a_limit import BLOCK, HEADER, EndlessWire


class PacedWire(EndlessWire):
    """A peer that wants ``blocks`` blocks."""

    blocks = 0

    @property
    def has_blocks(self) -> bool:  # type: ignore[override]
        return self.blocks > 0

    def next_blocks(self, size: int, now: float) -> list[object]:  # type: ignore[override]
        wanted = min(self.blocks, -(-size // BLOCK))
        self.blocks -= wanted
        return [super().next_block(now)] * wanted


@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="the system has no such option")
@pytest.mark.parametrize(
    ("blocks", "limit"),
    [(0, FIRST_UNSENT), (1, LEAST_UNSENT), (40, FIRST_UNSENT), (800, MOST_UNSENT)],
)
def test_what_may_wait_unsent_follows_the_rate(blocks: int, limit: int) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as ours,
        closing(server.accept()[0]) as theirs,
    ):
        prepare(ours)
        theirs.setblocking(False)
        wire = PacedWire()
        sender = BlockSender(ours, wire, None)  # type: ignore[arg-type]
        sender.torrent = MemoryTorrent(bytes(BLOCK))
        sender.send(0.0)
        wire.blocks = blocks
        left = blocks * (len(HEADER) + BLOCK)
        while left:
            sender.send(0.1)
            try:
                left -= len(theirs.recv(1 << 20))
            except BlockingIOError:
                continue
        sender.send(TUNE_INTERVAL)
        option = ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
        assert option == limit
