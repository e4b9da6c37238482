"""One view of the node's own access link, shared by all who fetch through it.

Several owners at once usually meet in one place: the last link before us. Controllers that do not know of
each other overfill its queue together, each believing in the best rate it ever saw. The fetcher sees them
all; so each connection has a ``FlowHandle`` here, reports once a round trip what it believes to be its rate
and what really arrived, and is told how much of its belief fits: the sum of all beliefs is scaled down to
what has arrived in all. Where the owners do not share a bottleneck, as much arrives as they believe in, and
nobody is held back. Besides, one connection at a time probes for more, so that probes do not add up.

The limit for downloading (``-down``) is kept here, too, because it is one for all.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from node.chunk_udp.congestion.base import FlowAdvice
from node.chunk_udp.limits import RateLimit

MEMORY = 2.0  # seconds for which a rate that arrived in all is remembered
SLICE = 0.1  # seconds over which it is measured, at least
DRAINING = 0.93  # while a queue stands, all together stay below what arrives: it runs empty
REST_ROUNDS = 3.0  # round trips that a rest lasts
REST_DELAY = 2.0  # round trips after which it shows in what arrives
REST_BYTES = 100_000  # due in a rest; less shows nothing but chance, and nothing is called waste by chance
COSTLESS = 0.88  # of the rate before: if so much came although less was asked for, the rest was waste
PROBE_TURN = 1.0  # seconds after which a probing turn ends although nobody gave it back


@dataclass
class _Rest:
    """A while in which everybody asks for less."""

    until: float
    counts_from: float
    counts_to: float
    rate_before: float  # bytes a second
    arrived: int | None = None  # bytes in all when counting began


class CongestionManager:
    """Everything that arrives at this node. ``limit``: bytes a second, at most; None: no limit.

    For all threads; times are monotonic seconds, handed in.
    """

    def __init__(self, limit: int | None = None, now: float = 0.0) -> None:
        self._lock = threading.Lock()
        self._limit = RateLimit(limit, now)
        self._shares: dict[int, FlowHandle] = {}
        self._believed = 0.0  # bytes a second, by all of them together
        self._queues = 0  # how many of them met a queue in their last round
        self._joined = 0
        self._arrived = 0
        self._congested = 0  # how often somebody met congestion
        self._rest: _Rest | None = None
        self._rests = 0  # how many there were
        self._wasted = False  # what the last one showed
        self._slice_since: tuple[float, int] | None = None
        self._rates: list[tuple[float, float]] = []  # (when, bytes a second in all), oldest first
        self._best = 0.0  # of them
        self._prober: tuple[int, float] | None = None  # who probes, and until when at most

    def join(self) -> FlowHandle:
        """A further connection."""
        with self._lock:
            self._joined += 1
            share = self._shares[self._joined] = FlowHandle(self, self._joined)
            share.congested, share.rests = self._congested, self._rests  # what was before is not its affair
            return share

    def _leave(self, key: int) -> None:
        with self._lock:
            share = self._shares.pop(key, None)
            if share is not None:
                self._believe(share, 0.0, False)
            if self._prober and self._prober[0] == key:
                self._prober = None

    def _believe(self, share: FlowHandle, rate: float, queue: bool) -> None:
        """The sums are kept, not made anew: with a dozen owners that costs more than the rest of a report."""
        self._believed += rate - share.believed
        self._queues += queue - share.queue
        share.believed, share.queue = rate, queue

    def _report(
        self, share: FlowHandle, believed: float, arrived: int, queue: bool, congested: bool, now: float
    ) -> FlowAdvice:
        with self._lock:
            if share.key in self._shares:
                self._believe(share, believed, queue)
            self._arrived += arrived
            self._measure(now)
            if congested:
                self._congested += 1
                share.congested = self._congested
            others_met_it = self._congested > share.congested
            share.congested = self._congested
            wasted = self._wasted if self._rests > share.rests else None
            share.rests = self._rests
            resting = self._rest is not None and now < self._rest.until
            return FlowAdvice(self._fits(), len(self._shares), others_met_it, resting, wasted)

    def _fits(self) -> float:
        shares = len(self._shares)
        if shares < 2 or 2 * self._queues < shares or self._believed < 1:  # rounding leaves a crumb
            return 1.0
        if not self._best:  # nothing came for a while: that says nothing of what fits
            return 1.0
        fits = self._best * DRAINING / self._believed
        return max(1 / shares, min(1.0, fits))  # at worst, each believes it has the link to itself

    def _measure(self, now: float) -> None:
        if self._slice_since is None:
            self._slice_since = now, self._arrived
            return
        since, before = self._slice_since
        if now - since >= SLICE:
            rate = (self._arrived - before) / (now - since)
            self._rates = [(t, r) for t, r in self._rates if t > now - MEMORY] + [(now, rate)]
            self._best = max(r for _, r in self._rates)
            self._slice_since = now, self._arrived
        self._judge_rest(now)

    def _begin_rest(self, round_trip: float, now: float) -> None:
        with self._lock:
            if self._rest is None and self._rates:
                begins = now + REST_DELAY * round_trip  # what is asked for now shows a round trip later
                until = now + REST_ROUNDS * round_trip
                before = sum(rate for _, rate in self._rates) / len(self._rates)
                self._rest = _Rest(until, begins, until + REST_DELAY * round_trip, before)

    def _judge_rest(self, now: float) -> None:
        """Asked for less for a while: did less come? If not, what was asked for in excess was wasted."""
        rest = self._rest
        if rest is None:
            return
        if rest.arrived is None and now >= rest.counts_from:
            rest.counts_from, rest.arrived = now, self._arrived
        elif rest.arrived is not None and now >= rest.counts_to:
            due = rest.rate_before * (now - rest.counts_from)
            self._wasted = due >= REST_BYTES and self._arrived - rest.arrived > COSTLESS * due
            self._rests += 1
            self._rest = None

    def _probe(self, key: int, now: float) -> bool:
        with self._lock:
            if self._prober is not None and self._prober[0] != key and self._prober[1] > now:
                return False
            self._prober = key, now + PROBE_TURN
            return True

    def _end_probe(self, key: int) -> None:
        with self._lock:
            if self._prober is not None and self._prober[0] == key:
                self._prober = None

    def _spend(self, size: int, now: float) -> None:
        with self._lock:
            self._limit.spend(size, now)

    def _wait(self, size: int, now: float) -> float:
        with self._lock:
            return self._limit.wait(size, now)

    @property
    def limited(self) -> bool:
        """Whether there is a limit for downloading."""
        return self._limit.rate is not None

    @property
    def largest_datagram(self) -> int:
        """Bytes that a datagram may have so that the limit can be kept."""
        return self._limit.largest_datagram


class FlowHandle:
    """One connection's part in the access link; for its thread only."""

    def __init__(self, link: CongestionManager, key: int) -> None:
        self._link = link
        self.limited = link.limited  # whether there is a limit for downloading
        self.largest_request = (  # bytes to ask for at once, at most, so that it is kept
            link.largest_datagram if link.limited else float("inf")
        )
        self.key = key  # its name in the link
        self.believed = 0.0  # bytes a second
        self.queue = False  # whether one was met in the last round
        self.congested = 0  # how often somebody had met congestion at the last report
        self.rests = 0  # how many there had been then

    def report(self, believed: float, arrived: int, queue: bool, congested: bool, now: float) -> FlowAdvice:
        """Believe in ``believed`` bytes a second, with ``arrived`` bytes since the last report.

        ``queue``: they met a queue all the time; ``congested``: so much was lost that it was full.
        """
        return self._link._report(self, believed, arrived, queue, congested, now)

    def begin_rest(self, round_trip: float, now: float) -> None:
        """Have everybody ask for less for some round trips (of so many seconds), and see what it costs."""
        self._link._begin_rest(round_trip, now)

    def may_probe(self, now: float) -> bool:
        """Whether it is this connection's turn to probe for more; it has the turn then."""
        return self._link._probe(self.key, now)

    def end_probe(self) -> None:
        """Somebody else's turn."""
        self._link._end_probe(self.key)

    def spend(self, size: int, now: float) -> None:
        """``size`` bytes were asked for."""
        self._link._spend(size, now)

    def wait(self, size: int, now: float) -> float:
        """Seconds until ``size`` bytes may be asked for, as far as the download limit goes."""
        return self._link._wait(size, now)

    def leave(self) -> None:
        """The connection has ended."""
        self._link._leave(self.key)
