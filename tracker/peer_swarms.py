"""The swarms of standard peers: which peers an announce names, and how many there are. Pure.

A swarm has all peers of one info hash that can be reached over TCP: the standard peers, and the classroom
nodes that listen there.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterator
from itertools import islice

from common.addresses import Addr
from common.compact_peers import ENTRY_SIZE, encode_peer
from common.messages import OwnedFile
from tracker.compact_list import CompactList, PeerName
from tracker.model import Announcement, NodeRecord, PeerAnswer, PeerRecord, SwarmCounts

MAX_EMPTIED = 10_000  # swarms without a peer whose completed downloads are remembered, the latest
IPV4_SIZE, IPV6_SIZE = ENTRY_SIZE[4], ENTRY_SIZE[6]  # bytes of an endpoint


class PeerSwarm:
    """The peers of one info hash."""

    __slots__ = ("seeds", "leechers", "downloaded", "standard", "standard_seeds", "places", "ipv4", "ipv6")

    def __init__(self, downloaded: int = 0) -> None:
        self.seeds = self.leechers = 0  # a peer with two addresses counts once
        self.downloaded = downloaded  # downloads that standard peers completed, in this run of the tracker
        self.standard: dict[bytes, None] = {}  # the standard peers, the newest last
        self.standard_seeds = 0
        self.places: dict[bytes, bytes] = {}  # the standard peer at each endpoint
        self.ipv4, self.ipv6 = CompactList(IPV4_SIZE), CompactList(IPV6_SIZE)

    def add(self, name: PeerName, ipv4: bytes, ipv6: bytes, complete: bool) -> None:
        """Add a peer with its endpoints; b"" for none."""
        self._count(name, complete, 1)
        if ipv4:
            self.ipv4.add(name, ipv4, complete)
        if ipv6:
            self.ipv6.add(name, ipv6, complete)

    def remove(self, name: PeerName, complete: bool) -> None:
        """Remove a peer."""
        self._count(name, complete, -1)
        self.ipv4.remove(name)
        self.ipv6.remove(name)

    def settle(self, record: PeerRecord) -> None:
        """Note where a standard peer listens."""
        self.places |= {endpoint: record.key for endpoint in (record.ipv4, record.ipv6) if endpoint}

    def unsettle(self, record: PeerRecord) -> None:
        """The reverse. A place that another peer has taken meanwhile stays that peer's."""
        for endpoint in (record.ipv4, record.ipv6):
            if self.places.get(endpoint) == record.key:
                del self.places[endpoint]

    def counts(self) -> SwarmCounts:
        """For a scrape."""
        standard_leechers = len(self.standard) - self.standard_seeds
        return SwarmCounts(self.seeds, self.downloaded, self.leechers, self.standard_seeds, standard_leechers)

    def answer(self, call: Announcement, rng: random.Random) -> PeerAnswer:
        """Up to ``call.wanted`` peers of each address family, at random, without the one that asks.

        A seed is given leechers only; but all peers when it starts. A client with a magnet link does not
        know yet how much is left, and some (aria2) say 0.
        """
        names = list[PeerName]()
        ipv4, ipv6 = (_choose(peers, call, rng.random(), names) for peers in (self.ipv4, self.ipv6))
        return PeerAnswer(self.seeds, self.leechers, ipv4, ipv6, names)

    def _count(self, name: PeerName, complete: bool, change: int) -> None:
        if complete:
            self.seeds += change
            self.standard_seeds += change * isinstance(name, bytes)
        else:
            self.leechers += change


def _choose(peers: CompactList, call: Announcement, chance: float, names: list[PeerName]) -> bytes:
    """Some endpoints of a list; ``names`` gets their peers if the call asks for them."""
    leechers_only = call.leechers_only
    start, count = peers.window(call.wanted, call.key, chance, leechers_only)
    if call.with_ids:
        names += peers.names(start, count, leechers_only)
    return bytes(peers.endpoints(start, count, leechers_only))


