"""Notices of the service: the change or question of a request, as a few references. Pure.

A notice is made while a request is answered, so it costs next to nothing. ``tracker_events`` turns it into
events later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from common.addresses import Addr
from common.messages import OwnedFile, OwnerEntry, PeerEntry


class RegisterNotice(NamedTuple):
    """REGISTER of a node that is new here, or at another address."""

    node_id: int
    addr: Addr


class OwnNotice(NamedTuple):
    """OWN that changed the records."""

    node_id: int
    files: Sequence[OwnedFile]


class NeedNotice(NamedTuple):
    """NEED and its answer."""

    node_id: int
    filename: str | None
    info_hash: str | None
    owners: Sequence[OwnerEntry]
    peers: Sequence[PeerEntry]


class UpdateNotice(NamedTuple):
    """UPDATE that was counted."""

    node_id: int
    uploads: int
    by: int


class ExitNotice(NamedTuple):
    """EXIT of a node that was in."""

    node_id: int


class RemovedNotice(NamedTuple):
    """The tracker removed a node that was silent for ``silent_ms``."""

    node_id: int
    silent_ms: float


class AnnounceNotice(NamedTuple):
    """A standard peer came, completed its download, or left."""

    info_hash: str
    addr: Addr
    event: str  # started, completed, stopped
    complete: bool
    others: int  # more of them since the last notice


Notice = RegisterNotice | OwnNotice | NeedNotice | UpdateNotice | ExitNotice | RemovedNotice | AnnounceNotice
