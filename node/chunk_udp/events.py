"""A fetching connection's configuration, the events that it returns, and its counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class ConnectionConfig:
    """The parameters of a connection."""

    info_hash: bytes
    transfer_id: int  # 64 random bits: an attacker off the path cannot guess them, nor forge answers
    segment_size: int  # bytes of file in a segment that the path is believed to carry
    receive_limit: int  # bytes that may be outstanding without overflowing our receive buffer
    owner_timeout: float  # seconds of silence after which the owner has failed
    largest_segment: int = 0  # bytes to probe the path for; not probed if below ``segment_size``
    checked: bool = True  # ask for a checksum over every payload
    node_id: int | None = None  # sent to the owner, for its -peers
    poll_phase: float = 0.5  # from 0 to 1, random: spreads the first HAVE polls of fetchers


@dataclass(frozen=True)
class OwnerStatus:
    """The owner shares the torrent, of ``size`` bytes: all of it, or these pieces from ``first_piece`` on."""

    size: int
    complete: bool
    first_piece: int
    bitfield: bytes


class DataReceived(NamedTuple):
    """Requested bytes arrived: write ``payload`` at ``offset``."""

    offset: int
    payload: bytes | memoryview


@dataclass(frozen=True)
class NotHeld:
    """The owner does not hold ``ranges``: this connection will not deliver them."""

    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class NotRare:
    """The owner has just sent ``ranges`` to another fetcher, which will pass them on."""

    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class QueuedByOwner:
    """The owner serves other fetchers first. ``ranges`` had been requested, and come back."""

    queue_position: int  # from 1; 0 if its queue is full
    ranges: tuple[tuple[int, int], ...]


Event = OwnerStatus | DataReceived | NotHeld | NotRare | QueuedByOwner


@dataclass
class ConnectionStats:
    """Counts for people and tests: datagrams, or bytes by name."""

    received: int = 0
    malformed: int = 0
    stale: int = 0  # of another transfer, or in answer to nothing that is awaited
    duplicate_bytes: int = 0
    lost_bytes: int = 0
    probes: int = 0
    requested_bytes: int = 0
