"""The state of a node's torrents at one moment, as far as the log shows it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from node.report.names import PeerName


@dataclass(frozen=True)
class PeerUse:
    """A known peer of a download as its fetcher sees it: a row of ``-peers``."""

    transport: str
    state: str  # active, queued, choked, idle, unused, lost, suspect or banned
    place: int = 0  # in the peer's queue, from 1; 0: in none
    reason: str = ""  # why the peer is not used
    complete: bool | None = None  # it has all pieces; None: not known
    held: int | None = None  # pieces that it has; None: not known


@dataclass(frozen=True)
class SlotsView:
    """The upload slots of a torrent, and the peers that wait for one."""

    slots: int | None = None  # None: no limit
    served: tuple[PeerName, ...] = ()
    queue: tuple[PeerName, ...] = ()  # in order


@dataclass(frozen=True)
class TorrentSnapshot:
    """One torrent. Byte counts only grow during a run."""

    torrent: str  # the first 12 digits of its info hash
    known: Mapping[str, Any]  # the data of torrent:known, without ``torrent``
    state: str  # as in torrent:state
    reason: str = ""
    asked: Mapping[int, tuple[PeerName, ...]] = field(default_factory=dict)  # by piece
    received: frozenset[int] = frozenset()  # pieces that are here and whose hash is not known yet
    peers: Mapping[PeerName, PeerUse] = field(default_factory=dict)
    slots: SlotsView | None = None  # None: nothing is served
    bytes_in: Mapping[PeerName, int] = field(default_factory=dict)
    bytes_out: Mapping[PeerName, int] = field(default_factory=dict)
    down: int = 0  # bytes, counted apart from ``bytes_in``
    up: int = 0  # bytes, counted apart from ``bytes_out``
