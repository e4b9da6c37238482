"""Events of a node as they happen. The rows of its answers are in ``node.rows``.

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
from node.rows import (
    DownloadStatus as DownloadStatus,
)
from node.rows import (
    FileStatus as FileStatus,
)
from node.rows import (
    ListedTorrent as ListedTorrent,
)
from node.rows import (
    MessagesStatus as MessagesStatus,
)
from node.rows import (
    PeerStatus as PeerStatus,
)
from node.rows import (
    PiecesStatus as PiecesStatus,
)
from node.rows import (
    SourceProgress as SourceProgress,
)
from node.rows import (
    TrackerStatus as TrackerStatus,
)


@dataclass(frozen=True)
class Event:
    """Base of all events."""

    @property
    def name(self) -> str:
        """The name in ``--json``: DownloadStarted is ``download_started``."""
        return _event_name(type(self).__name__)

    def as_json(self) -> dict[str, Any]:
        """The event as a dictionary for json.dumps."""
        return {"event": self.name, **as_fields(self)}


@functools.cache
def _event_name(class_name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", class_name).lower()


def as_fields(row: Any) -> dict[str, Any]:
    """A dataclass as a dictionary, with the dataclasses in its tuples. Faster than dataclasses.asdict."""
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
        """Call every subscriber, also after one that raises."""
        for sink in self._sinks:
            try:
                sink(event)
            except Exception as error:
                log(f"a subscriber failed on {event.name}: {error!r}")


@dataclass(frozen=True)
class Started(Event):
    """The node listens. Its tracker may not know it yet."""

    node_id: int | None  # None: a standard peer
    addr: tuple[str, int]
    transport: str = "udp"  # of this address
    pid: int = field(default_factory=os.getpid)  # of the process


@dataclass(frozen=True)
class Listening(Event):
    """The node listens over another transport, too."""

    transport: str  # "tcp"
    addr: tuple[str, int]


@dataclass(frozen=True)
class Stopped(Event):
    """The node left its trackers, if they answered, and stopped."""

    node_id: int | None


@dataclass(frozen=True)
class Capturing(Event):
    """All messages are captured from now on."""

    path: str
    limit: int  # bytes of the file


@dataclass(frozen=True)
class FaultsSet(Event):
    """From now on this node's messages suffer these faults; "": none. ``effects``: what follows from them."""

    spec: str
    effects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Misbehaving(Event):
    """This node misbehaves on purpose."""

    persona: str
    meaning: str


@dataclass(frozen=True)
class PartFailed(Event):
    """A user's own part (-use) failed; the built-in part works from now on."""

    reason: str


@dataclass(frozen=True)
class CaptureEnded(Event):
    """The capture ended before the node: nothing more is written to its file."""

    path: str
    reason: str


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
    """The tracker does not answer, or refuses. Emitted once for each of both until TrackerBack."""

    url: str
    reason: str
    refuses: bool = False


@dataclass(frozen=True)
class SecretNotSaved(Event):
    """The node's secret for a tracker is not on the disk. A later run cannot prove its node_id."""

    reason: str


@dataclass(frozen=True)
class NotAnnounced(Event):
    """The tracker does not know a shared file: it did not take the announcement."""

    url: str
    reason: str
    is_retried: bool  # False: the tracker would refuse it again


@dataclass(frozen=True)
class TrackerBack(Event):
    """The tracker answers again."""

    url: str


@dataclass(frozen=True)
class TrackerMoved(Event):
    """From now on the tracker is asked at ``url`` instead of ``before``."""

    url: str
    before: str
    reason: str  # why ``before`` failed; "": the preferred address is back


@dataclass(frozen=True)
class Metadata(Event):
    """A torrent is fetched from peers, of which only the info hash is known so far."""

    filename: str  # the magnet link's name, else the info hash
    info_hash: str
    peers: int  # that are known
    received: int  # bytes of the metadata
    size: int  # bytes of all of it; 0: not known yet
    reason: str  # what is awaited: "no peers yet", "2 peers, neither has the metadata", ...


@dataclass(frozen=True)
class Hashing(Event):
    """A new torrent or an existing file is being hashed."""

    filename: str
    done: int  # bytes
    size: int


@dataclass(frozen=True)
class Sharing(Event):
    """A file is served to peers."""

    filename: str
    info_hash: str
    size: int
    torrent: str  # path of the .torrent
    complete: bool = True
    is_selection: bool = False  # some files are not selected; ``size`` is that of the others


@dataclass(frozen=True)
class SharingStopped(Event):
    """A file is no longer served: it changed, vanished, or the user stopped it."""

    filename: str
    info_hash: str
    reason: str


@dataclass(frozen=True)
class Selected(Event):
    """The user chose which files of a torrent are fetched."""

    filename: str
    info_hash: str
    files: int  # how many
    size: int  # bytes of these files


@dataclass(frozen=True)
class DownloadStarted(Event):
    """A download begins, with ``verified`` bytes of an earlier one."""

    filename: str
    info_hash: str
    size: int
    verified: int
    piece_length: int


@dataclass(frozen=True)
class OwnersFound(Event):
    """Owners are known, best first; from now on ``chosen`` are sources."""

    filename: str
    info_hash: str
    owners: tuple[int | None, ...]
    chosen: tuple[int | None, ...]
    peers: tuple[str, ...] = ()  # the same as ``owners``: the node_id, or the address
    asked: tuple[str, ...] = ()  # the same as ``chosen``


@dataclass(frozen=True)
class Progress(Event):
    """The state of a download, a few times a second."""

    filename: str
    info_hash: str
    size: int
    received: int  # bytes in the part file, verified or not yet
    verified: int  # bytes verified
    rate: float  # bytes a second, over the last seconds
    eta: float | None  # seconds left; None: not known
    sources: tuple[SourceProgress, ...]


@dataclass(frozen=True)
class Piece(Event):
    """A piece was verified."""

    filename: str
    info_hash: str
    index: int
    sources: tuple[int | None, ...]  # node ids of the sources that delivered it
    peers: tuple[str, ...] = ()  # the same sources: the node_id, or the address


@dataclass(frozen=True)
class PieceFailed(Event):
    """A piece does not match its hash and is fetched again."""

    filename: str
    info_hash: str
    index: int
    sources: tuple[int | None, ...]
    peers: tuple[str, ...] = ()


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
class PeerChanged(Event):
    """A known peer of a download is new, or is used in another way than before, or for another reason."""

    filename: str
    info_hash: str
    node_id: int | None
    addr: tuple[str, int]
    transport: str
    state: str  # as in SourceProgress
    reason: str  # why the peer is not used
    received: int  # bytes

    @property
    def name(self) -> str:
        """The name in ``--json``."""
        return "peer"


@dataclass(frozen=True)
class Waiting(Event):
    """A download waits ``seconds`` for an owner, or for room on the disk."""

    filename: str
    info_hash: str
    seconds: float
    reason: str


@dataclass(frozen=True)
class Completed(Event):
    """Every piece is verified, and the file has its name."""

    filename: str
    info_hash: str
    path: str
    size: int
    seconds: float  # from the start to the finished file, with fsync
    transfer_seconds: float  # from the first request to the last verified piece
    rate: float  # bytes a second over transfer_seconds; 0: nothing was fetched
    sources: tuple[SourceProgress, ...]
    is_selection: bool = False  # some files are not selected; ``size`` is that of the others


@dataclass(frozen=True)
class Failed(Event):
    """A download ended without its file."""

    filename: str
    info_hash: str
    reason: str


@dataclass(frozen=True)
class Cancelled(Failed):
    """The user ended a download before it was complete."""
