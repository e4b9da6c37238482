"""Events of a node as they happen, and rows for -status, -files and -peers.

A Node hands its events to one function, usually ``EventBus.emit``. ``--json`` prints ``as_json`` of each:
``{"event": name, ...fields}``.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from common.logs import log


@dataclass(frozen=True)
class SourceProgress:
    """One source of a download so far."""

    node_id: int | None
    addr: tuple[str, int]
    received: int  # bytes taken from it
    rate: float  # bytes a second, lately
    state: str  # active, queued, idle, lost, suspect (sent wrong bytes, or its path did), banned
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


class EventBus:
    """Hands each event to every subscriber, in the order of subscription, on the thread that emits it."""

    def __init__(self) -> None:
        self._sinks: tuple[EventSink, ...] = ()

    def subscribe(self, sink: EventSink) -> None:
        """Call ``sink`` with every event from now on, from any thread. It must return quickly."""
        self._sinks = (*self._sinks, sink)

    def emit(self, event: Event) -> None:
        """Tell all subscribers. A subscriber that raises does not keep the event from the others."""
        for sink in self._sinks:
            try:
                sink(event)
            except Exception as error:
                log(f"a subscriber failed on {event.name}: {error!r}")


@dataclass(frozen=True)
class Started(Event):
    """The node listens. Its tracker may not know it yet."""

    node_id: int
    addr: tuple[str, int]
    pid: int = field(default_factory=os.getpid)  # of the process


@dataclass(frozen=True)
class Stopped(Event):
    """The node has said EXIT (if it could) and is gone."""

    node_id: int


@dataclass(frozen=True)
class FilesNotShared(Event):
    """Files in the node's folder that are not shared; sent at the start, if there are any."""

    folder: str
    filenames: tuple[str, ...]  # the first of them, in order of their names
    count: int  # all of them


@dataclass(frozen=True)
class AddressLost(Event):
    """The address that the node announces is not this machine's any more: no node can reach it."""

    host: str


@dataclass(frozen=True)
class AddressRestored(Event):
    """The address that the node announces is this machine's again."""

    host: str


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
    """An owner is not asked any more: for a while, or never if ``banned``. Other owners get its requests."""

    filename: str
    info_hash: str
    node_id: int | None
    addr: tuple[str, int]
    reason: str
    banned: bool = False


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
class Cancelled(Failed):
    """The user ended a download before it was complete."""


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
