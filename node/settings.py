"""What a node is told by its launcher: one frozen value, with units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class TransferSettings:
    """How the classroom transport moves bytes."""

    # A name in node.chunk_udp.congestion, or a function that makes a controller from a segment size in bytes.
    congestion_control: str | Callable[[int], Any] = "bbr"
    segment_size: int = 7216  # bytes of file in a datagram on a real network, at most
    loopback_segment_size: int = 65472  # the same over loopback
    max_datagram: int = 65527  # bytes of a loopback datagram, at most (IPv4 itself carries 65,507)
    datagram_limit: int = 9216  # the same where the system's own limit is not known (not Linux)
    socket_buffer_size: int = 4 << 20  # bytes of receive buffer to ask for
    owner_timeout: float = 1.8  # seconds of silence after which an owner is given up
    upload_limit: int | None = None  # bytes a second that the owner sends (datagrams, less IP and UDP)
    download_limit: int | None = None  # bytes a second that all downloads fetch together
    upload_slots: int = 16  # transfers served at a time; others wait in line
    checked: bool | None = None  # whether payloads carry a checksum; None: all but those over loopback


@dataclass(frozen=True)
class NodeSettings:
    """Everything a node needs to know of the outside."""

    node_id: int
    folder: Path  # where torrents and downloads land; made if missing
    trackers: tuple[str, ...]  # http://HOST:PORT, addresses of one tracker, the preferred one first
    host: str = "127.0.0.1"  # address to listen on and announce
    port_range: tuple[int, int] = (1024, 65535)  # the listening port lies in here
    swarm_key: str = field(default="", repr=False)  # shown to these trackers, and to no others
    heartbeat: float = 20.0  # seconds between REGISTERs, unless the tracker says otherwise
    tracker_timeout: float = 5.0  # seconds to wait for an answer
    max_owners: int = 3  # complete owners a download fetches from at a time (MAX_SPLITTNES_RATE)
    max_partial_owners: int = 8  # partial ones besides
    hash_threads: int = 2
    search_limit: float = 60.0  # seconds to look for an owner before a download fails
    room_limit: float = 300.0  # seconds to wait for room on a full disk before a download fails
    progress_interval: float = 0.25  # seconds between Progress events
    piece_order: Callable[[], Any] | None = None  # makes a PieceOrder in place of rarest first
    owner_ranking: Callable[[], Any] | None = None  # makes a ranking in place of the tracker's order
    transfer: TransferSettings = TransferSettings()
