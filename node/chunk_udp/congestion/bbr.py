"""BBR, its second version's idea in its simplest form: model the path, and ask for what it carries.

Two numbers describe a path: the rate at which its narrowest link delivers (the best that arrived lately) and
the round trip without a queue (the least seen lately). Their product fills the path without filling its
queue. Everything else here keeps these two honest:

    STARTUP   ask for 2.77 times what arrives, until three rounds bring no quarter more, a queue stands, or
              more gets lost than before: then we crowd others out
    DRAIN     let the queue that this made run empty
    CRUISE    ask at the measured rate
    UP        for a round, ask for a quarter more: if more arrives, there was more
    DOWN      for a round, ask for a quarter less: drains what UP queued, and tries what asking less costs

Loss. Losses with a standing queue (every round trip of a round well above the least) are congestion: the
window shrinks, as in version 2. Losses without one say nothing of the rate (a bad radio link, say) and are
made good: as much more is asked for as gets lost. Whether that is right is tried in every DOWN: if asking
less costs nothing, the losses were our own doing after all, and are no longer made good.

Source: draft-cardwell-ccwg-bbr; the making good and its trial are ours.
"""

from __future__ import annotations

import enum
import math

from node.chunk_udp.congestion.base import SHORTEST_TRIP, CongestionController, FlowAdvice, FlowHandle
from node.chunk_udp.delivery_rate import RoundSample
from node.chunk_udp.loss_recovery import RoundTripTime

STARTUP_GAIN = 2.77  # 4 ln 2: doubles the rate with each round
UP_GAIN, DOWN_GAIN, DRAIN_GAIN = 1.25, 0.6, 0.75
WINDOW_GAIN = 2.0  # round trips' worth outstanding, at most
ALLOWANCE = 0.010  # seconds' worth more: hosts hold answers back and hand them over in heaps
FULL_GROWTH, FULL_ROUNDS = 1.25, 3  # STARTUP ends after this many rounds without that growth
CRUISE_ROUNDS = 6
RATE_ROUNDS = 10  # rounds for which a rate is believed
RTT_SECONDS = 10.0  # seconds for which a least round trip is believed
QUEUE_PART, QUEUE_SECONDS = 0.25, 0.004  # a round trip longer than the least by this shows a queue
ROUND_QUEUE = 0.08  # a smaller part does if all of a round are longer, unless that is
JITTER = 2.0  # times their usual variation
LONG_QUEUE = 0.05  # seconds more show one on any path
TOO_MUCH_LOSS = 0.02  # of a round, with a queue: congestion
CHANCE = 3.0  # standard deviations more than was lost before end STARTUP: chance does not explain that
LATE_SAMPLES = 8  # answers in a row, in STARTUP, that met a queue: it has filled the path
LATE_SECONDS, FEW_SAMPLES = 0.1, 3  # or fewer of them in so much time: slow paths give few answers
FIRST_ROUNDS = 2  # are the first window's: several owners' together make a queue that says nothing
DRAIN_ROUNDS = 3  # rounds that DRAIN and DOWN last at most: the queue may be others'
WASTED_CUT = 0.6  # what is still made good of losses after a rest showed waste
WORTH_A_REST = 0.02  # of what is asked for: who makes good more than this tries now and then whether it helps
REST_INTERVAL = 2.0  # seconds between two rests for all that make losses good, at least
RISING = 1.1  # times the rate before UP: it was worth it, and there may be more
EASE = 1.1  # times, in a round without a queue: what fits beside the others grows again
STEEP = 2  # probes in a row that found more: the path has changed, STARTUP finds out faster
INCREASE = 1.0  # segments that congestion's bound grows in a round
CUT_ROUNDS = 2  # rounds after a cut whose losses belong to it
FREE = 2.0  # times that, when there is no queue
FLOOR = 0.75  # round trips' worth, without a queue, that congestion leaves: it may have been a busy host
BETA = 0.7  # what is left of the window after it
MOST_MADE_GOOD = 0.8  # of what is asked for; more loss than this is a broken path


class Phase(enum.Enum):
    """Where in its cycle it is."""

    STARTUP = "startup"
    DRAIN = "drain"
    DOWN = "down"
    CRUISE = "cruise"
    UP = "up"


GAINS = {
    Phase.STARTUP: STARTUP_GAIN,
    Phase.DRAIN: DRAIN_GAIN,
    Phase.DOWN: DOWN_GAIN,
    Phase.CRUISE: 1.0,
    Phase.UP: UP_GAIN,
}


