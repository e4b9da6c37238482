"""One view of the node's access link for all of its connections (RFC 3124, RFC 8699).

Several owners at once usually meet in one place: the last link before this node. Controllers that do not
know of each other overfill its queue together, each believing in the best rate that it ever measured. The
fetcher sees them all. So each connection has a ``FlowHandle`` here. Once in a round trip it reports the rate
that it estimates and the bytes that arrived, and gets advice:

    scale      the sum of all estimates is scaled down to the rate that arrived in all. If the owners do not
               share a bottleneck, their full estimates arrive, and no connection is held back
    probe      only one connection at a time probes for more, so probes do not add up
    congested  another connection met congestion
    resting    a backoff probe. Losses without a queue may come from a bad radio link, or from requesting
               too fast. All connections request less for a few round trips. If no fewer bytes arrive, the
               excess was wasted: the losses were self-inflicted

All methods may be called from any thread. Times are monotonic seconds.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import NamedTuple

RATE_MEMORY = 2.0  # seconds for which a total rate is remembered
RATE_INTERVAL = 0.1  # seconds over which it is measured, at least
DRAINING = 0.93  # of the total rate: while a queue stands, all together stay below it, and the queue drains
BACKOFF_ROUNDS = 3.0  # round trips that a backoff probe lasts
BACKOFF_DELAY = 2.0  # round trips after which it shows in what arrives
MIN_BACKOFF_BYTES = 100_000  # expected in a backoff probe; fewer would show only chance
UNHARMED = 0.88  # of the expected bytes: if more arrived, requesting less cost nothing
PROBE_LIMIT = 1.0  # seconds after which the turn to probe passes on although it was not returned


class FlowAdvice(NamedTuple):
    """The congestion manager's advice to one connection."""

    scale: float = 1.0  # the fraction of its own rate estimate that fits into the link
    connections: int = 1  # that share the link
    congested: bool = False  # another connection met congestion since the last report
    resting: bool = False  # a backoff probe: all connections request less, to see whether less arrives
    loss_is_self_inflicted: bool | None = None  # the result of the last backoff probe, once


@dataclass
class _BackoffProbe:
    """A time in which all connections request less."""

    until: float
    counts_from: float
    counts_to: float
    rate_before: float  # bytes a second
    arrived: int | None = None  # bytes in all when counting began


