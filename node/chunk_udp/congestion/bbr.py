"""BBR in its simplest form: model the path, and request what it carries (draft-ietf-ccwg-bbr).

Two numbers describe a path: ``max_bw``, the best delivery rate of the last rounds, and ``min_rtt``, the
shortest round trip of the last seconds. Their product fills the path without filling its queue. All other
parts keep these two numbers honest:

    STARTUP  requests at 2.77 times the delivery rate, until the rate stops growing, a queue stands, or the
             loss grows with the rate
    DRAIN    lets the queue that this made run empty
    CRUISE   requests at the measured rate (ProbeBW_CRUISE)
    UP       requests a quarter more for a round: if more arrives, the path had more (ProbeBW_UP)
    DOWN     requests less for a round, which drains the queue that UP made (ProbeBW_DOWN)

Losses with a standing queue are congestion and bound the bytes in flight (``inflight_hi``), as in BBR's
second version. Losses without a queue do not measure the rate: see ``loss_compensation``. The congestion
manager scales ``max_bw`` where several connections of this node share a link.

Left out: ProbeRTT, since DRAIN after each UP shows ``min_rtt`` as well, and ECN, which UDP sockets do not
report portably.
"""

from __future__ import annotations

import enum

from node.chunk_udp.congestion.base import MIN_PACED_RTT, CongestionController, FlowAdvice, FlowHandle
from node.chunk_udp.congestion.loss_compensation import LossCompensation
from node.chunk_udp.congestion.queue_detector import QueueDetector
from node.chunk_udp.delivery_rate import RoundSample
from node.chunk_udp.loss_recovery import RoundTripTime

# Names of the draft, where it has them.
STARTUP_PACING_GAIN = 2.77  # 4 ln 2: doubles the rate in each round
UP_PACING_GAIN, DOWN_PACING_GAIN, DRAIN_PACING_GAIN = 1.25, 0.6, 0.75  # times the path's rate
CWND_GAIN = 2.0  # bandwidth-delay products that may be outstanding
EXTRA_ACKED = 0.010  # seconds' worth more: hosts hold answers back and deliver them in heaps
FULL_BW_THRESH, FULL_BW_COUNT = 1.25, 3  # STARTUP ends after FULL_BW_COUNT rounds without that growth
MAX_BW_FILTER_LEN = 10  # rounds
LOSS_THRESH = 0.02  # of a round beyond the compensated loss, with a queue: congestion
BETA = 0.7  # of the bytes in flight that are left after congestion
# Ours.
CRUISE_ROUNDS = 6
DRAIN_ROUNDS = 3  # max rounds of DRAIN: the queue may be another node's
GROWTH = 1.1  # of the rate since UP: it was worth it, and there may be more
STEEP = 2  # probes in a row that found more: the path has changed, and STARTUP finds out faster
SCALE_GROWTH = 1.1  # of the manager's scale in a round: it shrinks at once and grows slowly
INCREASE = 1.0  # segments by which ``inflight_hi`` grows in a round,
INCREASE_WITHOUT_QUEUE = 2.0  # times that without a queue
ROUNDS_OF_A_CUT = 2  # rounds after a cut, with losses that belong to it
MIN_INFLIGHT_HI = 0.75  # bandwidth-delay products left after congestion: a busy host may look like it


class Phase(enum.Enum):
    """See the module's docstring."""

    STARTUP = "startup"
    DRAIN = "drain"
    DOWN = "down"
    CRUISE = "cruise"
    UP = "up"


PACING_GAINS = {
    Phase.STARTUP: STARTUP_PACING_GAIN,
    Phase.DRAIN: DRAIN_PACING_GAIN,
    Phase.DOWN: DOWN_PACING_GAIN,
    Phase.CRUISE: 1.0,
    Phase.UP: UP_PACING_GAIN,
}


