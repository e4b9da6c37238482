"""The events that wait for the tracker, and the batch that is on its way there. Pure; the caller locks.

An event gets its number when it enters a batch, and a batch is kept until the tracker acknowledges it. So the
numbers that leave the node have no holes, and a report that is repeated after a lost answer repeats its
numbers: the tracker ignores numbers that it has. Before that, events may still be dropped or merged:

    over the budget     measurements go first, then events that a later one makes superfluous
                        become one (``lighten``); the rest waits
    too many            the oldest go, and a ``gap`` with their number takes their place
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import msgspec

MAX_WAITING = 10_000  # events; when there are more, the oldest are dropped
MAX_EVENT = 1300  # bytes of an event: the least budget has room for it
MAX_BATCH = 64_000  # bytes of a report's events
UNLIMITED = 1 << 62  # bytes
DUMP = "messages:dumped"  # unless it is a sample, the budget does not count it, and it may fill a report

Row: TypeAlias = bytes  # [time, seq, name, data] as JSON


@dataclass(slots=True)
class WaitingEvent:
    """An event without a number. ``time``: ms of the node's clock."""

    time: float
    name: str
    data: dict[str, Any]
    is_sample: bool = False  # a further measurement: dropped first over the budget
    encoded: bytes = b""  # the data as JSON; empty: not encoded yet

    def measured(self) -> int:
        """Bytes as JSON, about. The data must not change any more."""
        if not self.encoded:
            self.encoded = _encoded(self.data)
        return len(self.encoded) + len(self.name) + NUMBERS_SIZE

    def row(self, seq: int) -> Row:
        """The event with its number."""
        self.measured()
        return b'[%.3f,%d,"%s",%s]' % (self.time, seq, self.name.encode(), self.encoded)


NUMBERS_SIZE = 32  # bytes of an event's time, number and punctuation, at most


class Batches:
    """One run's events in order."""

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        self._max_waiting = max_waiting
        self._waiting: deque[WaitingEvent] = deque()
        self._dropped = 0
        self._dropped_span = 0.0, 0.0  # times of the first and the last dropped event
        self._seq = 0  # of the last event that has a number
        self._batch: list[tuple[int, Row]] = []
        self._free: set[int] = set()  # seqs of the batch's dumps that the budget does not count

    def __len__(self) -> int:
        return len(self._waiting) + len(self._batch) + bool(self._dropped)

    @property
    def waiting(self) -> int:
        """Events without a number."""
        return len(self._waiting)

    @property
    def uncounted(self) -> int:
        """Bytes of the batch that the budget does not count."""
        return sum(len(row) for seq, row in self._batch if seq in self._free)

    def add(self, time: float, name: str, data: dict[str, Any], is_sample: bool = False) -> bool:
        """Add an event. False if that cost the oldest one its place."""
        self._waiting.append(WaitingEvent(time, name, data, is_sample))
        if len(self._waiting) <= self._max_waiting:
            return True
        self._drop(self._waiting.popleft())
        return False

    def make_room(self, room: int) -> None:
        """Drop all events, the batch as well, if they need more than ``room`` bytes of the budget."""
        batch = [WaitingEvent(row[0], row[2], row[3]) for row in (json.loads(row) for _, row in self._batch)]
        events = [*batch, *self._waiting]
        if sum(_cost(event) for event in events) > room:
            self._batch, self._free = [], set()
            self._waiting.clear()
            for event in events:
                self._drop(event)

    def batch(self, room: int | None) -> list[Row]:
        """The events to send now, at most ``room`` bytes; the last batch again until it is acknowledged.

        ``room`` None: as many as a report can have.
        """
        if not self._batch:
            self._cut(UNLIMITED if room is None else room)
        return [row for _, row in self._batch]

    def acknowledge(self, next_seq: int | None = None) -> None:
        """The tracker has all events before ``next_seq``; None: all of the batch."""
        self._batch = [row for row in self._batch if next_seq is not None and row[0] >= next_seq]

    def give_up(self) -> None:
        """The tracker refuses the batch: it is dropped. The tracker sees the hole in the numbers.

        There is none if the batch arrived in an earlier attempt, whose answer was lost.
        """
        self._batch = []

    # ---- steps

    def _drop(self, event: WaitingEvent) -> None:
        first, last = self._dropped_span if self._dropped else (event.time, event.time)
        self._dropped_span = min(first, event.time), max(last, event.time)
        self._dropped += event.data["events"] if event.name == "gap" else 1

    def _cut(self, room: int) -> None:
        if sum(_cost(event) for event in self._waiting) > room:
            self._waiting = deque(lighten(self._waiting, room))
        left = MAX_BATCH
        self._free = set()
        while self._dropped or self._waiting:
            event = self._gap() if self._dropped else self._waiting[0]
            size = event.measured()
            if size > (MAX_BATCH if event.name == DUMP else MAX_EVENT):  # it would never be sent
                self._drop(self._waiting.popleft())
                continue
            if size > (left if event.name == DUMP else min(left, room)):
                break
            if self._dropped:
                self._dropped = 0
            else:
                self._waiting.popleft()
            self._number(event)
            left -= size
            room -= _cost(event)

    def _gap(self) -> WaitingEvent:
        first, last = self._dropped_span
        return WaitingEvent(last, "gap", {"events": self._dropped, "span_ms": round(last - first, 3)})

    def _number(self, event: WaitingEvent) -> None:
        self._seq += 1
        self._batch.append((self._seq, event.row(self._seq)))
        if _cost(event) == 0:
            self._free.add(self._seq)


