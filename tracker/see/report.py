"""A report of a node (``POST /report``), checked. Pure."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Raw, Struct

from common.errors import EventError, MessageError
from common.events import SwarmEvent
from common.shapes import MAX_MS, MAX_WHOLE
from common.validation import NodeId, decoded
from tracker.see.event_types import checked_event_data

MAX_REPORT_BYTES = 1 << 16  # bytes of a report's body; more is answered 413

Milliseconds = Annotated[float, Meta(ge=0, le=MAX_MS, description="milliseconds, at least 0")]
Sequence = Annotated[int, Meta(ge=1, le=MAX_WHOLE, description="a whole number, at least 1")]
RunId = Annotated[
    str,
    Meta(
        max_length=32, pattern="^[0-9a-f]{1,32}$", description="1 to 32 hexadecimal digits in small letters"
    ),
]
Row = tuple[Milliseconds, Sequence, Annotated[str, Meta(max_length=64)], Raw]


class NodeReport(Struct, frozen=True):
    """A batch of a node's events. Its times are those of the node's clock."""

    node_id: NodeId
    run: Annotated[RunId, Meta(description="names this process of the node: 1 to 32 hexadecimal digits")]
    sent: Annotated[Milliseconds, Meta(description="milliseconds: the node's monotonic clock at sending")]
    events: Annotated[
        list[Row], Meta(description="a list of events: [time, seq, name, data]; seq rises by 1")
    ]
    round_trip: (
        Annotated[Milliseconds, Meta(description="milliseconds: how long the report before took")] | None
    ) = None
    swarm_key: Any = None  # instead of the header

    @classmethod
    def decode(cls, body: bytes) -> NodeReport:
        """The report in a JSON body, with events that are not checked; MessageError names a wrong field."""
        return decoded(cls, body)

    def checked_events(self) -> list[SwarmEvent]:
        """The events in the node's time; MessageError names the first that is wrong.

        Their data are structs of ``event_types``, which are encoded as the objects that they stand for.
        """
        events = []
        first = self.events[0][1] if self.events else 0
        for index, (time, seq, name, raw) in enumerate(self.events):
            if seq != first + index:
                raise MessageError(f"events[{index}]: seq must be {first + index}", "events")
            try:
                data: Any = checked_event_data(time, self.node_id, seq, name, raw)
            except EventError as error:
                raise MessageError(f"events[{index}]: {error}", "events") from None
            events.append(SwarmEvent(time, self.node_id, seq, name, data))
        return events


class ReportAnswer(Struct, frozen=True):
    """The answer to a report."""

    status: str
    next: int  # the seq that the tracker expects next
    interval_ms: int  # until the next report, while something moves
    epoch: str  # of the log; another one: the tracker was started again and knows nothing
