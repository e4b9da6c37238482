"""The peer wire's state machine alone, without sockets, disks and hashes.

``python -m bench.bittorrent.machine``: a leecher and a seed exchange 1 GiB in this process, in pieces of
1 MiB, blocks of 16 KiB and reads of 256 KiB. It prints the rates that parsing and making messages would allow
each side on one core.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import NamedTuple

from common.bitfield import Bitfield
from common.geometry import Geometry
from node.peer_tcp import events as ev
from node.peer_tcp.config import WireConfig, WireTorrent
from node.peer_tcp.connection import PeerWire

PIECE = 1 << 20  # bytes
READ = 256 << 10  # bytes of one read
BATCH = 256 << 10  # bytes of blocks that the seed takes at a time
INFO_HASH = b"h" * 20
PAYLOAD = bytes(128 << 10)


class OneTorrent:
    """A ``WireHost`` with one torrent."""

    def __init__(self, have: Bitfield, geometry: Geometry) -> None:
        self._torrent = WireTorrent(INFO_HASH, geometry, lambda: have)

    def info_hashes(self) -> Iterable[bytes]:
        return [INFO_HASH]

    def find(self, info_hash: bytes) -> WireTorrent | None:
        return self._torrent

    def refusal(self, info_hash: bytes, peer_id: bytes) -> str:
        return ""


class MachineRates(NamedTuple):
    """Bytes of payload for each second of processor time."""

    leecher: float
    seed: float


def measure(size: int) -> MachineRates:
    """Exchange ``size`` bytes, whole pieces."""
    geometry = Geometry(size, PIECE)
    nothing, everything = Bitfield(geometry.piece_count), Bitfield.full(geometry.piece_count)
    leecher = PeerWire(WireConfig(b"l" * 20, OneTorrent(nothing, geometry)), 0.0, INFO_HASH, encrypted=False)
    seed = PeerWire(WireConfig(b"s" * 20, OneTorrent(everything, geometry)), 0.0)
    _open(leecher, seed)
    leeching = seeding = now = 0.0
    asked = received = 0
    while received < size:
        now += 0.001
        begun = time.process_time()
        while asked < size and leecher.download.room() >= PIECE:
            leecher.download.request(asked, asked + PIECE, now)
            asked += PIECE
        requests = leecher.data_to_send(now)
        asked_at = time.process_time()
        seed.receive(requests, now)
        blocks = []
        while taken := seed.next_blocks(BATCH, now):
            blocks += taken
        leeching, seeding = leeching + asked_at - begun, seeding + time.process_time() - asked_at
        stream = memoryview(
            b"".join(part for block in blocks for part in (block.header, PAYLOAD[: block.length]))
        )
        begun = time.process_time()
        for at in range(0, len(stream), READ):
            for event in leecher.receive(stream[at : at + READ], now):
                if isinstance(event, ev.BlocksData):
                    received += sum([len(data) for _, data in event.blocks])
                elif isinstance(event, ev.BlockData):
                    received += len(event.data)
        leeching += time.process_time() - begun
    return MachineRates(size / leeching, size / seeding)


def _open(leecher: PeerWire, seed: PeerWire) -> None:
    """Exchange handshakes, interest and unchoke."""
    for _ in range(4):
        seed.receive(leecher.data_to_send(0.0), 0.0)
        leecher.receive(seed.data_to_send(0.0), 0.0)
        if leecher.peer is not None:
            leecher.download.set_interested(True)
        if seed.peer is not None:
            seed.upload.unchoke()


if __name__ == "__main__":
    rates = measure(1 << 30)
    print(f"leecher {rates.leecher / 1e6:,.0f} MB/s, seed {rates.seed / 1e6:,.0f} MB/s")
