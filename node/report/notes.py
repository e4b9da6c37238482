"""Lost and repaired ranges, smaller windows, samples: at most a few events of each kind a second. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from node.notes import ConnectionNote, ConnectionSample, RangeLost, RangeRepaired, WindowReduced
from node.peer import Peer
from node.report.changes import Change
from node.report.names import PeerName, torrent_name

MAX_A_SECOND = 4  # events of one name
MAX_SHOWN = 64  # losses that were reported by themselves, and whose repair is awaited

TimedChange = tuple[float, Change]  # monotonic seconds, and the event


class PerSecond:
    """Allows ``MAX_A_SECOND`` in each second. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=MAX_A_SECOND)

    def allows(self, at: float) -> bool:
        """True, and counted, if there were fewer in the second before ``at``."""
        if len(self._times) == MAX_A_SECOND and at - self._times[0] < 1.0:
            return False
        self._times.append(at)
        return True


class NoteEvents:
    """Events of the notes of all connections."""

    def __init__(self) -> None:
        self._limits = {kind: PerSecond() for kind in (RangeLost, RangeRepaired, WindowReduced)}
        self._others = {RangeLost: 0, RangeRepaired: 0, WindowReduced: 0}
        self._shown: deque[RangeLost] = deque(maxlen=MAX_SHOWN)

    def events(
        self, notes: Iterable[ConnectionNote], name: Callable[[Peer], PeerName]
    ) -> Iterator[TimedChange]:
        """The events of these notes. A repair is an event of its own only if its loss was one.

        ``name``: of a peer in the log.
        """
        for note in notes:
            kind = type(note)
            is_hidden = isinstance(note, RangeRepaired) and note.lost not in self._shown
            if is_hidden or not self._limits[kind].allows(note.at):
                self._others[kind] += 1
                continue
            others, self._others[kind] = self._others[kind], 0
            yield note.at, self._event(note, name(note.peer), others)

    def _event(self, note: ConnectionNote, peer: PeerName, others: int) -> Change:
        data: dict[str, Any] = {
            "torrent": torrent_name(note.info_hash.hex()),
            "peer": peer,
        }
        if isinstance(note, WindowReduced):
            return "congestion:reduced", {**data, "window": note.window, "reason": note.reason}
        if isinstance(note, RangeLost):
            self._shown.append(note)
            return "datagram:lost", {**data, **_range(note), "reason": note.reason, "others": others}
        self._shown.remove(note.lost)
        if note.again:
            data["again"] = note.again
        costs = {"cost_ms": round(note.delay * 1000, 3), "cost_bytes": note.cost}
        return "datagram:repaired", {**data, **_range(note.lost), "by": note.by, **costs, "others": others}


def _range(lost: RangeLost) -> dict[str, Any]:
    length = lost.end - lost.start
    return {"message": "DATA", "offset": lost.start, "length": length, "request": lost.request}


class SampleEvents:
    """Samples of all connections in turn."""

    def __init__(self) -> None:
        self._limit = PerSecond()
        self._turn = 0

    def events(
        self, samples: Iterable[tuple[str, PeerName, ConnectionSample]], now: float
    ) -> Iterator[Change]:
        """At most MAX_A_SECOND a second; the next call goes on with the next connection."""
        rows = list(samples)
        for step in range(len(rows)):
            torrent, peer, sample = rows[(self._turn + step) % len(rows)]
            if not self._limit.allows(now):
                self._turn = (self._turn + step) % len(rows)
                return
            rtt = None if sample.rtt is None else round(sample.rtt * 1000, 3)
            data = {"window": sample.window, "rtt_ms": rtt, "outstanding": sample.outstanding}
            yield "congestion:sample", {"torrent": torrent, "peer": peer, **data}
