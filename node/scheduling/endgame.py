"""Requests that wait at a slow peer are taken over by a fast one: the end of a download over the peer wire.

A peer of the peer wire has seconds of its own rate in requests, so that its uplink never idles. Near the end
this is a debt: when nothing is left to request, the slowest queue decides when the download is complete. So
a source that has nothing else to request, the *thief*, is asked for bytes that another source owes. The first
that delivers a byte wins, and the other one gets a cancel for it. In this order:

1. Requests to a source that has been *silent* for ``SILENT_SECONDS``, the oldest first. Such a source is
   stalled: until it delivers again, it gets one block at a time and is no thief.
2. The *tail* of the queue that takes longest. The source gets a cancel at once, and works on its head. The
   thief takes as much as lets both end together (work stealing: Blumofe and Leiserson, 1999).
3. At the very end, when every byte is requested: the *head* of a queue, from the source whose last data
   came longest ago. These bytes may be on their way, so ``PendingRequests`` bounds them by its budget.

The classroom transport needs none of this. It requests little in advance and gives up a silent owner soon;
``PendingRequests.overdue`` suffices.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from typing import NamedTuple

from node.peer import Peer
from node.scheduling.base import RateOf
from node.scheduling.pending import ENDGAME_FRACTION, PendingRequests

BLOCK = 1 << 14  # bytes of one request on the peer wire
SILENT_SECONDS = 2.0  # without data from a source that owes some
LAST_SILENT_SECONDS = 0.1  # seconds; the same once every byte is requested, with the time of some blocks:
LAST_SILENT_BLOCKS = 3  # that a source of its rate would have sent meanwhile
MIN_GAIN = 0.1  # seconds that a queue must become shorter by, for its tail to be taken
MIN_LAST_GAIN = 0.02  # seconds; the same once every byte is requested
HEAD_BYTES = 1 << 16  # bytes of a head that one thief is asked for at a time
LOOK_PAUSE = 0.05  # seconds between two searches for a thief after one that found nothing
UNKNOWN_RATE = 64_000.0  # bytes a second, assumed of a source that has delivered nothing yet


class Takeover(NamedTuple):
    """Bytes that a thief may be asked for."""

    start: int
    end: int
    is_safe: bool = True  # the other source will hardly deliver them: they do not count for the budget
    earliest: int = 0  # where a tail may begin
    tail_of: Peer | None = None  # of its queue these are the last bytes: its last ones matter most


class Endgame:
    """Looks for bytes that one source owes and another one should deliver. Times are monotonic seconds."""

    def __init__(self, pending: PendingRequests, rate_of: RateOf, size: int) -> None:
        """``size``: bytes of the content."""
        self._pending = pending
        self._rate_of = rate_of
        self._budget = max(int(size * ENDGAME_FRACTION), 2 * BLOCK)  # bytes that may arrive twice
        self._look_again: dict[Peer, float] = {}

    def takeovers(
        self, thief: Peer, sources: Collection[Peer], limit: int, is_last: bool, now: float
    ) -> Iterator[Takeover]:
        """Ranges of at most ``limit`` bytes for ``thief``, the best first.

        ``sources``: all that take part. ``is_last``: every missing byte is requested. The caller takes the
        first range that it may.
        """
        pending = self._pending
        if now < self._look_again.get(thief, now):
            return
        self._look_again[thief] = now + LOOK_PAUSE
        debtors = sorted((s for s in pending.debtors() if s.transport != "udp"), key=pending.progress_at)
        for source in debtors:
            if now - pending.progress_at(source) > self._patience(source, is_last):
                pending.mark_stalled(source)
        if pending.is_stalled(thief):
            return
        active = [source for source in debtors if source != thief and not pending.is_stalled(source)]
        min_gain = MIN_LAST_GAIN if is_last else MIN_GAIN
        yield from itertools.chain(
            self._from_stalled([s for s in debtors if pending.is_stalled(s)], thief, sources, limit, now),
            self._tails(active, thief, limit, min_gain) if 2 * pending.wasted < self._budget else (),
            self._heads(active, limit) if is_last else (),
        )

    def found(self, thief: Peer) -> None:
        """One of the ranges suits ``thief``: it may look again at once."""
        self._look_again.pop(thief, None)

    def _from_stalled(
        self, stalled: list[Peer], thief: Peer, sources: Collection[Peer], limit: int, now: float
    ) -> Iterator[Takeover]:
        """What stalled sources owe. ``thief`` gets its share: as much as lets all sources end together.

        A source that was silent for a moment only may go on, so its bytes are bounded by the budget.
        """
        pending = self._pending
        left = sum(map(pending.owed_alone, stalled))
        if not left:
            return
        helpers = [source for source in sources if not pending.is_stalled(source)]
        owed = left + sum(map(pending.of, helpers))
        rates = {source: self._rate_of(source) or UNKNOWN_RATE for source in {*helpers, thief}}
        share = int(owed * rates[thief] / sum(rates.values())) - pending.of(thief)
        if share < BLOCK and pending.of(thief):
            return
        limit = min(limit, max(share, BLOCK))
        for victim in stalled:
            is_safe = now - pending.progress_at(victim) > SILENT_SECONDS
            most = limit if is_safe else min(limit, self._budget - pending.at_risk)
            for span in pending.queue_of(victim) if most > 0 else ():
                for start, end in pending.alone(victim, *span):
                    yield Takeover(start, min(end, start + most), is_safe=is_safe)

    def _patience(self, source: Peer, is_last: bool) -> float:
        """Seconds without data after which ``source`` counts as stalled."""
        if not is_last:
            return SILENT_SECONDS
        rate = self._rate_of(source) or UNKNOWN_RATE
        return min(SILENT_SECONDS, LAST_SILENT_SECONDS + LAST_SILENT_BLOCKS * BLOCK / rate)

    def _tails(self, victims: list[Peer], thief: Peer, limit: int, min_gain: float) -> Iterator[Takeover]:
        pending, own_rate, own = self._pending, self._rate_of(thief) or UNKNOWN_RATE, self._pending.of(thief)
        queues = []
        for victim in victims:
            owed, rate = pending.owed_alone(victim), self._rate_of(victim) or UNKNOWN_RATE
            share = int((owed * own_rate - own * rate) / (own_rate + rate))
            if share >= BLOCK and share / rate > min_gain:
                queues.append((owed / rate, share, victim))
        for _, share, victim in sorted(queues, reverse=True):
            for start, end in reversed(pending.requests_of(victim)):
                alone = pending.alone(victim, start, end)
                if alone:
                    start, end = alone[-1]
                    yield Takeover(max(start, end - min(limit, share)), end, True, start, victim)

    def _heads(self, victims: list[Peer], limit: int) -> Iterator[Takeover]:
        left = self._budget // 2 - self._pending.at_risk  # the rest is for stalled sources
        for victim in victims:
            for start, end in self._pending.requests_of(victim):
                for first, last in self._pending.alone(victim, start, end):
                    size = min(last - first, limit, left, HEAD_BYTES)
                    if size > 0:
                        yield Takeover(first, first + size, is_safe=False)
