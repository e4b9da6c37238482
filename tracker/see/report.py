"""A report of a node (``POST /report``), checked. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from common.errors import EventError, MessageError
from common.events import SwarmEvent, check_event
from common.shapes import MAX_MS, MAX_WHOLE
from common.validation import NodeId, checked

MAX_REPORT_BYTES = 1 << 16  # bytes of a report's body; more is answered 413

Milliseconds = Annotated[float, Meta(ge=0, le=MAX_MS, description="milliseconds, at least 0")]
Sequence = Annotated[int, Meta(ge=1, le=MAX_WHOLE, description="a whole number, at least 1")]
RunId = Annotated[
    str,
    Meta(
        max_length=32, pattern="^[0-9a-f]{1,32}$", description="1 to 32 hexadecimal digits in small letters"
    ),
]
Row = tuple[Milliseconds, Sequence, Annotated[str, Meta(max_length=64)], dict[str, Any]]


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

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> NodeReport:
        """The report, whose events are not checked yet; MessageError names a field that is wrong."""
        return checked(cls, fields)

    def with_checked_events(self) -> NodeReport:
        """The report with exactly the fields of each event; MessageError names the first wrong event."""
        rows = []
        first = self.events[0][1] if self.events else 0
        for index, (time, seq, name, data) in enumerate(self.events):
            if seq != first + index:
                raise MessageError(f"events[{index}]: seq must be {first + index}", "events")
            try:
                event = check_event(SwarmEvent(time, self.node_id, seq, name, data))
            except EventError as error:
                raise MessageError(f"events[{index}]: {error}", "events") from None
            rows.append((time, seq, name, dict(event.data)))
        return msgspec.structs.replace(self, events=rows)


class ReportAnswer(Struct, frozen=True):
    """The answer to a report."""

    status: str
    next: int  # the seq that the tracker expects next
    interval_ms: int  # until the next report, while something moves
    epoch: str  # of the log; another one: the tracker was started again and knows nothing
