"""What a node tells about itself: events as they happen, and rows for -status, -files and -peers.

Events are handed to the one function a Node was given; it is called from any thread and must return
quickly. ``as_json`` is what ``--json`` prints: ``{"event": name, ...fields}``.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SourceProgress:
    """One source of a download so far."""

    node_id: int | None
    addr: tuple[str, int]
    received: int  # bytes taken from it
    rate: float  # bytes a second, lately
    state: str  # active, queued (in its line), idle, lost, doubted (wrong bytes, maybe by the path), blamed
    reason: str = ""  # why it is not used, for people
    complete: bool = True  # whether it has, as far as it is known, the whole file
    held: int | None = None  # pieces that it holds, as it told; None: all, or not known


@dataclass(frozen=True)
class Event:
    """Something that happened."""

    @property
    def name(self) -> str:
        """The event's name in ``--json``: DownloadStarted is ``download_started``."""
        return _event_name(type(self).__name__)

    def as_json(self) -> dict[str, Any]:
        """A dictionary that json.dumps takes."""
        return {"event": self.name, **as_fields(self)}


@functools.cache
def _event_name(class_name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", class_name).lower()


def as_fields(row: Any) -> dict[str, Any]:
    """A dataclass as a dictionary, and those in its tuples too; far cheaper than dataclasses.asdict."""
    fields = dict(vars(row))
    for name, value in fields.items():
        if isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
            fields[name] = [as_fields(item) for item in value]
    return fields


EventSink = Callable[[Event], None]


@dataclass(frozen=True)
class Started(Event):
    """The node listens; the tracker may or may not know it yet."""

    node_id: int
    addr: tuple[str, int]


@dataclass(frozen=True)
class Stopped(Event):
    """The node has said EXIT (if it could) and is gone."""

    node_id: int


@dataclass(frozen=True)
class TrackerLost(Event):
    """The tracker does not answer; said once, until it is back."""

    url: str
    reason: str


@dataclass(frozen=True)
class TrackerBack(Event):
    """The tracker answers again."""

    url: str


@dataclass(frozen=True)
class TrackerMoved(Event):
    """Another one of the tracker's addresses answers from now on: ``url``, and no more ``before``."""

    url: str
    before: str
    reason: str  # what is the matter with the one before; "": nothing, the preferred one is back


@dataclass(frozen=True)
class Hashing(Event):
    """A torrent is being created, or a part being re-verified."""

    filename: str
    done: int  # bytes
    size: int


@dataclass(frozen=True)
class Sharing(Event):
    """A file is offered to others."""

    filename: str
    info_hash: str
    size: int
    torrent: str  # path of the .torrent
    complete: bool = True


@dataclass(frozen=True)
class SharingStopped(Event):
    """A file is no longer offered (it changed, shrank or vanished)."""

    filename: str
    info_hash: str
    reason: str


@dataclass(frozen=True)
class DownloadStarted(Event):
    """A download begins or goes on; ``verified`` bytes are here already."""

    filename: str
    info_hash: str
    size: int
    verified: int
    piece_length: int


@dataclass(frozen=True)
class OwnersFound(Event):
    """The tracker named owners, best first; ``chosen`` of them are asked."""

    filename: str
    info_hash: str
    owners: tuple[int | None, ...]
    chosen: tuple[int | None, ...]


@dataclass(frozen=True)
class Progress(Event):
    """How far a download is, a few times a second."""

    filename: str
    info_hash: str
    size: int
    received: int  # bytes in the part file, verified or not
    verified: int  # bytes verified
    rate: float  # bytes a second, lately
    eta: float | None  # seconds left, if anything moves
    sources: tuple[SourceProgress, ...]


@dataclass(frozen=True)
class Piece(Event):
    """A piece was verified."""

    filename: str
    info_hash: str
    index: int
    sources: tuple[int | None, ...]  # node ids that delivered it


@dataclass(frozen=True)
class PieceFailed(Event):
    """A piece did not match its hash and will be fetched again."""

    filename: str
    info_hash: str
    index: int
    sources: tuple[int | None, ...]


@dataclass(frozen=True)
class OwnerLost(Event):
    """An owner is not asked any more (for now, or for good if ``blamed``); its rest goes to others."""

    filename: str
    info_hash: str
    node_id: int | None
    addr: tuple[str, int]
    reason: str
    blamed: bool = False


@dataclass(frozen=True)
class Waiting(Event):
    """Nothing moves: no owner (the tracker is asked again), or no room; next try after ``seconds``."""

    filename: str
    info_hash: str
    seconds: float
    reason: str


@dataclass(frozen=True)
class Completed(Event):
    """Every piece verified, on disk, in place."""

    filename: str
    info_hash: str
    path: str
    size: int
    seconds: float  # from start to in place, fsync included
    transfer_seconds: float  # from the first request until the last piece was verified
    rate: float  # bytes fetched a second over transfer_seconds; 0 if nothing was fetched
    sources: tuple[SourceProgress, ...]


@dataclass(frozen=True)
class Failed(Event):
    """A download ended without its file."""

    filename: str
    info_hash: str
    reason: str


@dataclass(frozen=True)
class DownloadStatus:
    """A row of ``torrent -status``."""

    filename: str
    info_hash: str
    state: str  # "waiting" (for its turn, or for room), "checking", "searching", "fetching", "finishing",
    # "completed", "failed", "cancelled"
    size: int
    verified: int
    received: int
    rate: float
    eta: float | None
    reason: str
    sources: tuple[SourceProgress, ...]


@dataclass(frozen=True)
class FileStatus:
    """A row of ``torrent -files``."""

    filename: str
    info_hash: str
    size: int
    complete: bool
    path: str
    uploaded: int  # bytes sent to others since start
    state: str  # "sharing", "stopped: why", ...


@dataclass(frozen=True)
class PeerStatus:
    """A row of ``torrent -peers``: a node we fetch from, fetched from, could not use, or serve."""

    node_id: int | None  # not known for those who fetch from us
    addr: tuple[str, int]
    filename: str
    direction: str  # "from" or "to"
    amount: int  # bytes
    rate: float
    state: str
    reason: str  # why it is not used
    complete: bool | None = None  # whether it has the whole file; None: not known
    held: int | None = None  # pieces that it holds, if it told so


@dataclass(frozen=True)
class TrackerStatus:
    """A tracker that this node belongs to, told with ``torrent -peers``."""

    url: str  # the address that answered last
    urls: tuple[str, ...]  # all of its addresses, the preferred one first
    answers: bool
    state: str = "answers"  # "answers", "refuses", "does not answer", "not asked yet"
    reason: str = ""  # why it does not answer, or what it refuses
    silent_for: float | None = None  # seconds since its last answer; None: it never answered
