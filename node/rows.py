"""Rows of -status, -files, -peers, -pieces and -list. ``--json`` prints them with these names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SourceProgress:
    """A known peer of a download, and what it delivered."""

    node_id: int | None
    addr: tuple[str, int]
    received: int  # bytes
    rate: float  # bytes a second, over the last seconds
    state: str  # active, queued, idle, lost, suspect (sent wrong bytes, or its path did), banned
    reason: str = ""  # why the peer is not used
    complete: bool = True  # False: it announced only a part of the file
    held: int | None = None  # pieces that it holds; None: all, or not known
    transport: str = "udp"
    place: int = 0  # in the peer's queue, from 1; 0: in none


@dataclass(frozen=True)
class DownloadStatus:
    """A row of ``torrent -status``."""

    filename: str
    info_hash: str
    state: str  # "waiting" (for its turn, or for room), "checking", "searching", "fetching", "finishing",
    # "completed", "failed", "cancelled", "paused"
    size: int  # bytes of the selected files
    verified: int  # bytes of these files
    received: int  # bytes of these files, verified or not
    rate: float
    eta: float | None
    reason: str
    sources: tuple[SourceProgress, ...]
    availability: float | None = None  # copies of the rarest piece, and the part of pieces with more


@dataclass(frozen=True)
class PiecesStatus:
    """The answer to ``torrent -pieces``.

    ``states``, a letter a piece: v verified, f being fetched, m missing, x missing and no known peer has it,
    u not selected. ``copies[n]``: how many pieces have ``n`` copies, this node's own among them; the last
    entry: so many or more.
    """

    filename: str
    info_hash: str
    piece_length: int
    states: str
    copies: tuple[int, ...] = ()
    availability: float | None = None


@dataclass(frozen=True)
class ListedTorrent:
    """A row of ``torrent -list``: a torrent that the tracker knows."""

    filename: str
    info_hash: str  # "" if no owner stated it
    size: int | None  # bytes; None: no owner stated it
    owners: int  # classroom nodes that have it, or a part
    complete: int  # owners and standard peers that have the whole content
    peers: int = 0  # standard peers


@dataclass(frozen=True)
class FileStatus:
    """A row of ``torrent -files``."""

    filename: str
    info_hash: str
    size: int
    complete: bool
    path: str
    uploaded: int  # bytes sent to peers since the start
    state: str  # "sharing", "stopped: why", ...


@dataclass(frozen=True)
class PeerStatus:
    """A row of ``torrent -peers``: a peer that is a source, was one, was not used, or is served."""

    node_id: int | None  # None: not known
    addr: tuple[str, int]
    filename: str
    direction: str  # "from" or "to"
    amount: int  # bytes
    rate: float
    state: str
    reason: str  # why the peer is not used, or waits
    complete: bool | None = None  # True: it has the whole file; None: not known
    held: int | None = None  # pieces that it holds; None: not known
    transport: str = "udp"
    client: str = ""  # the program of a standard peer, as it says


@dataclass(frozen=True)
class MessagesStatus:
    """The answer to ``torrent -dump``: rows as ``node.recorder.rows`` describes them, oldest first."""

    messages: tuple[Any, ...]


@dataclass(frozen=True)
class TrackerStatus:
    """A row of ``torrent -peers`` about a tracker of this node."""

    url: str  # the address that answered last
    urls: tuple[str, ...]  # all of its addresses, the preferred first
    answers: bool
    state: str = "answers"  # "answers", "refuses", "does not answer", "not asked yet"
    reason: str = ""  # why it does not answer, or what it refuses
    silent_for: float | None = None  # seconds since its last answer; None: it never answered
