"""The live log of one tracker: reports and notices in, numbered events out. Pure.

Events have positions in the order in which they became known, and two numbers: the position in the log, and
``seq`` among those of their node. All times are ms of the log's clock and are given by the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from common.errors import TrackerFull
from common.events import SwarmEvent, decode_event, encode_event
from common.swarm_shape import MAX_NODES, MAX_TORRENTS
from common.swarm_state import SwarmState
from common.vocabulary import KEYFRAME
from tracker.see.history import History
from tracker.see.notices import ExitNotice, Notice, RemovedNotice
from tracker.see.peer_names import PeerNames
from tracker.see.report import NodeReport
from tracker.see.reporting_node import ReportingNode
from tracker.see.tracker_events import TrackerEvents, silence

LEAST_INTERVAL_MS = 500  # between two reports of a node while something moves
STOOD_STILL_MS = 1500.0  # between two looks for silent nodes: the tracker's machine slept or was busy
REPORTS_A_SECOND = 240  # of all nodes together; more nodes report less often


@dataclass(frozen=True)
class LogStep:
    """A part of the log. ``first``: position of the keyframe at the begin of ``lines``; None: no keyframe."""

    lines: list[bytes]
    last: int  # position of the last event in it
    first: int | None


class LiveLog:
    """Not thread-safe."""

    def __init__(self, ranking: str = "uploads", history: History | None = None) -> None:
        self._tracker_events = TrackerEvents(ranking)
        self._history = history or History()
        self._nodes: dict[int, ReportingNode] = {}
        self._names = PeerNames()
        self._torrents: set[str] = set()  # of all torrent:known, until they are more than the state's room
        self._looked_at = self._listening_since = 0.0  # ms: for silent nodes
        self._seq = 0  # of the tracker's own events
        self._keyframe = _keyframe_line(SwarmState())
        self.unrecorded: list[bytes] | None = None
        """The lines that the recording does not have yet; None: there is no recording."""

    @property
    def last(self) -> int:
        """Position of the last event."""
        return self._history.last

    @property
    def interval_ms(self) -> int:
        """Between two reports of a node while something moves."""
        return max(LEAST_INTERVAL_MS, 1000 * len(self._nodes) // REPORTS_A_SECOND)

    # ---- what comes in

    def write(self, name: str, data: dict[str, Any], now: float) -> None:
        """Write an event of the tracker."""
        self._seq += 1
        self._append(SwarmEvent(max(0.0, now), None, self._seq, name, data))

    def take_notice(self, notice: Notice, now: float) -> None:
        """Write the events of a notice."""
        for name, data in self._tracker_events.events(notice, now):
            self.write(name, data, now)
        if isinstance(notice, (ExitNotice, RemovedNotice)):
            self._nodes.pop(notice.node_id, None)
            self._names.forget(notice.node_id)

    def take_report(self, report: NodeReport, events: Sequence[SwarmEvent], received: float) -> int:
        """Write the new ones of a report's checked ``events``; the seq that is expected next.

        TrackerFull: too many nodes.
        """
        node = self._nodes.get(report.node_id) or self._new_node(report.node_id)
        if node.is_silent and not node.is_over(report):
            node.is_silent = False
            self.write("node:back", silence(node.node_id, received - node.heard_at), received)
        for event in node.take(report, events, received):
            data: Any = event.data
            if event.name == "node:started":
                self._names.note(report.node_id, data.tcp_addr)
            self._append(event, self._names.resolved(data))
        clock = node.new_clock(received)
        if clock is not None:
            self.write("clock", clock, received)
        return node.next_seq

    def _new_node(self, node_id: int) -> ReportingNode:
        if len(self._nodes) >= MAX_NODES:
            left = min((each for each, node in self._nodes.items() if node.has_left), default=None)
            if left is None:
                raise TrackerFull(f"the live log has room for {MAX_NODES} nodes")
            del self._nodes[left]
        node = self._nodes[node_id] = ReportingNode(node_id)
        return node

    def note_silent_nodes(self, now: float) -> None:
        """Write node:silent for each reporting node that did not report for too long.

        Called often. If not, this tracker stood still, and the reports of that time are still to be read.
        """
        if now - self._looked_at > STOOD_STILL_MS:
            self._listening_since = now
        self._looked_at = now
        for node in self._nodes.values():
            if node.falls_silent(now, self.interval_ms, self._listening_since):
                data = silence(node.node_id, now - node.heard_at)
                self.write("node:silent", {**data, "removed": False}, now)

    def _append(self, event: SwarmEvent, data: Any = None) -> None:
        """Append the event; ``data``: in place of its own."""
        if data is not None and data is not event.data:
            event = replace(event, data=data)
        if event.name == "torrent:known" and not self._tracker_events.is_full:
            known: Any = event.data
            self._torrents.add(known["torrent"] if isinstance(known, dict) else known.torrent)
            self._tracker_events.is_full = len(self._torrents) > MAX_TORRENTS
        line = encode_event(event)
        self._history.append(line)
        if self.unrecorded is not None:
            self.unrecorded.append(line)

    # ---- what viewers get

    def step(self, since: int | None) -> LogStep:
        """The events after position ``since``, up to a block. None, or a position that is dropped or not
        reached yet: from the oldest keyframe on.
        """
        history = self._history
        if since is not None and history.first <= since <= history.last:
            lines = history.after(since)
            return LogStep(lines, since + len(lines), None)
        lines = history.after(history.first)
        return LogStep([self._keyframe, *lines], history.first + len(lines), history.first)

    # ---- the oldest events

    def oldest_block(self) -> list[bytes] | None:
        """The events that should be dropped; None: there is room."""
        return self._history.oldest() if self._history.is_too_long else None

    def drop_oldest(self, keyframe: bytes) -> None:
        """Replace the oldest block by ``keyframe``, the line of the state after it."""
        self._history.drop_oldest()
        self._keyframe = keyframe


class DroppedState:
    """The state after the events that were dropped. It is used without the log's lock."""

    def __init__(self) -> None:
        self._state = SwarmState()

    def keyframe_after(self, block: Iterable[bytes]) -> bytes:
        """The line of the keyframe after these events."""
        for line in block:
            self._state.apply(decode_event(line))
        return _keyframe_line(self._state)


def _keyframe_line(state: SwarmState) -> bytes:
    return encode_event(SwarmEvent(state.time, None, 1, KEYFRAME, state.as_json()))
