"""Messages of the flight recorder as events. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from node.report.changes import Change

MAX_DUMP = 24_000  # bytes of the messages in one event
MAX_MESSAGES = 400  # in one event
MARKS = ("lost", "again")  # of a message; in the log they stand next to its fields


class Dumps:
    """Numbers the dumps of a run."""

    def __init__(self) -> None:
        self._number = 0

    def events(self, reason: str, rows: Sequence[Mapping[str, Any]], now: float) -> Iterator[Change]:
        """``rows`` as ``FlightRecorder`` returns them. ``now``: the time of the events, in ms."""
        if not rows:
            return
        self._number += 1
        messages = [_message(row, now) for row in rows]
        first = 0
        while first < len(messages):
            some = messages[first : first + _fitting(messages[first : first + MAX_MESSAGES])]
            data = {"reason": reason, "dump": self._number, "first": first, "total": len(messages)}
            yield "messages:dumped", {**data, "messages": some}
            first += len(some)


def _message(row: Mapping[str, Any], now: float) -> dict[str, Any]:
    fields = {name: value for name, value in row["fields"].items() if name not in MARKS}
    marks = {name: row["fields"][name] for name in MARKS if name in row["fields"]}
    ago = round(max(0.0, now - row["time"]), 3)
    named = {name: row[name] for name in ("direction", "peer", "message")}
    return {"ago_ms": ago, **named, "fields": fields, **marks}


def _fitting(messages: Sequence[Mapping[str, Any]]) -> int:
    """How many of them, at least one, fit into an event."""
    size = 0
    for count, message in enumerate(messages):
        size += len(json.dumps(message))
        if size > MAX_DUMP:
            return max(1, count)
    return len(messages)
