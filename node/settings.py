"""The settings of a node as one frozen value, with units. The launcher makes it (node.cli)."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.errors import CommandError
from faults.spec import FaultSpec


@dataclass(frozen=True)
class TransferSettings:
    """How the classroom transport moves bytes."""

    # A name in node.chunk_udp.congestion, or a function that makes a controller from a segment size in bytes.
    congestion_control: str | Callable[[int], Any] = "bbr"
    segment_size: int = 7216  # max bytes of content in a datagram on a real network
    loopback_segment_size: int = 65472  # max bytes of content in a datagram over loopback
    max_datagram: int = 65527  # max bytes of a loopback datagram (IPv4 carries 65,507)
    datagram_limit: int = 9216  # max bytes of a datagram where the system does not say (not Linux)
    socket_buffer_size: int = 4 << 20  # bytes of receive buffer to ask the system for
    owner_timeout: float = 1.8  # seconds of silence after which a source is given up
    upload_limit: int | None = None  # bytes a second to send, without IP and UDP headers; None: no limit
    download_limit: int | None = None  # bytes a second for all downloads together; None: no limit
    upload_slots: int = 16  # peers served at a time; further peers are queued
    checked: bool | None = None  # True: payloads carry checksums; None: except over loopback


@dataclass(frozen=True)
class PeerWireSettings:
    """How BitTorrent's peer wire over TCP works."""

    port: int = 0  # TCP port to listen on; 0: any
    max_peers: int = 50  # connections of one torrent
    encryption: str = "prefer"  # prefer, require or off: how connections begin


@dataclass(frozen=True)
class NodeSettings:
    """All settings of a node."""

    node_id: int | None  # None: a standard peer, which takes no part in the classroom's modes
    folder: Path  # for torrents and downloads; created if missing
    trackers: tuple[str, ...]  # addresses of one tracker, http://HOST:PORT, the preferred first
    host: str = "127.0.0.1"  # address to listen on and announce
    port_range: tuple[int, int] = (1024, 65535)  # the listening port is one of these
    swarm_key: str = field(default="", repr=False)  # sent to these trackers only
    heartbeat: float = 20.0  # seconds between REGISTERs if the tracker asks for none
    tracker_timeout: float = 5.0  # max seconds to wait for an answer
    max_owners: int = 3  # complete owners a download fetches from at a time (MAX_SPLITTNES_RATE)
    max_partial_owners: int = 8  # partial owners that a download fetches from at a time
    hash_threads: int = 2
    search_limit: float = 60.0  # max seconds without an owner before a download fails
    room_limit: float = 300.0  # max seconds on a full disk before a download fails
    progress_interval: float = 0.25  # seconds between Progress events
    piece_order: Callable[[], Any] | None = None  # makes a PieceOrder in place of rarest first
    owner_ranking: Callable[[], Any] | None = None  # makes a ranking in place of the tracker's order
    # Makes a Choker in place of the peer wire's, of (rng, upload limit, a function that names a peer).
    choker: Callable[[random.Random, int | None, Callable[[Any], str]], Any] | None = None
    transfer: TransferSettings = TransferSettings()
    peer_wire: PeerWireSettings = PeerWireSettings()
    transports: tuple[str, ...] = ("udp", "tcp")  # the transports in use, the preferred one first
    peers: tuple[tuple[str, int], ...] = ()  # standard peers that the user named; for every torrent
    selected: frozenset[int] | None = None  # numbers of the files to fetch, from 1; None: all
    report: bool = False  # tell the tracker what happens here, for its page and log
    pcap: Path | None = None  # a file to which all messages are captured
    faults: FaultSpec | None = None  # done to this node's messages; None: it cannot have faults later either
    persona: str = ""  # a name in node.personas: how the node misbehaves; "": not at all
    seeds: bool = True  # False: the program ends once its download is complete

    @property
    def classroom_id(self) -> int:
        """The node's number in the classroom; CommandError of a standard peer, which has none."""
        if self.node_id is None:
            raise CommandError("a standard peer takes no part in the classroom: -node_id is wanted")
        return self.node_id