def _cost(event: WaitingEvent) -> int:
    """Bytes of the budget."""
    return 0 if event.name == DUMP and not event.is_sample else event.measured()


def _encoded(value: object) -> bytes:
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:  # a name or a reason that is no text
        return json.dumps(value).encode()


# ---- over the budget

OF_PIECES = ("piece:requested", "piece:received", "piece:missing", "piece:verified", "piece:failed")


def lighten(events: Iterable[WaitingEvent], room: int) -> Sequence[WaitingEvent]:
    """The events without those that can be spared, if all of them need more than ``room`` bytes.

    Every ``piece:verified`` stays, and so do the sums of all ``link:bytes``.
    """
    kept = [event for event in events if not event.is_sample]
    if sum(event.measured() for event in kept) <= room:
        return kept
    return _merged(kept)


def _merged(events: Sequence[WaitingEvent]) -> list[WaitingEvent]:
    """Without the events that a later one makes superfluous."""
    kept: list[WaitingEvent] = []
    later: dict[tuple[Any, ...], WaitingEvent] = {}
    for event in reversed(events):
        key = _key(event)
        if key is None:
            if event.name in ("node:started", "piece:held"):
                later.clear()  # events before it are not about the same state
            kept.append(event)
            continue
        after = later.get(key)
        if after is None or (key[0] == "piece" and event.name != "piece:requested"):
            later[key] = replace(event)  # earlier bytes are added to the copy
            kept.append(later[key])
        elif event.name == "link:bytes":
            _add_links(after, event)
    return kept[::-1]


def _key(event: WaitingEvent) -> tuple[Any, ...] | None:
    """Events with the same key are about the same thing; None: none may be spared."""
    data = event.data
    if event.name in OF_PIECES:
        return ("piece", data["torrent"], data["piece"])
    if event.name in ("link:bytes", "slot:queue"):
        return (event.name, data["torrent"])
    if event.name == "peer:state":
        return (event.name, data["torrent"], data["peer"])
    return None


def _add_links(after: WaitingEvent, event: WaitingEvent) -> None:
    """Add the bytes of ``event`` to those of the later ``after``."""
    data = dict(after.data)
    for direction in ("in", "out"):
        sums = dict(map(tuple, event.data[direction]))
        for peer, amount in data[direction]:
            sums[peer] = sums.get(peer, 0) + amount
        data[direction] = [[peer, amount] for peer, amount in sums.items()]
    if event.time < after.time:  # else both are halves of one long event
        data["span_ms"] = round(data["span_ms"] + event.data["span_ms"], 1)
    after.data, after.encoded = data, b""
