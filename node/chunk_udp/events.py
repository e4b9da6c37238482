"""What a fetching connection is made with, what it reports, and what it counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class ConnectionConfig:
    """What a connection is made with."""

    info_hash: bytes
    transfer_id: int  # random 64 bits: what makes answers unguessable for those who do not see them
    segment_size: int  # bytes of file in a segment that the path is believed to carry
    receive_limit: int  # bytes that may be outstanding before our own receive buffer would overflow
    owner_timeout: float  # seconds of silence after which the owner is given up
    largest_segment: int = (
        0  # bytes: what to try to get the path to carry; less than the other: no more than it
    )
    checked: bool = True  # ask for a checksum over every segment's payload
    node_id: int | None = None  # told to the owner, for its -peers
    poll_phase: float = (
        0.5  # from 0 to 1, random: spreads the first HAVE polls of fetchers that begin together
    )


@dataclass(frozen=True)
class OwnerStatus:
    """The owner shares the torrent: its size in bytes, whether it has all, else which pieces from where."""

    size: int
    complete: bool
    first_piece: int
    bitfield: bytes


class DataReceived(NamedTuple):
    """Bytes that were asked for are here: write ``payload`` at ``offset``."""

    offset: int
    payload: bytes | memoryview


@dataclass(frozen=True)
class NotHeld:
    """The owner does not hold ``spans`` after all: they will not come from it."""

    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class NotRare:
    """The owner has just sent ``spans`` to somebody else, who will pass them on: something else, please."""

    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class QueuedByOwner:
    """The owner serves others first: we are ``place``-th in line. ``spans`` had been asked for in vain."""

    place: int
    spans: tuple[tuple[int, int], ...]


Event = OwnerStatus | DataReceived | NotHeld | NotRare | QueuedByOwner


@dataclass
class ConnectionStats:
    """What happened, for people and tests; all in datagrams but ``*_bytes``."""

    received: int = 0
    malformed: int = 0
    stale: int = 0  # of another transfer, or of nothing we know
    duplicate_bytes: int = 0
    lost_bytes: int = 0
    probes: int = 0
    requested_bytes: int = 0
