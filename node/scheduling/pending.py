"""Requests in progress, per source, and which of them are overdue and go to a second source (endgame, BEP 3).

Every byte that a source was asked for stays in its account until it arrives, is returned, or arrives from
another source. So a byte that was requested twice is written and counted for the first source that delivers
it. Bytes that arrive later are dropped before they touch the file: they can neither be counted twice nor
overwrite a verified piece. A byte is requested from two sources at most, and a budget bounds the cost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import NamedTuple

from common.ranges import RangeSet
from node.peer import Peer
from node.scheduling.base import Span

LOOK_INTERVAL = 0.1  # seconds between two searches for overdue requests after one that found none
OVERDUE_FACTOR = 2.0  # a request is overdue after this many times the usual response time
MIN_TIMEOUT = 0.5  # seconds before any request is overdue
UNKNOWN_TIMEOUT = 2.0  # seconds before a request is overdue while no response time is known
ENDGAME_FRACTION = 0.02  # of the content: bytes that may arrive twice, in all
MIN_ENDGAME_BYTES = 1 << 18  # bytes; the same for small content: one request
RESPONSE_WEIGHT = 0.25  # of the latest response time in the smoothed one


class Accepted(NamedTuple):
    """What to do with bytes that arrived."""

    ranges: Sequence[Span]  # to write; the rest came from another source before, or was never requested
    cancels: Sequence[tuple[Peer, Span]] = ()  # requests to other sources that are superfluous now


NOTHING_ACCEPTED = Accepted(())


class PendingRequests:
    """The requests of one download. All times are monotonic seconds."""

    def __init__(self, size: int) -> None:
        self._pending: dict[Peer, RangeSet] = {}
        self._requests: dict[Peer, deque[tuple[float, int, int]]] = {}  # time, start, end; oldest first
        self._twice = RangeSet()  # bytes in two accounts
        self._revoked: dict[Peer, RangeSet] = {}  # bytes that may arrive, but are not expected
        self._look_again: dict[Peer, float] = {}  # when ``overdue`` may find something new for a source
        self._response: dict[Peer, float] = {}  # seconds from request to arrival, smoothed
        self._budget = max(int(size * ENDGAME_FRACTION), MIN_ENDGAME_BYTES)
        self.wasted = 0  # bytes that arrived from two sources

    def request(self, source: Peer, start: int, end: int, now: float) -> None:
        """``source`` is asked for ``[start, end)``."""
        pending = self._pending.get(source)
        if pending is None:
            pending = self._pending[source] = RangeSet()
            self._requests[source] = deque()
        pending.add(start, end)
        self._requests[source].append((now, start, end))

    def request_again(self, source: Peer, start: int, end: int, now: float) -> None:
        """``source`` is asked for ``[start, end)`` in addition to the source that owes it."""
        self._twice.add(start, end)
        self.request(source, start, end, now)

    def of(self, source: Peer) -> int:
        """Bytes that ``source`` owes."""
        pending = self._pending.get(source)
        return pending.total if pending is not None else 0

    def owes(self, source: Peer, start: int, end: int) -> bool:
        """True if ``source`` owes some of ``[start, end)``."""
        pending = self._pending.get(source)
        return pending is not None and bool(pending.overlap(start, end))

    def owing(self, start: int, end: int) -> list[Peer]:
        """The sources that owe some of ``[start, end)``."""
        return [source for source, pending in self._pending.items() if pending.overlap(start, end)]

    def spans(self) -> list[Span]:
        """Every range that some source owes."""
        return [span for pending in self._pending.values() for span in pending]

    @property
    def busy_sources(self) -> int:
        """How many sources owe something."""
        return sum(map(bool, self._pending.values()))

    def __bool__(self) -> bool:
        return any(self._pending.values())

    def accept(self, source: Peer, start: int, end: int, now: float) -> Accepted:
        """``source`` delivered ``[start, end)``."""
        pending = self._pending.get(source)
        taken = pending.cut(start, end) if pending is not None else []
        dropped = (end - start) - sum(e - s for s, e in taken)
        if dropped and source in self._revoked:
            dropped -= sum(e - s for s, e in self._revoked[source].cut(start, end))
        self.wasted += max(0, dropped)
        cancels = [cancel for span in taken for cancel in self._cancel(span)] if self._twice else ()
        if taken:
            self._measure_response(source, now)
        return Accepted(taken, cancels)

    def _cancel(self, span: Span) -> list[tuple[Peer, Span]]:
        """Strike out what other sources owe of ``span``."""
        return [
            (other, gone)
            for both in self._twice.cut(*span)
            for other, pending in self._pending.items()
            for gone in pending.cut(*both)
        ]

    def _measure_response(self, source: Peer, now: float) -> None:
        for at in self._settled(source):
            before = self._response.get(source, now - at)
            self._response[source] = before + RESPONSE_WEIGHT * (now - at - before)

    def _settled(self, source: Peer) -> list[float]:
        """Forget the oldest requests of which nothing is owed any more; returns when they were made."""
        requests, pending, times = self._requests[source], self._pending[source], []
        while requests and not pending.overlap(*requests[0][1:]):
            times.append(requests.popleft()[0])
        return times

    def give_back(self, source: Peer, spans: Iterable[Span]) -> list[Span]:
        """``spans`` will not come from ``source``: those of them that no other source owes."""
        pending = self._pending.get(source)
        if pending is None:
            return []
        free: list[Span] = []
        for span in spans:
            for start, end in pending.cut(*span):
                rest = RangeSet([(start, end)])
                for both in self._twice.cut(start, end):
                    rest.cut(*both)
                free.extend(rest)
        self._settled(source)
        return free

    def revoke(self, source: Peer, start: int, end: int) -> list[Span]:
        """``source`` is not to deliver ``[start, end)`` any more: the bytes of it that no source owes now.

        They may still arrive, and then do not count as wasted.
        """
        revoked = self._revoked.setdefault(source, RangeSet())
        pending = self._pending.get(source, RangeSet())
        for span in pending.overlap(start, end):
            revoked.add(*span)
        return self.give_back(source, [(start, end)])

    # ---- endgame

    def timeout_for(self, thief: Peer) -> float:
        """Seconds after which an idle ``thief`` may be asked for bytes that another source owes."""
        usual = self._response.get(thief)
        if usual is None:
            usual = min(self._response.values(), default=UNKNOWN_TIMEOUT / OVERDUE_FACTOR)
        return max(MIN_TIMEOUT, OVERDUE_FACTOR * usual)

    def overdue(self, thief: Peer, limit: int, now: float) -> Iterable[Span]:
        """Ranges of at most ``limit`` bytes that ``thief`` may be asked for as well, the oldest first.

        The caller reports the range that it took with ``request_again``.
        """
        left = self._budget - self.wasted - self._twice.total
        if left <= 0 or now < self._look_again.get(thief, now):
            return
        self._look_again[thief] = now + LOOK_INTERVAL
        for source, start, end in self._requests_before(now - self.timeout_for(thief), thief):
            rest = RangeSet(self._pending[source].overlap(start, end))
            for both in self._twice.overlap(start, end):
                rest.cut(*both)
            for s, e in rest:
                self._look_again[thief] = now
                yield s, min(e, s + limit, s + left)

    def _requests_before(self, latest: float, thief: Peer) -> list[tuple[Peer, int, int]]:
        """Requests to all sources but ``thief`` until ``latest``, the oldest first."""
        requests = []
        for source, queue in self._requests.items():
            if source != thief:
                requests += [(at, source, s, e) for at, s, e in takewhile(lambda r: r[0] <= latest, queue)]
        return [(source, start, end) for _, source, start, end in sorted(requests)]