class Bbr(CongestionController):
    """Decides once in each round. Between rounds only STARTUP's window grows."""

    def __init__(self, segment_size: int) -> None:
        super().__init__(segment_size)
        self.phase = Phase.STARTUP
        self.max_bw = 0.0  # bytes a second
        self.compensation = LossCompensation()
        self._queue = QueueDetector()
        self._scale = 1.0  # the manager's advice: the fraction of max_bw that fits into the link
        self._bw_samples: list[float] = []  # of the last rounds
        self._rounds = 0  # in this phase
        self._queued = False  # the last round met a queue
        self._inflight_hi = float("inf")  # bytes
        self._rounds_since_cut = ROUNDS_OF_A_CUT
        self._full_bw, self._full_bw_count = 0.0, 0
        self._full_bw_loss = 0.0  # the compensated loss when STARTUP last grew
        self._bw_before_up = float("inf")
        self._rises = 0  # probes in a row that found more

    @property
    def min_rtt(self) -> float:
        """Seconds; infinite before the first round."""
        return self._queue.min_rtt

    def pacing_rate(self, rtt: RoundTripTime) -> float:
        """The scaled rate times the phase's gain, plus the compensation."""
        shortest = max(rtt.smoothed, MIN_PACED_RTT)
        if not self.max_bw:
            return STARTUP_PACING_GAIN * self.window / shortest
        rate = PACING_GAINS[self.phase] * self._requested_bw()
        least = self.window if self.phase is Phase.STARTUP else self.minimum_window  # first samples are small
        return max(rate, least / shortest)

    def on_received(
        self, size: int, sent_at: float, rtt: RoundTripTime, now: float, window_limited: bool
    ) -> None:
        """In STARTUP: grow, and look for a queue. A round would be too long: the queue doubles in it."""
        self._queue.on_received(rtt)
        if self.phase is not Phase.STARTUP:
            return
        if window_limited:
            self.window = min(self.window + size, max(self._inflight_hi, self.window))
        if self._queue.on_startup_answer(rtt.latest, self._rounds, now):
            self._enter(Phase.DRAIN)

    def on_lost(self, size: int, sent_at: float, now: float) -> None:
        """Losses are judged by the round."""

    def on_persistent_congestion(self, now: float) -> None:
        """Request next to nothing until bytes arrive; the next round restores the window."""
        self.window = self.minimum_window

    def on_round(self, ended: RoundSample, flow: FlowHandle, now: float) -> None:
        """Update the model, go on in the cycle, set the window."""
        self._rounds += 1
        queue = self._queue.on_round(ended, now)
        queued, self._queued = queue or self._queued, queue  # a loss is noticed up to a round late
        self._update_max_bw(ended)
        lost = self.compensation.on_round(ended, queued, self.phase in (Phase.STARTUP, Phase.CRUISE))
        congested = queued and lost > LOSS_THRESH + self.compensation.loss
        if self.phase is Phase.STARTUP and self.min_rtt < float("inf") and self._loss_grows_with_rate(ended):
            self._enter(Phase.DRAIN)
        advice = flow.report(self.max_bw, ended.delivered, queue, congested, now)
        self._scale = min(advice.scale, SCALE_GROWTH * self._scale)
        self._follow_backoff_probe(advice)
        self._bound_inflight(ended, queue, congested or (queued and advice.congested), advice.connections)
        self._next_phase(ended, queue, flow, now)
        if self.phase is not Phase.STARTUP:
            self.window = max(min(self._inflight(CWND_GAIN), self._inflight_hi), self.minimum_window)

    # ---- the model

    def _update_max_bw(self, ended: RoundSample) -> None:
        if ended.rate and (not ended.app_limited or ended.rate > self.max_bw):
            self._bw_samples = [*self._bw_samples[1 - MAX_BW_FILTER_LEN :], ended.rate]
            self.max_bw = max(self._bw_samples)

    def _requested_bw(self) -> float:
        return self.max_bw * self._scale * self.compensation.factor

    def _inflight(self, gain: float) -> float:
        """Bytes that fill ``gain`` round trips, plus the bytes that a host may hold back."""
        if self.min_rtt == float("inf"):  # no round trip was measured yet
            return self.window
        return self._requested_bw() * (gain * self.min_rtt + EXTRA_ACKED)

    def _bound_inflight(self, ended: RoundSample, queue: bool, congested: bool, connections: int) -> None:
        """AIMD under congestion: all connections of the node together behave like one flow."""
        self._rounds_since_cut += 1
        if congested and self._rounds_since_cut > ROUNDS_OF_A_CUT:
            self._rounds_since_cut = 0
            least = MIN_INFLIGHT_HI * self.max_bw * self._scale * self.min_rtt
            cut = BETA * min(ended.in_flight, self._inflight_hi)
            self._inflight_hi = max(cut, least, self.minimum_window)
        elif self._inflight_hi < 2 * self._inflight(CWND_GAIN):
            growth = INCREASE if queue else INCREASE_WITHOUT_QUEUE * INCREASE
            self._inflight_hi += growth * self.segment_size / connections

    def _loss_grows_with_rate(self, ended: RoundSample) -> bool:
        grows = self.compensation.grows_with_rate(ended, self.segment_size)
        if grows:
            self._bw_before_up = 0.0  # it may have been a burst of bad luck: probe soon
        return grows

    def _follow_backoff_probe(self, advice: FlowAdvice) -> None:
        if advice.loss_is_self_inflicted is not None:
            self.compensation.on_backoff_result(advice.loss_is_self_inflicted)
        if advice.resting and self.phase in (Phase.CRUISE, Phase.UP):
            self._enter(Phase.DOWN)
        elif self.phase is Phase.DOWN and not advice.resting:
            self._enter(Phase.CRUISE)

    # ---- the cycle

    def _next_phase(self, ended: RoundSample, queue: bool, flow: FlowHandle, now: float) -> None:
        if self.phase is Phase.STARTUP:
            self._check_full_bw(ended, queue)
        elif self.phase is Phase.DRAIN:
            if ended.in_flight <= self._inflight(1.0) or self._rounds >= DRAIN_ROUNDS:
                self._enter(Phase.CRUISE)
        elif self.phase is Phase.CRUISE:
            self._maybe_probe(flow, now)
        elif self.phase is Phase.UP:
            flow.end_probe()
            if self.compensation.wants_backoff_probe(now):
                flow.begin_backoff_probe(min(ended.lowest_rtt, 1.0), now)
            self._enter(Phase.DRAIN)

    def _check_full_bw(self, ended: RoundSample, queue: bool) -> None:
        if self.max_bw >= self._full_bw * FULL_BW_THRESH:
            self._full_bw, self._full_bw_count = self.max_bw, 0
            self._full_bw_loss = self.compensation.loss
            return
        self._full_bw_count += not ended.app_limited
        if self._full_bw_count >= FULL_BW_COUNT or queue:
            self.compensation.bound(self._full_bw_loss)  # later losses come from requesting too fast
            self._enter(Phase.DRAIN)

    def _maybe_probe(self, flow: FlowHandle, now: float) -> None:
        """Probe for more from time to time; at once, and harder, where the last probe found more."""
        rising = self.max_bw > GROWTH * self._bw_before_up
        if rising and self._rises >= STEEP and not self._queued:
            self._full_bw, self._full_bw_count = self.max_bw, 0
            self._enter(Phase.STARTUP)
        elif (self._rounds >= CRUISE_ROUNDS or (rising and self._rounds > 1)) and flow.may_probe(now):
            self._rises = self._rises + 1 if rising else 0
            self._enter(Phase.UP)

    def _enter(self, phase: Phase) -> None:
        if phase is Phase.UP:
            self._bw_before_up = self.max_bw
        self.phase, self._rounds = phase, 0
