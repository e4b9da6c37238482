"""One tree of errors. A local fault is ours or our user's; a remote fault is somebody else's.

    SwarmError
    ├── LocalFault                 something here: fix it here
    │   ├── SettingError           a setting does not parse
    │   ├── CommandError           the user typed something that means nothing
    │   ├── FileFault              a file is missing, unreadable, changed, or in the way
    │   │   ├── DiskFull           no room left
    │   │   └── TransientFileFault       not just now: too many files are open, or this one is being renamed
    │   ├── StorageFault           the tracker cannot keep its records
    │   │   ├── StorageFull        no room left for them, for now
    │   │   ├── StorageReadOnly    the disk failed: nothing is written until somebody has looked
    │   │   └── StorageUnreachable        the server that keeps them does not answer, for now
    │   └── TrackerFull            the tracker holds as much as its limits allow
    └── RemoteFault                something that came from elsewhere: survive it
        ├── MalformedInput         bytes or fields that do not parse
        │   ├── BencodeError
        │   ├── MetainfoError
        │   ├── WireError          a datagram that is not ours
        │   └── MessageError       a field of a tracker request (names the field)
        ├── NodeConflict           a node_id is live at another address
        ├── Forbidden              a secret is missing or wrong (names the field)
        ├── RateLimited            too many requests (says when to try again)
        ├── TrackerUnavailable     no answer from the tracker
        │   └── TrackerBusy        it answers: not now (says when to ask again)
        ├── TrackerRefused         the tracker answered with an error
        ├── PeerFault             one owner failed us; others may not
        └── DownloadFailed         nobody is left who could help

Every message is one line that names what and where; it is shown to people as it stands.
"""

from __future__ import annotations


class SwarmError(Exception):
    """The root: everything this project raises on purpose."""


class LocalFault(SwarmError):
    """Something on this machine is wrong."""


class SettingError(LocalFault):
    """A setting (configs.py, environment, .env) does not parse."""


class CommandError(LocalFault):
    """A command that the user typed cannot be understood or carried out."""


class FileFault(LocalFault):
    """A local file is missing, unreadable, changed, or in the way."""


class DiskFull(FileFault):
    """The file system has no room left."""


class TransientFileFault(FileFault):
    """A file cannot be opened or read just now, but nothing says that it is not what it was."""


class StorageFault(LocalFault):
    """The tracker cannot read or write its records."""


class StorageFull(StorageFault):
    """The tracker's disk has no room for more records; it may have again."""


class StorageReadOnly(StorageFault):
    """The tracker's disk failed; its records can be read, and written only after a repair."""


class StorageUnreachable(StorageFault):
    """The server that keeps the tracker's records does not answer; it may again."""


class RemoteFault(SwarmError):
    """Something that came from outside is wrong, or did not come."""


class MalformedInput(RemoteFault):
    """Bytes or fields from outside that do not parse."""


class BencodeError(MalformedInput):
    """Not canonical bencoding (BEP 3)."""


class MetainfoError(MalformedInput):
    """Bencoded, but not a torrent that is safe and complete."""


class WireError(MalformedInput):
    """A datagram that is not of the classroom transport."""


class MessageError(MalformedInput):
    """A tracker request with a field missing or wrong; ``field`` names it."""

    def __init__(self, text: str, field: str) -> None:
        super().__init__(text)
        self.field = field


class TrackerUnavailable(RemoteFault):
    """The tracker did not answer."""


class TrackerBusy(TrackerUnavailable):
    """The tracker answered: not now. ``retry_after``: seconds until it wants to be asked again."""

    def __init__(self, text: str, status: int, retry_after: float) -> None:
        super().__init__(text)
        self.status = status  # of HTTP: 429, 503 or 507
        self.retry_after = retry_after


class TrackerRefused(RemoteFault):
    """The tracker answered with an error; ``status`` is the HTTP status, ``field`` what it names as wrong."""

    def __init__(self, text: str, status: int, field: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.field = field


class PeerFault(RemoteFault):
    """One owner failed: silent, gone, refusing, or lying."""


class DownloadFailed(RemoteFault):
    """A download ended without its file; the message says why."""


class NodeConflict(RemoteFault):
    """A node_id is live at another address."""


class TrackerFull(LocalFault):
    """The tracker holds as many nodes or files as its stated limit allows."""


class Forbidden(RemoteFault):
    """A secret that a request needs is missing or wrong; ``field`` names which."""

    def __init__(self, text: str, field: str) -> None:
        super().__init__(text)
        self.field = field


class RateLimited(RemoteFault):
    """Too many requests; ``retry_after`` seconds until the next one is taken."""

    def __init__(self, text: str, retry_after: float) -> None:
        super().__init__(text)
        self.retry_after = retry_after
