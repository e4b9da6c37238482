"""Notes of transports about their connections, for people: no transfer depends on them. Pure.

Times are monotonic seconds, ranges are half-open bytes of the content.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from node.peer import Peer


class ConnectionSample(NamedTuple):
    """The limits of a connection's requests at present."""

    window: int  # bytes that may be outstanding
    rtt: float | None  # seconds; the smoothed round-trip time, None: not measured yet
    outstanding: int  # bytes that were requested and have not arrived


class RangeLost(NamedTuple):
    """A connection took ``[start, end)`` for lost."""

    peer: Peer
    info_hash: bytes
    at: float
    start: int
    end: int
    request: int  # sequence number of the REQUEST that asked for it
    reason: str  # how that was noticed


class RangeRepaired(NamedTuple):
    """All bytes of a lost range are here."""

    peer: Peer
    info_hash: bytes
    at: float
    lost: RangeLost
    by: str  # "asked again", or "late": the first answer came after all
    again: int  # sequence number of the REQUEST that brought the last of them; 0: none did
    delay: float  # seconds after the time at which they should have arrived
    cost: int  # bytes that were sent once more, with headers


class WindowReduced(NamedTuple):
    """A congestion controller made its window smaller."""

    peer: Peer
    info_hash: bytes
    at: float
    window: int  # bytes
    reason: str


ConnectionNote: TypeAlias = RangeLost | RangeRepaired | WindowReduced  # for people, not for the transfer


class SlotsStatus(NamedTuple):
    """The upload slots of one torrent at one transport."""

    slots: int | None  # how many there are; None: no limit
    served: tuple[Peer, ...]
    queue: tuple[Peer, ...]  # the peers that wait, in order


@dataclass(frozen=True)
class UploadStatus:
    """A row of ``-peers`` about a peer that is being served, or was."""

    peer: Peer
    info_hash: bytes
    uploaded: int  # bytes so far
    rate: float  # bytes a second, over the last seconds
    queue_position: int | None = None  # from 1; None: served
    reason: str = ""  # why it waits
    client: str = ""  # the program of a standard peer, from its handshake
