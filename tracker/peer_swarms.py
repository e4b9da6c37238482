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

IPV4_SIZE, IPV6_SIZE = ENTRY_SIZE[4], ENTRY_SIZE[6]  # bytes of an endpoint


class PeerGroup:
    """The seeds of a swarm, or its leechers."""

    __slots__ = ("count", "ipv4", "ipv6")

    def __init__(self) -> None:
        self.count = 0  # a peer with two addresses counts once
        self.ipv4, self.ipv6 = CompactList(IPV4_SIZE), CompactList(IPV6_SIZE)

    def add(self, name: PeerName, ipv4: bytes, ipv6: bytes) -> None:
        """Add a peer with its endpoints; b"" for none."""
        self.count += 1
        if ipv4:
            self.ipv4.add(name, ipv4)
        if ipv6:
            self.ipv6.add(name, ipv6)

    def remove(self, name: PeerName) -> None:
        """Remove a peer."""
        self.count -= 1
        self.ipv4.remove(name)
        self.ipv6.remove(name)


class PeerSwarm:
    """The peers of one info hash."""

    __slots__ = ("seeds", "leechers", "downloaded", "standard")

    def __init__(self) -> None:
        self.seeds, self.leechers = PeerGroup(), PeerGroup()
        self.downloaded = 0  # downloads that standard peers completed, since the swarm came up
        self.standard: dict[bytes, None] = {}  # the standard peers, the newest last

    def group(self, complete: bool) -> PeerGroup:
        """The seeds, or the leechers."""
        return self.seeds if complete else self.leechers

    def counts(self) -> SwarmCounts:
        """For a scrape."""
        return SwarmCounts(self.seeds.count, self.downloaded, self.leechers.count)

    def answer(self, call: Announcement, rng: random.Random) -> PeerAnswer:
        """Up to ``call.wanted`` peers of each address family, without the one that asks.

        A seed is given leechers only. A leecher is given leechers for at least half of the list, if there are
        so many: they have upload to spare, and seeds are few.
        """
        chance, seeds, leechers = rng.random(), self.seeds, self.leechers
        ipv4, names = _choose(seeds.ipv4, leechers.ipv4, call, chance)
        ipv6, more = b"", names[:0]
        if seeds.ipv6 or leechers.ipv6:
            ipv6, more = _choose(seeds.ipv6, leechers.ipv6, call, chance)
        return PeerAnswer(seeds.count, leechers.count, ipv4, ipv6, [*names, *more])


def _choose(
    seeds: CompactList, leechers: CompactList, call: Announcement, chance: float
) -> tuple[bytes, list[PeerName]]:
    key, wanted = call.key, call.wanted
    at_least = wanted if call.complete else max(wanted // 2, wanted - len(seeds))
    start, count = leechers.window(at_least, key, chance)
    endpoints = leechers.endpoints(start, count)
    names = leechers.names(start, count) if call.with_ids else []
    if not call.complete and count < wanted:
        start, count = seeds.window(wanted - count, key, chance)
        endpoints += seeds.endpoints(start, count)
        if call.with_ids:
            names += seeds.names(start, count)
    return endpoints, names


class PeerSwarms:
    """All swarms with a peer that can be reached over TCP."""

    def __init__(self) -> None:
        self._swarms: dict[bytes, PeerSwarm] = {}  # by info hash

    def get(self, info_hash: bytes) -> PeerSwarm | None:
        """The swarm, if it has a peer."""
        return self._swarms.get(info_hash)

    def newest(self, info_hash: bytes, limit: int) -> Iterator[bytes]:
        """The keys of up to ``limit`` standard peers, those that came last first."""
        swarm = self._swarms.get(info_hash)
        return islice(reversed(swarm.standard), limit) if swarm else iter(())

    # ---- standard peers

    def add_peer(self, record: PeerRecord) -> None:
        """A standard peer comes."""
        swarm = self._made(record.info_hash)
        swarm.group(record.complete).add(record.key, record.ipv4, record.ipv6)
        swarm.standard[record.key] = None

    def replace_peer(self, before: PeerRecord, record: PeerRecord) -> None:
        """A standard peer has changed."""
        swarm = self._swarms[record.info_hash]
        swarm.group(before.complete).remove(record.key)
        swarm.group(record.complete).add(record.key, record.ipv4, record.ipv6)

    def remove_peer(self, record: PeerRecord) -> None:
        """A standard peer is gone."""
        del self._swarms[record.info_hash].standard[record.key]
        self._remove(record.key, record.info_hash, record.complete)

    # ---- classroom nodes

    def add_node(self, node: NodeRecord, file: OwnedFile) -> None:
        """A node owns a file. Nothing happens without a TCP port and an info hash."""
        if node.tcp_port is not None and file.info_hash is not None:
            endpoint = encode_peer((node.addr[0], node.tcp_port))
            both = (endpoint, b"") if len(endpoint) == IPV4_SIZE else (b"", endpoint)
            self._made(bytes.fromhex(file.info_hash)).group(file.complete).add(node.node_id, *both)

    def remove_node(self, node: NodeRecord, file: OwnedFile) -> None:
        """The reverse of ``add_node``, with the same record."""
        if node.tcp_port is not None and file.info_hash is not None:
            self._remove(node.node_id, bytes.fromhex(file.info_hash), file.complete)

    def _made(self, info_hash: bytes) -> PeerSwarm:
        swarm = self._swarms.get(info_hash)
        if swarm is None:
            swarm = self._swarms[info_hash] = PeerSwarm()
        return swarm

    def _remove(self, name: PeerName, info_hash: bytes, complete: bool) -> None:
        swarm = self._swarms[info_hash]
        swarm.group(complete).remove(name)
        if not (swarm.seeds.count or swarm.leechers.count):
            del self._swarms[info_hash]


def endpoint_addr(endpoint: bytes) -> Addr:
    """The address of 6 or 18 bytes of a compact list."""
    return str(ipaddress.ip_address(endpoint[:-2])), int.from_bytes(endpoint[-2:], "big")
