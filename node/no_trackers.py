"""The trackers of a standard peer that asks none."""

from __future__ import annotations

from common.messages import OwnedFile
from common.metainfo import Metainfo
from node.discovery.announcer import TrackerAnnouncer
from node.trackers import Trackers


class NoTrackers(Trackers):
    """No tracker at all."""

    def __init__(self) -> None:
        """There is nothing to remember."""

    def enter(self, addr: tuple[str, int]) -> None:
        """Nothing to enter."""

    def of(self, info: Metainfo) -> list[TrackerAnnouncer]:
        """None."""
        return []

    def all(self) -> list[TrackerAnnouncer]:
        """None."""
        return []

    def withdraw(self, file: OwnedFile) -> None:
        """No tracker knows the file."""

    def leave(self) -> None:
        """Nothing to leave."""
