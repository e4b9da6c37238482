"""The errors that this project raises on purpose, in one tree.

A local fault can be corrected on this machine. A remote fault comes from another machine: the program must
survive it.

    SwarmError
    ├── LocalFault
    │   ├── SettingError               a setting does not parse
    │   ├── CommandError               a command that the user typed is not understood
    │   ├── PluginError                a user's own class (-use) cannot be loaded, or failed
    │   ├── FileFault                  a file is missing, unreadable, changed, or in the way
    │   │   ├── DiskFull               the file system has no room
    │   │   └── TransientFileFault     a file cannot be read at the moment: too many are open, or it is locked
    │   ├── StorageFault               the tracker cannot read or write its records
    │   │   ├── StorageFull            the disk has no room for them
    │   │   ├── StorageReadOnly        the disk failed; nothing is written before a repair
    │   │   └── StorageUnreachable     the server that keeps them does not answer
    │   ├── PageError                  the dashboard's files cannot be put into one file
    │   └── TrackerFull                the tracker reached a limit of its records
    └── RemoteFault
        ├── MalformedInput             bytes or fields do not parse
        │   ├── BencodeError
        │   ├── MetainfoError
        │   ├── MagnetError
        │   ├── WireError              a datagram of another protocol
        │   ├── TrackerPacketError     a packet or list of peers of a BitTorrent tracker does not parse
        │   ├── PeerWireError          bytes that do not follow the BitTorrent peer wire
        │   ├── MessageError           a field of a tracker request is missing or wrong
        │   ├── EventError             an event does not follow the log's vocabulary
        │   └── RecordingError         a file is no recording, or ends in the middle of a line
        ├── NodeConflict               a node_id is live at another address
        ├── Forbidden                  a secret is missing or wrong
        ├── RateLimited                too many requests
        ├── TrackerUnavailable         the tracker does not answer
        │   ├── TrackerBusy            the tracker answers that it cannot answer now
        │   └── NoClassroomTracker     a server answers there, but knows none of the classroom's requests
        ├── TrackerRefused             the tracker answered with an error
        ├── PeerFault                  one peer failed; other peers may not
        └── DownloadFailed             a download ended without its file

Every message is one line that names the thing and the place. It is shown to people unchanged.
"""

from __future__ import annotations


class SwarmError(Exception):
    """The root of the tree."""


class LocalFault(SwarmError):
    """A fault on this machine."""


class SettingError(LocalFault):
    """A setting (configs.py, environment, .env) does not parse."""


class CommandError(LocalFault):
    """A command that the user typed cannot be understood or carried out."""


class PluginError(LocalFault):
    """A user's own class (``-use FILE.py:Class``) cannot be loaded, or failed in a call."""


class PageError(LocalFault):
    """A file of the dashboard is missing, or has a form that ``common.one_page`` cannot assemble."""


class FileFault(LocalFault):
    """A local file is missing, unreadable, changed, or in the way."""


class DiskFull(FileFault):
    """The file system has no room left."""


class TransientFileFault(FileFault):
    """A file cannot be opened or read at the moment. Its content may be unchanged."""


class StorageFault(LocalFault):
    """The tracker cannot read or write its records."""


class StorageFull(StorageFault):
    """The tracker's disk has no room for more records at the moment."""


class StorageReadOnly(StorageFault):
    """The tracker's disk failed. Its records can be read, but not written before a repair."""


class StorageUnreachable(StorageFault):
    """The server that keeps the tracker's records does not answer at the moment."""


class RemoteFault(SwarmError):
    """Data from another machine is wrong or missing."""


class MalformedInput(RemoteFault):
    """Bytes or fields from another machine do not parse."""


class BencodeError(MalformedInput):
    """Not canonical bencoding (BEP 3)."""


class MetainfoError(MalformedInput):
    """Not a torrent that is safe, whole and consistent."""


class MagnetError(MalformedInput):
    """Not a magnet link that names a torrent this program can fetch."""


class WireError(MalformedInput):
    """A datagram that does not follow the classroom's UDP protocol."""


class TrackerPacketError(MalformedInput):
    """A UDP tracker packet (BEP 15) or a compact list of peers (BEP 23, BEP 7) does not parse."""


class PeerWireError(MalformedInput):
    """Bytes that do not follow the BitTorrent peer wire (BEP 3, 6, 9, 10, MSE)."""


class MessageError(MalformedInput):
    """A field of a tracker request is missing or wrong; ``field`` is its name."""

    def __init__(self, text: str, field: str) -> None:
        super().__init__(text)
        self.field = field


class EventError(MalformedInput):
    """An event of the swarm's log does not follow the vocabulary (common/events.py)."""


class RecordingError(MalformedInput):
    """A file is no recording of a swarm, or is cut."""


class TrackerUnavailable(RemoteFault):
    """The tracker did not answer."""


class TrackerBusy(TrackerUnavailable):
    """The tracker cannot answer now. ``retry_after``: seconds until the next request."""

    def __init__(self, text: str, status: int, retry_after: float) -> None:
        super().__init__(text)
        self.status = status  # HTTP: 429, 503 or 507
        self.retry_after = retry_after


class NoClassroomTracker(TrackerUnavailable):
    """A server answers, but does not know the classroom's requests. It may be a standard tracker."""


class TrackerRefused(RemoteFault):
    """The tracker answered with an error: the HTTP ``status``, and the wrong ``field`` if it named one.

    ``retry_in``: seconds until it may be asked again; infinite: never; None: not given.
    """

    def __init__(self, text: str, status: int, field: str = "", retry_in: float | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.field = field
        self.retry_in = retry_in


class PeerFault(RemoteFault):
    """One peer failed: it is silent, gone, refuses requests, or sent wrong bytes."""


class DownloadFailed(RemoteFault):
    """A download ended without its file. The message gives the reason."""


class NodeConflict(RemoteFault):
    """A node_id is live at another address."""


class TrackerFull(LocalFault):
    """The tracker reached its limit of nodes, files or owners."""


class Forbidden(RemoteFault):
    """The secret of a request is missing or wrong; ``field`` is its name.

    ``retry_after``: seconds until the claim may have ended; None: waiting does not help.
    """

    def __init__(self, text: str, field: str, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.field = field
        self.retry_after = retry_after


class RateLimited(RemoteFault):
    """Too many requests. ``retry_after``: seconds until the next request is accepted."""

    def __init__(self, text: str, retry_after: float) -> None:
        super().__init__(text)
        self.retry_after = retry_after