class CongestionManager:
    """The access link of one node."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flows: dict[int, FlowHandle] = {}
        self._estimated = 0.0  # bytes a second, the sum of all flows
        self._queues = 0  # flows that met a queue in their last round
        self._joined = 0
        self._arrived = 0
        self._congestions = 0  # reported so far
        self._backoff: _BackoffProbe | None = None
        self._backoffs = 0  # finished
        self._self_inflicted = False  # the result of the last backoff probe
        self._measuring: tuple[float, int] | None = None  # since when, and the bytes arrived by then
        self._rates: list[tuple[float, float]] = []  # (when, bytes a second in all), oldest first
        self._best = 0.0  # of them
        self._prober: tuple[int, float] | None = None  # the flow that may probe, and until when

    def join(self) -> FlowHandle:
        """A handle for one more connection."""
        with self._lock:
            self._joined += 1
            flow = self._flows[self._joined] = FlowHandle(self, self._joined)
            flow.congestions, flow.backoffs = (
                self._congestions,
                self._backoffs,
            )
            return flow

    def _leave(self, key: int) -> None:
        with self._lock:
            flow = self._flows.pop(key, None)
            if flow is not None:
                self._estimate(flow, 0.0, False)
            if self._prober and self._prober[0] == key:
                self._prober = None

    def _estimate(self, flow: FlowHandle, rate: float, queue: bool) -> None:
        """Update the sums. Computing them from all flows would cost more than the rest of a report."""
        self._estimated += rate - flow.estimated_rate
        self._queues += queue - flow.queue
        flow.estimated_rate, flow.queue = rate, queue

    def _report(
        self, flow: FlowHandle, rate: float, arrived: int, queue: bool, congested: bool, now: float
    ) -> FlowAdvice:
        with self._lock:
            if flow.key in self._flows:
                self._estimate(flow, rate, queue)
            self._arrived += arrived
            self._measure(now)
            if congested:
                self._congestions += 1
                flow.congestions = self._congestions
            others_congested = self._congestions > flow.congestions
            flow.congestions = self._congestions
            result = self._self_inflicted if self._backoffs > flow.backoffs else None
            flow.backoffs = self._backoffs
            resting = self._backoff is not None and now < self._backoff.until
            return FlowAdvice(self._scale(), len(self._flows), others_congested, resting, result)

    def _scale(self) -> float:
        flows = len(self._flows)
        if flows < 2 or 2 * self._queues < flows or self._estimated < 1:  # rounding may leave a little
            return 1.0
        if not self._best:  # nothing arrived for a while, which does not measure the link
            return 1.0
        scale = self._best * DRAINING / self._estimated
        return max(1 / flows, min(1.0, scale))  # at worst, each estimates the whole link

    def _measure(self, now: float) -> None:
        if self._measuring is None:
            self._measuring = now, self._arrived
            return
        since, before = self._measuring
        if now - since >= RATE_INTERVAL:
            rate = (self._arrived - before) / (now - since)
            self._rates = [(t, r) for t, r in self._rates if t > now - RATE_MEMORY] + [(now, rate)]
            self._best = max(r for _, r in self._rates)
            self._measuring = now, self._arrived
        self._check_backoff(now)

    def _begin_backoff(self, round_trip: float, now: float) -> None:
        with self._lock:
            if self._backoff is None and self._rates:
                begins = now + BACKOFF_DELAY * round_trip  # it shows in the arrivals a round trip later
                until = now + BACKOFF_ROUNDS * round_trip
                before = sum(rate for _, rate in self._rates) / len(self._rates)
                self._backoff = _BackoffProbe(until, begins, until + BACKOFF_DELAY * round_trip, before)

    def _check_backoff(self, now: float) -> None:
        """Did less arrive while less was requested? If not, the excess before was wasted."""
        probe = self._backoff
        if probe is None:
            return
        if probe.arrived is None and now >= probe.counts_from:
            probe.counts_from, probe.arrived = now, self._arrived
        elif probe.arrived is not None and now >= probe.counts_to:
            expected = probe.rate_before * (now - probe.counts_from)
            unharmed = self._arrived - probe.arrived > UNHARMED * expected
            self._self_inflicted = expected >= MIN_BACKOFF_BYTES and unharmed
            self._backoffs += 1
            self._backoff = None

    def _may_probe(self, key: int, now: float) -> bool:
        with self._lock:
            if self._prober is not None and self._prober[0] != key and self._prober[1] > now:
                return False
            self._prober = key, now + PROBE_LIMIT
            return True

    def _end_probe(self, key: int) -> None:
        with self._lock:
            if self._prober is not None and self._prober[0] == key:
                self._prober = None


class FlowHandle:
    """One connection's part in the access link. For its thread only."""

    def __init__(self, manager: CongestionManager, key: int) -> None:
        self._manager = manager
        self.key = key
        self.estimated_rate = 0.0  # bytes a second
        self.queue = False  # it met a queue in its last round
        self.congestions = 0  # of all connections, at the last report
        self.backoffs = 0  # finished backoff probes, at the last report

    def __repr__(self) -> str:
        return f"FlowHandle({self.key})"

    def report(self, rate: float, arrived: int, queue: bool, congested: bool, now: float) -> FlowAdvice:
        """Report an estimate of ``rate`` bytes a second, and ``arrived`` bytes since the last report.

        ``queue``: they met a queue all the time. ``congested``: losses show that the queue was full.
        """
        return self._manager._report(self, rate, arrived, queue, congested, now)

    def begin_backoff_probe(self, round_trip: float, now: float) -> None:
        """Have all connections request less for a few round trips of ``round_trip`` seconds."""
        self._manager._begin_backoff(round_trip, now)

    def may_probe(self, now: float) -> bool:
        """True if this connection may probe for more. Then it has the turn until ``end_probe``."""
        return self._manager._may_probe(self.key, now)

    def end_probe(self) -> None:
        """Pass the turn on."""
        self._manager._end_probe(self.key)

    def leave(self) -> None:
        """The connection has ended."""
        self._manager._leave(self.key)
