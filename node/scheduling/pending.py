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
        self._twice = RangeSet()  # bytes in two accounts, or more
        self._shared = RangeSet()  # those that two sources owe that are not stalled
        self._safe = RangeSet()  # those that hardly arrive twice, as far as can be seen
        self._progress_at: dict[Peer, float] = {}  # when data last came from a source, or was first requested
        self._stalled: set[Peer] = set()  # sources that were silent, until they deliver again
        self._revoked: dict[Peer, RangeSet] = {}  # bytes that may arrive, but are not expected
        self._look_again: dict[Peer, float] = {}  # when ``overdue`` may find something new for a source
        self._response: dict[Peer, float] = {}  # seconds from request to arrival, smoothed
        self.budget = max(int(size * ENDGAME_FRACTION), MIN_ENDGAME_BYTES)  # bytes that may arrive twice
        self.wasted = 0  # bytes that arrived from two sources

    def request(self, source: Peer, start: int, end: int, now: float) -> None:
        """``source`` is asked for ``[start, end)``."""
        pending = self._pending.get(source)
        if pending is None:
            pending = self._pending[source] = RangeSet()
            self._requests[source] = deque()
        if not pending:
            self._progress_at[source] = now
        pending.add(start, end)
        self._requests[source].append((now, start, end))

    def request_again(self, source: Peer, start: int, end: int, now: float, is_safe: bool = False) -> None:
        """``source`` is asked for ``[start, end)`` in addition to the source that owes it.

        ``is_safe``: it will hardly arrive twice, so the budget need not cover it.
        """
        self._twice.add(start, end)
        if is_safe:
            self._safe.add(start, end)
        self.request(source, start, end, now)
        self._count_shares(start, end)

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

    def by_piece(self, piece_length: int) -> dict[int, list[Peer]]:
        """The sources that owe bytes of each piece of which some source does."""
        owing: dict[int, list[Peer]] = {}
        for source, pending in self._pending.items():
            for start, end in pending:
                for piece in range(start // piece_length, -(-end // piece_length)):
                    sources = owing.setdefault(piece, [])
                    if not sources or sources[-1] != source:
                        sources.append(source)
        return owing

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
            self._progress_at[source] = now
            if source in self._stalled:
                self._stalled.discard(source)
                self._count_shares_of(source)
            self._measure_response(source, now)
        return Accepted(taken, cancels)

    def _cancel(self, span: Span) -> list[tuple[Peer, Span]]:
        """Strike out what other sources owe of ``span``."""
        if self._safe:
            self._safe.cut(*span)
        self._shared.cut(*span)
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
                if self._twice.overlap(start, end):
                    for both in self._still_owed(start, end):
                        rest.cut(*both)
                free.extend(rest)
        self._settled(source)
        return free

    def _still_owed(self, start: int, end: int) -> RangeSet:
        """The bytes of ``[start, end)`` that some source owes. Counts again which are owed by two."""
        once = RangeSet()
        self._twice.cut(start, end)
        for pending in self._pending.values():
            for span in pending.overlap(start, end):
                for both in once.overlap(*span):
                    self._twice.add(*both)
                once.add(*span)
        for span in self._safe.cut(start, end):
            for both in self._twice.overlap(*span):
                self._safe.add(*both)
        self._count_shares(start, end)
        return once

    def _count_shares(self, start: int, end: int) -> None:
        """Count again which bytes of ``[start, end)`` two sources owe that are not stalled."""
        once = RangeSet()
        self._shared.cut(start, end)
        for source, pending in self._pending.items():
            for span in pending.overlap(start, end) if source not in self._stalled else ():
                for both in once.overlap(*span):
                    self._shared.add(*both)
                once.add(*span)

    def _count_shares_of(self, source: Peer) -> None:
        for span in list(self._pending[source]):
            if self._twice.overlap(*span):
                self._count_shares(*span)

    def revoke(self, source: Peer, start: int, end: int) -> list[Span]:
        """``source`` is not to deliver ``[start, end)`` any more: the bytes of it that no source owes now.

        They may still arrive, and then do not count as wasted.
        """
        revoked = self._revoked.setdefault(source, RangeSet())
        pending = self._pending.get(source, RangeSet())
        for span in pending.overlap(start, end):
            revoked.add(*span)
        return self.give_back(source, [(start, end)])

    # ---- the queues of the sources

    def debtors(self) -> list[Peer]:
        """The sources that owe something."""
        return [source for source, pending in self._pending.items() if pending]

    @property
    def owes_over_tcp(self) -> bool:
        """True if a peer of the peer wire owes something."""
        return any(source.transport != "udp" for source, pending in self._pending.items() if pending)

    def progress_at(self, source: Peer) -> float:
        """When data last came from ``source``, or when it began to owe some."""
        return self._progress_at[source]

    def mark_stalled(self, source: Peer) -> None:
        """``source`` was silent."""
        if source not in self._stalled:
            self._stalled.add(source)
            self._count_shares_of(source)

    def is_stalled(self, source: Peer) -> bool:
        """True if ``source`` was silent and has delivered nothing since."""
        return source in self._stalled

    def requests_of(self, source: Peer) -> list[Span]:
        """The requests to ``source`` of which it owes some bytes, the oldest first."""
        pending = self._pending[source]
        return [span for _, *ends in self._requests[source] for span in pending.overlap(*ends)]

    def alone(self, source: Peer, start: int, end: int) -> list[Span]:
        """The bytes of ``[start, end)`` that ``source`` owes and no other source but stalled ones."""
        rest = RangeSet(self._pending[source].overlap(start, end))
        if source not in self._stalled:
            for both in self._shared.overlap(start, end):
                rest.cut(*both)
        elif self._twice.overlap(start, end):
            for other, pending in self._pending.items():
                if other != source and other not in self._stalled:
                    for both in pending.overlap(start, end):
                        rest.cut(*both)
        return list(rest)

    def owed_alone(self, source: Peer) -> int:
        """Bytes that ``source`` owes and no other source but stalled ones."""
        return sum(e - s for span in self._pending[source] for s, e in self.alone(source, *span))

    def queue_of(self, source: Peer) -> list[Span]:
        """All bytes that ``source`` owes, adjacent ones merged."""
        return list(self._pending[source])

    @property
    def at_risk(self) -> int:
        """Bytes that arrived from two sources, or well may."""
        return self.wasted + self._twice.total - self._safe.total

    @property
    def budget_left(self) -> int:
        """Bytes that may still be requested from two sources."""
        return max(0, self.budget - self.at_risk)

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
        left = self.budget_left
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
        """Requests to all sources but ``thief`` until ``latest``, the oldest first.

        Not those to peers of the peer wire, which ``Endgame`` looks after.
        """
        requests = []
        for source, queue in self._requests.items():
            if source != thief and source.transport == "udp":
                requests += [(at, source, s, e) for at, s, e in takewhile(lambda r: r[0] <= latest, queue)]
        return [(source, start, end) for _, source, start, end in sorted(requests)]
