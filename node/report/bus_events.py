"""The node's own events that the log has, too: results of pieces, and states of torrents. Pure."""

from __future__ import annotations

from typing import Any

from node import events
from node.report.names import PeerName, torrent_name

_RESULTS = {events.Piece: "piece:verified", events.PieceFailed: "piece:failed"}


def piece_event(event: events.Event) -> tuple[str, dict[str, Any]] | None:
    """Name and data of piece:verified or piece:failed; None for another event."""
    name = _RESULTS.get(type(event))
    if name is None:
        return None
    assert isinstance(event, (events.Piece, events.PieceFailed))
    peers: list[PeerName] = [
        name if node_id is None else node_id for node_id, name in zip(event.sources, event.peers, strict=True)
    ]
    return name, {"torrent": torrent_name(event.info_hash), "piece": event.index, "peers": peers}


def torrent_state(event: events.Event) -> tuple[str, str, str] | None:
    """The torrent, its new state and the reason; None for an event that changes no state."""
    state, reason = "", ""
    if isinstance(event, events.DownloadStarted):
        state = "searching"
    elif isinstance(event, events.OwnersFound) and event.chosen:
        state = "downloading"
    elif isinstance(event, events.Waiting):
        state, reason = "searching", event.reason
    elif isinstance(event, (events.Completed, events.Sharing)):
        state = "seeding"
    elif isinstance(event, events.Cancelled):
        state, reason = "stopped", event.reason
    elif isinstance(event, events.Failed):
        state, reason = "failed", event.reason
    elif isinstance(event, events.SharingStopped):
        state, reason = "stopped", event.reason
    return (torrent_name(event.info_hash), state, reason) if state else None  # type: ignore[attr-defined]
