"""What was asked of whom and has not landed; and what of it is so late that another one is asked as well.

Pure; whoever owns it locks. Theory of operation. Every byte that is handed out to a source stays in that
source's account until it is accepted (it is about to be written), given back, or accepted from another. So a
byte that two sources were asked for is written and counted for the first of them, and whatever the second
one sends of it is dropped before it touches the file: a late answer can neither be counted twice nor
overwrite a piece that is verified already. A byte is asked of two sources at most at a time, and what that
may cost is bounded by a budget.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import takewhile

from common.ranges import RangeSet
from node.peer import Peer

Span = tuple[int, int]

LOOK_INTERVAL = 0.1  # seconds between two looks for what is late, where one was in vain
SLOWER = 2.0  # times as long as usual, before another source is asked as well
SHORTEST_PATIENCE = 0.5  # seconds; who answers within them is never too slow
UNKNOWN_PATIENCE = 2.0  # seconds, while nothing has landed from anybody
TWICE_SHARE = 0.02  # of the content: bytes that may be asked of two sources in vain, in all
TWICE_AT_LEAST = 1 << 18  # bytes; the same for small content: one request
WEIGHT = 0.25  # of the latest answer in the smoothed time that a source takes


class PendingRequests:
    """Accounts of all sources of one download. All times are monotonic seconds."""

    def __init__(self, size: int) -> None:
        self._asked: dict[Peer, RangeSet] = {}
        self._orders: dict[Peer, deque[tuple[float, int, int]]] = {}  # when, start, end; oldest first
        self._twice = RangeSet()  # bytes in two accounts
        self._look_again: dict[Peer, float] = {}  # when ``late`` may find something new for a source
        self._usual: dict[Peer, float] = {}  # seconds from being asked to having landed, smoothed
        self._budget = max(int(size * TWICE_SHARE), TWICE_AT_LEAST)
        self.wasted = 0  # bytes that came from two sources

    def asked(self, source: Peer, start: int, end: int, now: float) -> None:
        """``source`` is asked for ``[start, end)``."""
        self._asked.setdefault(source, RangeSet()).add(start, end)
        self._orders.setdefault(source, deque()).append((now, start, end))

    def of(self, source: Peer) -> int:
        """Bytes that ``source`` was asked for and that have not landed."""
        account = self._asked.get(source)
        return account.total if account is not None else 0

    @property
    def debtors(self) -> int:
        """How many sources owe something."""
        return sum(map(bool, self._asked.values()))

    def __bool__(self) -> bool:
        return any(self._asked.values())

    def accept(self, source: Peer, start: int, end: int, now: float) -> Sequence[Span]:
        """``source`` delivered ``[start, end)``: what of it is wanted and may be written. The rest came
        from another one before, or was never asked for.
        """
        account = self._asked.get(source)
        taken = account.cut(start, end) if account is not None else []
        self.wasted += (end - start) - sum(e - s for s, e in taken)
        for span in taken:
            for both in self._twice.cut(*span):
                for other in self._asked.values():
                    other.cut(*both)
        if taken:
            self._answered(source, now)
        return taken

    def _answered(self, source: Peer, now: float) -> None:
        """The oldest order that has landed tells how long it takes."""
        for at in self._settled(source):
            before = self._usual.get(source, now - at)
            self._usual[source] = before + WEIGHT * (now - at - before)

    def _settled(self, source: Peer) -> list[float]:
        """Forget the oldest orders of which nothing is awaited any more; when they were made."""
        orders, account, times = self._orders[source], self._asked[source], []
        while orders and not account.overlap(*orders[0][1:]):
            times.append(orders.popleft()[0])
        return times

    def give_back(self, source: Peer, spans: Iterable[Span]) -> list[Span]:
        """``spans`` will not come from ``source``: those of them that nobody is asked for any more."""
        account = self._asked.get(source)
        if account is None:
            return []
        free: list[Span] = []
        for span in spans:
            for start, end in account.cut(*span):
                rest = RangeSet([(start, end)])
                for both in self._twice.cut(start, end):
                    rest.cut(*both)
                free.extend(rest)
        self._settled(source)
        return free

    def patience(self, source: Peer) -> float:
        """Seconds after which ``source``, with nothing else to do, does what another one has not done."""
        usual = self._usual.get(source)
        if usual is None:
            usual = min(self._usual.values(), default=UNKNOWN_PATIENCE / SLOWER)
        return max(SHORTEST_PATIENCE, SLOWER * usual)

    def late(self, thief: Peer, limit: int, now: float) -> Iterable[Span]:
        """Ranges of at most ``limit`` bytes, the longest awaited first, that ``thief`` may be asked for as
        well; who takes one says so with ``doubled``.
        """
        left = self._budget - self.wasted - self._twice.total
        if left <= 0 or now < self._look_again.get(thief, now):
            return
        self._look_again[thief] = now + LOOK_INTERVAL
        for source, start, end in self._orders_before(now - self.patience(thief), thief):
            rest = RangeSet(self._asked[source].overlap(start, end))
            for both in self._twice.overlap(start, end):
                rest.cut(*both)
            for s, e in rest:
                self._look_again[thief] = now
                yield s, min(e, s + limit, s + left)

    def _orders_before(self, latest: float, thief: Peer) -> list[tuple[Peer, int, int]]:
        """What all but ``thief`` were asked for until ``latest``, the oldest first."""
        orders = []
        for source, queue in self._orders.items():
            if source != thief:
                orders += [(at, source, s, e) for at, s, e in takewhile(lambda o: o[0] <= latest, queue)]
        return [(source, start, end) for _, source, start, end in sorted(orders)]

    def doubled(self, source: Peer, start: int, end: int, now: float) -> None:
        """``source`` is asked, as well as another, for ``[start, end)``."""
        self._twice.add(start, end)
        self.asked(source, start, end, now)
