"""One node's reports, merged: repeated events are ignored, missing ones become a gap. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from common.events import SwarmEvent
from tracker.see.node_clock import NodeClock
from tracker.see.report import NodeReport

SILENT_MS = 5000.0  # without a report, after which a reporting node is shown as silent; an idle one takes 2 s
MISSED_INTERVALS = 2.5  # the same as a number of reports, if the tracker asks for fewer
OLD_RUNS = 4  # runs before the present one that are remembered
CLOCK_CHANGE_MS = 0.05  # of offset or bound, from which the log has the new estimate
CLOCK_INTERVAL_MS = 1000.0  # between two estimates in the log


class ReportingNode:
    """A node that reports. Times in ms of the log."""

    def __init__(self, node_id: int) -> None:
        self.node_id = node_id
        self.heard_at = 0.0
        self.is_silent = False
        self.has_left = False  # its last event was node:left
        self._next: int | None = None  # seq; None: no event of this run was seen
        self._run = ""
        self._old_runs: tuple[str, ...] = ()
        self._clock = NodeClock()
        self._last_time = 0.0  # of an event
        self._shown: tuple[float, float] | None = None  # offset and bound in the log
        self._shown_at = 0.0

    @property
    def next_seq(self) -> int:
        """The seq that is expected next."""
        return 1 if self._next is None else self._next

    def is_over(self, report: NodeReport) -> bool:
        """True if the report was delayed on its way: its process has ended."""
        return report.run in self._old_runs

    def take(self, report: NodeReport, events: Iterable[SwarmEvent], received: float) -> Iterator[SwarmEvent]:
        """Those of the report's ``events`` that are new, in the log's time."""
        if self.is_over(report):
            return
        if report.run != self._run:
            self._begin(report)
        self.heard_at = received
        self._clock.add(received, report.sent, report.round_trip)
        for event in events:
            seq = event.seq
            if self._next is not None and seq < self._next:
                continue
            at = self._clock.in_log(event.time, received)
            if self._next is not None and seq > self._next:
                yield self._gap(self._next, seq, at)
            self._next, self._last_time = seq + 1, at
            self.has_left = event.name == "node:left"
            yield SwarmEvent(at, self.node_id, seq, event.name, event.data)

    def new_clock(self, now: float) -> dict[str, float | int] | None:
        """The data of a ``clock`` event if the estimate changed."""
        bound = self._clock.bound
        if bound is None:
            return None
        offset = self._clock.offset
        if self._shown is not None:
            change = max(abs(offset - self._shown[0]), abs(bound - self._shown[1]))
            if change < CLOCK_CHANGE_MS or now - self._shown_at < CLOCK_INTERVAL_MS:
                return None
        self._shown, self._shown_at = (offset, bound), now
        return {"node": self.node_id, "offset_ms": round(offset, 3), "bound_ms": round(bound, 3)}

    def falls_silent(self, now: float, interval: float, listening_since: float = 0.0) -> bool:
        """True once, when no report came for too long.

        ``interval``: ms between reports, as asked for. ``listening_since``: the tracker stood still before.
        """
        limit = max(SILENT_MS, MISSED_INTERVALS * interval)
        if self.is_silent or self.has_left or now - max(self.heard_at, listening_since) < limit:
            return False
        self.is_silent = True
        return True

    def _begin(self, report: NodeReport) -> None:
        """A new process of the node. The log begins with the first event that it has of it."""
        if self._run:
            self._old_runs = (*self._old_runs, self._run)[-OLD_RUNS:]
        self._run, self._clock, self._shown = report.run, NodeClock(), None
        self._next, self.has_left = None, False

    def _gap(self, missing: int, seq: int, at: float) -> SwarmEvent:
        span = round(max(0.0, at - self._last_time), 3)
        return SwarmEvent(at, self.node_id, missing, "gap", {"events": seq - missing, "span_ms": span})