class PeerSwarms:
    """All swarms with a peer that can be reached over TCP."""

    def __init__(self) -> None:
        self._swarms: dict[bytes, PeerSwarm] = {}  # by info hash
        self._emptied: dict[bytes, int] = {}  # completed downloads of swarms without a peer

    def get(self, info_hash: bytes) -> PeerSwarm | None:
        """The swarm, if it has a peer."""
        return self._swarms.get(info_hash)

    def counts(self, info_hash: bytes) -> SwarmCounts:
        """For a scrape."""
        swarm = self._swarms.get(info_hash)
        if swarm is None:
            return SwarmCounts(downloaded=self._emptied.get(info_hash, 0))
        return swarm.counts()

    def newest(self, info_hash: bytes, limit: int) -> Iterator[bytes]:
        """The keys of up to ``limit`` standard peers, those that came last first."""
        swarm = self._swarms.get(info_hash)
        return islice(reversed(swarm.standard), limit) if swarm else iter(())

    def peer_at(self, info_hash: bytes, endpoint: bytes) -> bytes | None:
        """The key of the standard peer that listens there."""
        swarm = self._swarms.get(info_hash)
        return None if swarm is None else swarm.places.get(endpoint)

    # ---- standard peers

    def add_peer(self, record: PeerRecord) -> PeerSwarm:
        """A standard peer comes; its swarm, which stays as long as it does."""
        swarm = self._made(record.info_hash)
        swarm.add(record.key, record.ipv4, record.ipv6, record.complete)
        swarm.standard[record.key] = None
        swarm.settle(record)
        return swarm

    def replace_peer(self, before: PeerRecord, record: PeerRecord) -> None:
        """A standard peer has changed."""
        swarm = self._swarms[record.info_hash]
        swarm.unsettle(before)
        swarm.settle(record)
        swarm.remove(record.key, before.complete)
        swarm.add(record.key, record.ipv4, record.ipv6, record.complete)

    def remove_peer(self, record: PeerRecord) -> None:
        """A standard peer is gone."""
        swarm = self._swarms[record.info_hash]
        del swarm.standard[record.key]
        swarm.unsettle(record)
        self._remove(record.key, record.info_hash, record.complete)

    # ---- classroom nodes

    def add_node(self, node: NodeRecord, file: OwnedFile) -> None:
        """A node owns a file. Nothing happens without a TCP port and an info hash."""
        if node.tcp_port is not None and file.info_hash is not None:
            endpoint = encode_peer((node.addr[0], node.tcp_port))
            both = (endpoint, b"") if len(endpoint) == IPV4_SIZE else (b"", endpoint)
            self._made(bytes.fromhex(file.info_hash)).add(node.node_id, *both, file.complete)

    def remove_node(self, node: NodeRecord, file: OwnedFile) -> None:
        """The reverse of ``add_node``, with the same record."""
        if node.tcp_port is not None and file.info_hash is not None:
            self._remove(node.node_id, bytes.fromhex(file.info_hash), file.complete)

    def _made(self, info_hash: bytes) -> PeerSwarm:
        swarm = self._swarms.get(info_hash)
        if swarm is None:
            swarm = self._swarms[info_hash] = PeerSwarm(self._emptied.pop(info_hash, 0))
        return swarm

    def _remove(self, name: PeerName, info_hash: bytes, complete: bool) -> None:
        swarm = self._swarms[info_hash]
        swarm.remove(name, complete)
        if not (swarm.seeds or swarm.leechers):
            del self._swarms[info_hash]
            if swarm.downloaded:
                self._emptied[info_hash] = swarm.downloaded
                if len(self._emptied) > MAX_EMPTIED:
                    del self._emptied[next(iter(self._emptied))]


def endpoint_addr(endpoint: bytes) -> Addr:
    """The address of 6 or 18 bytes of a compact list."""
    return str(ipaddress.ip_address(endpoint[:-2])), int.from_bytes(endpoint[-2:], "big")