class Bbr(CongestionController):
    """Thinks once in each round trip; between rounds only STARTUP's window grows."""

    def __init__(self, segment_size: int) -> None:
        super().__init__(segment_size)
        self.phase = Phase.STARTUP
        self._gain = STARTUP_GAIN
        self.rate = 0.0  # bytes a second that arrive at best
        self.least_rtt = float("inf")
        self.loss = 0.0  # of what is asked for, without congestion: made good
        self._fits = 1.0  # part of our rate that the access link carries, beside the others
        self._rates: list[float] = []  # the last rounds' best samples
        self._rtts: list[tuple[float, float]] = []  # (when, seconds): candidates for the least one
        self._full_rate, self._full_rounds = 0.0, 0
        self._rounds = 0  # in this phase
        self._ceiling = float("inf")  # bytes outstanding that congestion allowed
        self._since_cut = CUT_ROUNDS  # rounds
        self._late = 0  # bytes came late so many times in a row
        self._variation = 0.0  # seconds, of round trips
        self._late_since = float("inf")
        self._queued = False  # the last round met a queue throughout
        self._rate_before_up = float("inf")  # at the last probe
        self._most_loss = MOST_MADE_GOOD  # as far as rests have shown it to be worth it
        self._next_rest = 0.0  # when to try again what asking for less costs
        self._full_loss = 0.0  # the loss when STARTUP last grew
        self._begun_lost, self._begun_total = 0.0, 0.0  # segments of STARTUP
        self._rises = 0  # probes in a row that found more

    # ---- what the connection asks

    def pacing_rate(self, rtt: RoundTripTime) -> float:
        """The measured rate times the phase's gain, and what gets lost on top."""
        if not self.rate:
            return STARTUP_GAIN * self.window / max(rtt.smoothed, SHORTEST_TRIP)
        rate = self._gain * self.rate * self._fits / (1 - self.loss)
        least = self.window if self.phase is Phase.STARTUP else self.minimum_window  # first samples are small
        return max(rate, least / max(rtt.smoothed, SHORTEST_TRIP))

    # ---- what the connection tells

    def on_received(self, size: int, sent_at: float, rtt: RoundTripTime, now: float, limited: bool) -> None:
        """Only STARTUP grows between rounds."""
        self._variation = rtt.variation
        if self.phase is not Phase.STARTUP:
            return
        if limited:
            self.window = min(self.window + size, max(self._ceiling, self.window))
        if not self._shows_queue(rtt.latest):
            self._late, self._late_since = 0, now
            return
        self._late += 1
        slowly = self._late >= FEW_SAMPLES and now - self._late_since >= LATE_SECONDS
        long_late = slowly and self._rounds > FIRST_ROUNDS
        if (
            self._late >= LATE_SAMPLES or long_late
        ):  # a round is too long to wait: the queue doubles meanwhile
            self._enter(Phase.DRAIN)

    def on_lost(self, size: int, sent_at: float, now: float) -> None:
        """Each round tells what it lost."""

    def on_persistent_congestion(self, now: float) -> None:
        """Next to nothing until something comes; then the next round goes by the model again."""
        self.window = self.minimum_window

    def on_round(self, ended: RoundSample, share: FlowHandle, now: float) -> None:
        """Learn from a round, go on in the cycle, set the window."""
        self._rounds += 1
        queue = self._learn_rtt(ended, now)
        queued, self._queued = queue or self._queued, queue  # losses are told a round late
        self._learn_rate(ended)
        congested = self._learn_loss(ended, queued) > TOO_MUCH_LOSS + self.loss and queued
        if self.phase is Phase.STARTUP and self._rtts and self._crowds_out(ended):
            self._enter(Phase.DRAIN)
        view = share.report(self.rate, ended.delivered, queue, congested, now)
        self._fits = min(view.fits, EASE * self._fits)
        self._rest(view)
        self._bound(ended, queue, congested or (queued and view.congested), view.connections)
        self._go_on(ended, queue, share, now)
        if self.phase is not Phase.STARTUP:
            self.window = max(min(self._target(WINDOW_GAIN), self._ceiling), self.minimum_window)

    # ---- the model

    def _learn_rtt(self, ended: RoundSample, now: float) -> bool:
        """Whether the whole round met a queue."""
        lowest = ended.lowest_rtt
        if lowest == float("inf"):
            return False
        self._rtts = [(t, r) for t, r in self._rtts if t > now - RTT_SECONDS and r < lowest] + [(now, lowest)]
        self.least_rtt = self._rtts[0][1]
        steady = max(ROUND_QUEUE * self.least_rtt + QUEUE_SECONDS, JITTER * self._variation)
        return self._shows_queue(lowest, steady)

    def _shows_queue(self, seconds: float, more: float = math.inf) -> bool:
        most = QUEUE_PART * self.least_rtt + QUEUE_SECONDS
        return seconds > self.least_rtt + min(more, most, LONG_QUEUE)

    def _learn_rate(self, ended: RoundSample) -> None:
        if ended.rate and (not ended.limited or ended.rate > self.rate):
            self._rates = [*self._rates[1 - RATE_ROUNDS :], ended.rate]
            self.rate = max(self._rates)

    def _learn_loss(self, ended: RoundSample, queued: bool) -> float:
        """Which part of the round was lost; where no queue stood, that was nobody's doing."""
        total = ended.lost + ended.delivered
        lost = min(max(0, ended.lost) / total, 1.0) if total > 0 else 0.0
        if queued:
            self.loss *= 0.75  # asking for less would do
        elif self.phase in (Phase.STARTUP, Phase.CRUISE):
            self.loss = min(self.loss + (lost - self.loss) / 4, self._most_loss)
        return lost

    def _rest(self, view: FlowAdvice) -> None:
        """All connections ask for less at times: if as much came, losses were our own doing."""
        if view.wasted is not None:
            self._most_loss = (
                WASTED_CUT * self.loss if view.wasted else min(MOST_MADE_GOOD, 2 * self._most_loss + 0.05)
            )
            self.loss = min(self.loss, self._most_loss)
        if view.resting and self.phase in (Phase.CRUISE, Phase.UP):
            self._enter(Phase.DOWN)
        elif self.phase is Phase.DOWN and not view.resting:
            self._enter(Phase.CRUISE)

    def _bound(self, ended: RoundSample, queue: bool, congested: bool, connections: int) -> None:
        """Under congestion all connections together behave like one that AIMD steers."""
        self._since_cut += 1
        if congested and self._since_cut > CUT_ROUNDS:
            self._since_cut = 0
            least = FLOOR * self.rate * self._fits * self.least_rtt
            self._ceiling = max(BETA * min(ended.in_flight, self._ceiling), least, self.minimum_window)
        elif self._ceiling < 2 * self._target(WINDOW_GAIN):
            self._ceiling += (1 if queue else FREE) * INCREASE * self.segment_size / connections

    def _target(self, gain: float) -> float:
        """Bytes outstanding that fill ``gain`` round trips, and what a host may hold back."""
        rate = self.rate * self._fits / (1 - self.loss)
        return rate * (gain * self.least_rtt + ALLOWANCE)

    # ---- the cycle

    def _go_on(self, ended: RoundSample, queue: bool, share: FlowHandle, now: float) -> None:
        if self.phase is Phase.STARTUP:
            self._maybe_full(ended, queue)
        elif self.phase is Phase.DRAIN:
            if ended.in_flight <= self._target(1.0) or self._rounds >= DRAIN_ROUNDS:
                self._enter(Phase.CRUISE)
        elif self.phase is Phase.CRUISE:
            self._cruise(share, now)
        elif self.phase is Phase.UP:
            share.end_probe()
            if self.loss > WORTH_A_REST and now > self._next_rest:
                self._next_rest = now + REST_INTERVAL
                share.begin_rest(min(ended.lowest_rtt, 1.0), now)
            self._enter(Phase.DRAIN)

    def _cruise(self, share: FlowHandle, now: float) -> None:
        """Time to probe? At once, and harder, where the last probe found more."""
        rising = self.rate > RISING * self._rate_before_up
        if rising and self._rises >= STEEP and not self._queued:
            self._full_rate, self._full_rounds = self.rate, 0
            self._enter(Phase.STARTUP)
        elif (self._rounds >= CRUISE_ROUNDS or (rising and self._rounds > 1)) and share.may_probe(now):
            self._rises = self._rises + 1 if rising else 0
            self._enter(Phase.UP)

    def _crowds_out(self, ended: RoundSample) -> bool:
        """Whether the loss grows with the rate: then a queue is full, though it may be as long as ever."""
        lost = max(0, ended.lost) / self.segment_size
        total = lost + max(0, ended.delivered) / self.segment_size
        before = (self._begun_lost + 1) / (
            self._begun_total + 2
        )  # Laplace's rule: at first anything is likely
        crowded = lost > before * total + CHANCE * math.sqrt(before * (1 - before) * total)
        if crowded:
            self.loss = min(self.loss, self._begun_lost / max(1.0, self._begun_total))
            self._rate_before_up = 0.0  # it may have been a burst of bad luck: probe soon
        self._begun_lost, self._begun_total = self._begun_lost + lost, self._begun_total + total
        return crowded

    def _maybe_full(self, ended: RoundSample, queue: bool) -> None:
        if self.rate >= self._full_rate * FULL_GROWTH:
            self._full_rate, self._full_rounds, self._full_loss = self.rate, 0, self.loss
            return
        self._full_rounds += not ended.limited
        if self._full_rounds >= FULL_ROUNDS or queue:
            self.loss = min(self.loss, self._full_loss)  # what was lost since was asked for too fast
            self._enter(Phase.DRAIN)

    def _enter(self, phase: Phase) -> None:
        if phase is Phase.UP:
            self._rate_before_up = self.rate
        self.phase, self._gain, self._rounds = phase, GAINS[phase], 0
