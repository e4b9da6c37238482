"""Loss compensation: request more where losses are not congestion. No part of the BBR draft.

BBR sends at the rate that the path delivers. On a path that loses 10% for other reasons than a full queue (a
bad radio link) a fetcher then gets 90% of the link's rate. So losses without a standing queue are
compensated: the fetcher requests more, by the fraction that is lost.

Is that right? Requesting too fast loses bytes as well, and on a link with a very short buffer no queue shows
it. Two tests find out:

- in STARTUP the rate doubles each round. If the fraction that is lost grows with it beyond what chance
  explains, a queue is full somewhere, and the growth ends;
- from time to time all connections of the node request less (a backoff probe of the congestion manager). If
  no fewer bytes arrive, the losses were self-inflicted, and are compensated less from then on.
"""

from __future__ import annotations

import math

from node.chunk_udp.delivery_rate import RoundSample

LOSS_WEIGHT = 1 / 4  # of a round in the smoothed fraction
QUEUE_DECAY = 0.75  # of the compensation, in each round with a queue: there requesting less would help
MAX_COMPENSATED = 0.8  # of the requested bytes; a path that loses more is broken
SELF_INFLICTED_CUT = 0.6  # of the compensation that is left after a backoff probe showed waste
MIN_BACKOFF_LOSS = 0.02  # compensation above this is tested by backoff probes
BACKOFF_INTERVAL = 2.0  # seconds between them, at least
CHANCE = 3.0  # standard deviations of lost segments that chance explains


class LossCompensation:
    """``loss`` is the compensated fraction of the requested bytes."""

    def __init__(self) -> None:
        self.loss = 0.0
        self._limit = MAX_COMPENSATED  # as far as backoff probes have shown it to help
        self._next_backoff = 0.0
        self._startup_lost = self._startup_total = 0.0  # segments

    @property
    def factor(self) -> float:
        """How many bytes to request for each byte that is to arrive."""
        return 1 / (1 - self.loss)

    def on_round(self, ended: RoundSample, queued: bool, steady: bool) -> float:
        """Learn from a round. Returns the fraction of it that was lost.

        ``queued``: it met a queue. ``steady``: it requested at a steady or growing rate.
        """
        total = ended.lost + ended.delivered
        lost = min(max(0, ended.lost) / total, 1.0) if total > 0 else 0.0
        if queued:
            self.loss *= QUEUE_DECAY
        elif steady:
            self.loss = min(self.loss + (lost - self.loss) * LOSS_WEIGHT, self._limit)
        return lost

    def bound(self, loss: float) -> None:
        """Compensate no more than ``loss``."""
        self.loss = min(self.loss, loss)

    def grows_with_rate(self, ended: RoundSample, segment_size: int) -> bool:
        """True if this round of STARTUP lost more than the rounds before and chance explain.

        Then the compensation is set back to the loss of the rounds before.
        """
        lost = max(0, ended.lost) / segment_size
        total = lost + max(0, ended.delivered) / segment_size
        before = (self._startup_lost + 1) / (
            self._startup_total + 2
        )  # Laplace's rule: at first all is likely
        grows = lost > before * total + CHANCE * math.sqrt(before * (1 - before) * total)
        if grows:
            self.bound(self._startup_lost / max(1.0, self._startup_total))
        self._startup_lost, self._startup_total = self._startup_lost + lost, self._startup_total + total
        return grows

    def wants_backoff_probe(self, now: float) -> bool:
        """True if it is time to test the compensation."""
        if self.loss <= MIN_BACKOFF_LOSS or now <= self._next_backoff:
            return False
        self._next_backoff = now + BACKOFF_INTERVAL
        return True

    def on_backoff_result(self, self_inflicted: bool) -> None:
        """A backoff probe has ended."""
        relaxed = min(MAX_COMPENSATED, 2 * self._limit + 0.05)
        self._limit = SELF_INFLICTED_CUT * self.loss if self_inflicted else relaxed
        self.bound(self._limit)
