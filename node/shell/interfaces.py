"""What the shell needs of a node and of a screen; the launcher hands both in."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

from common.errors import SwarmError
from node.events import DownloadStatus, FileStatus, PeerStatus, TrackerStatus


class RunningDownload(Protocol):
    """A download in the background."""

    @property
    def done(self) -> threading.Event:
        """Set at the end, good or bad."""

    @property
    def error(self) -> SwarmError | None:
        """Why there is no file; None while it goes on and when it is in place."""


class DrivenNode(Protocol):
    """A node that entered the torrent. Methods raise SwarmError where that is said."""

    def set_send_mode(self, filename: str) -> FileStatus:
        """Share a file; blocks while it is hashed. Raises SwarmError."""

    def set_download_mode(self, torrent_filename: str) -> RunningDownload:
        """Fetch a file in the background. Raises SwarmError."""

    def status(self) -> Sequence[DownloadStatus]:
        """Downloads of this run."""

    def files(self) -> Sequence[FileStatus]:
        """Files of this node."""

    def peers(self) -> Sequence[PeerStatus]:
        """Other nodes."""

    def trackers(self) -> Sequence[TrackerStatus]:
        """The trackers that this node belongs to."""

    def wait_for_downloads(self, timeout: float | None = None) -> bool:
        """Wait until no download goes on; False if ``timeout`` seconds were not enough."""

    def is_sharing(self) -> bool:
        """Whether others can fetch anything here."""


class Screen(Protocol):
    """Where answers go; safe to call from any thread, returns at once."""

    def say(self, text: str) -> None:
        """Some lines for the user."""

    def error(self, text: str) -> None:
        """What went wrong, in one line."""

    def flush(self) -> None:
        """Wait, a moment at most, until everything so far is shown."""

    def status(self, rows: Sequence[DownloadStatus]) -> None:
        """Answer to -status."""

    def files(self, rows: Sequence[FileStatus]) -> None:
        """Answer to -files."""

    def peers(self, rows: Sequence[PeerStatus], trackers: Sequence[TrackerStatus]) -> None:
        """Answer to -peers."""
