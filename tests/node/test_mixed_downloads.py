"""Downloads from owners over UDP and peers over TCP at once: all are used, liars found, losses survived."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from common.metainfo import Metainfo, decode_metainfo, encode_metainfo
from common.peer_id import new_peer_id
from node import events
from node.chunk_udp.sockets import udp_socket
from node.chunk_udp.transport import UdpTransport
from node.content.hashing import HashPool
from node.content.shared_file import OpenFiles
from node.content.store import ContentStore
from node.content.torrent_file import TorrentFile
from node.download import Download, NodeParts, SwarmTrackers
from node.peer import FoundPeer, Peer
from node.peer_tcp.transport import TcpTransport
from node.rate_limit import RateLimit, TransferLimits
from node.settings import NodeSettings, TransferSettings
from node.transport import Transport
from simulator.served import MemoryTorrent
from tests.node.test_transport_contract import FoundPeers
from tests.waiting import until

PIECE = 1 << 17
CONTENT = random.Random(7).randbytes(40 * PIECE + 99)
PATIENCE = 60.0  # seconds
RATE = 2_000_000  # bytes a second, so that every peer has its part in the download


class ServedPeer(MemoryTorrent):
    """The content, with wrong bytes in some places."""

    def __init__(self, info: Metainfo, wrong: Sequence[int] = ()) -> None:
        data = bytearray(CONTENT)
        for at in wrong:
            data[at] ^= 1
        super().__init__(bytes(data), PIECE)
        self.info = info


class MixedSwarm:
    """Peers of both kinds, and one download from all of them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        pieces = b"".join(
            hashlib.sha1(CONTENT[at : at + PIECE]).digest() for at in range(0, len(CONTENT), PIECE)
        )
        self.torrent = encode_metainfo("x.bin", len(CONTENT), PIECE, pieces, "")
        self.info = decode_metainfo(self.torrent)
        self.folder = folder
        self.found: list[FoundPeer] = []
        self.events: list[events.Event] = []
        self._stack = stack

    def add(self, kind: str, wrong: Sequence[int] = (), rate: int = RATE, complete: bool = True) -> Transport:
        """One more peer; ``wrong``: offsets of wrong bytes."""
        number, limits = len(self.found) + 1, TransferLimits(RateLimit(rate))
        transport: TcpTransport | UdpTransport
        if kind == "tcp":
            transport = TcpTransport(new_peer_id(), f"127.0.6.{number}", limits=limits)
        else:
            sock = udp_socket(f"127.0.6.{number}", 0, 1 << 20)
            transport = UdpTransport(TransferSettings(), sock, number, limits)
        transport.start({self.info.info_hash: ServedPeer(self.info, wrong)}, FoundPeers())
        self._stack.callback(transport.stop)
        node_id = number if kind == "udp" else None
        self.found.append(FoundPeer(Peer(*transport.addr, kind, node_id), complete))
        return transport

    def find(self, info: Metainfo, found: Callable[[Sequence[FoundPeer]], None]) -> None:
        found(self.found)

    name = "the test"

    def download(self) -> Download:
        settings = NodeSettings(1000, self.folder, ("http://127.0.0.1:9",), max_owners=8, search_limit=20.0)
        pool = HashPool(2)
        transports: dict[str, Transport] = {
            "udp": UdpTransport(TransferSettings(owner_timeout=1.0)),
            "tcp": TcpTransport(new_peer_id(), "127.0.6.100"),
        }
        content = ContentStore(self.info, self.folder, OpenFiles())
        here = MemoryTorrent(b"", PIECE)
        here.info, here.have = self.info, content.have
        transports["tcp"].start({self.info.info_hash: here}, FoundPeers())
        parts = NodeParts(
            settings, Peer("127.0.6.100", 1, node_id=1000), pool, transports, self.events.append
        )
        file = TorrentFile(self.folder / "x.bin.torrent", self.torrent)
        download = Download(content, file, SwarmTrackers([self]), parts)
        self._stack.callback(pool.close)
        self._stack.callback(transports["tcp"].stop)
        self._stack.callback(lambda: download.done.wait(PATIENCE))
        self._stack.callback(download.cancel)
        download.start()
        return download

    def is_complete(self, download: Download) -> bool:
        assert download.done.wait(PATIENCE) and download.error is None, download.error
        return (self.folder / "x.bin").read_bytes() == CONTENT


@pytest.fixture
def swarm(tmp_path: Path) -> Iterator[MixedSwarm]:
    with ExitStack() as stack:
        yield MixedSwarm(tmp_path, stack)


def received(download: Download, peer: Peer) -> int:
    """Bytes that came from ``peer``."""
    return sum(each.received for each in download.status().sources if each.addr == peer.addr)


def test_owners_and_standard_peers_deliver_to_one_download(swarm: MixedSwarm) -> None:
    for kind in ("udp", "tcp", "udp", "tcp"):
        swarm.add(kind)
    download = swarm.download()
    assert swarm.is_complete(download)
    rows = download.status().sources
    assert {each.transport for each in rows if each.received} == {"udp", "tcp"}
    assert sum(each.received for each in rows) >= len(CONTENT)
    assert all(each.reason == "" for each in rows)


@pytest.mark.parametrize("liar", ["tcp", "udp"])
def test_a_liar_is_banned_and_no_honest_peer_is(swarm: MixedSwarm, liar: str) -> None:
    """It lies in one block of each piece, of which other peers deliver blocks, too."""
    for kind in ("tcp", "udp", "tcp"):
        swarm.add(kind)
    swarm.add(liar, wrong=[at + 5 for at in range(0, len(CONTENT), PIECE)])
    download = swarm.download()
    assert swarm.is_complete(download)
    states = {each.addr: each.state for each in download.status().sources}
    banned = [found.peer.addr for found in swarm.found if states[found.peer.addr] == "banned"]
    assert banned in ([], [swarm.found[-1].peer.addr]), "no honest peer"
    failed = [event for event in swarm.events if isinstance(event, events.PieceFailed)]
    assert bool(failed) is bool(banned)


def test_a_download_survives_the_loss_of_peers(swarm: MixedSwarm) -> None:
    dying = [swarm.add("tcp"), swarm.add("udp")]
    swarm.add("tcp")
    download = swarm.download()
    until(lambda: download.status().verified > len(CONTENT) // 10, PATIENCE)
    for transport in dying:
        transport.stop()
    assert swarm.is_complete(download)
    lost = {event.addr for event in swarm.events if isinstance(event, events.OwnerLost)}
    assert swarm.found[0].peer.addr in lost


def test_a_peer_that_stalls_does_not_hold_a_download_up(swarm: MixedSwarm) -> None:
    """It takes requests and answers none: the same blocks are requested from other peers."""
    limit = RateLimit(RATE)
    stalling = swarm.add("tcp")
    stalling.limits = TransferLimits(limit)  # type: ignore[attr-defined]
    swarm.add("tcp")
    download = swarm.download()
    until(lambda: received(download, swarm.found[0].peer) > 0, PATIENCE)
    limit.spend(RATE * 3600, time.monotonic())
    assert swarm.is_complete(download)


def test_a_peer_that_connects_in_mid_download_is_used(swarm: MixedSwarm) -> None:
    swarm.add("udp", rate=200_000)
    download = swarm.download()
    until(lambda: download.status().verified > 0, PATIENCE)
    late = swarm.add("tcp")
    download.add_peer(swarm.found[-1])
    assert swarm.is_complete(download)
    assert received(download, swarm.found[-1].peer) > 0
    assert late.uploaded(swarm.info.info_hash) > 0
