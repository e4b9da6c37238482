"""How many who have not proved their address get an answer. Pure: no clock, and no state for any stranger.

A TOKEN costs its sender nothing but one datagram, and us a keyed hash and a datagram. So there are at most
MAX_TOKENS_PER_SECOND of them a second; honest newcomers ask again, and a class of hundreds fits in.

Which ones shall be looked at is drawn anew each LIMITER_INTERVAL, by address: ``share`` of all. If a flood
comes from few of them, it is left out most of the time, and newcomers have their chance then.
"""

from __future__ import annotations

MAX_TOKENS_PER_SECOND = 5000  # TOKENs a second; each costs 20 µs
FLOOD_PER_SECOND = 1000  # datagrams a second received in vain, from which on it is a flood
LIMITER_INTERVAL = 0.1  # seconds over which both are counted
MIN_ADMITTED_FRACTION = 1 / 256  # somebody new has a chance, whatever comes


class UnvalidatedLimiter:
    """Counts what comes from whoever has not proved an address. Times are monotonic seconds."""

    def __init__(self, now: float) -> None:
        self._begun = now  # when the current turn began
        self._answered = 0
        self._in_vain = 0
        self._adjusted = now
        self._seen = 0  # strangers since then
        self.flooded = False  # whether there ever was a flood
        self.share = 1.0  # of what strangers send that is worth a look: the rest could not be answered

    def may_be_answered(self, now: float) -> bool:
        """Whether one more TOKEN may be sent."""
        self._turn(now)
        return self._answered < MAX_TOKENS_PER_SECOND * LIMITER_INTERVAL

    def answered(self, now: float) -> None:
        """A TOKEN is sent."""
        self._turn(now)
        self._answered += 1
        self._seen += 1

    def turned_away(self, now: float) -> None:
        """One asked for a TOKEN and gets none: there were too many already."""
        self._seen += 1
        self.count_wasted(now)

    def count_wasted(self, now: float) -> None:
        """A datagram was received that was not worth it."""
        self._turn(now)
        self._in_vain += 1
        self.flooded = self.flooded or self._in_vain >= FLOOD_PER_SECOND * LIMITER_INTERVAL

    def adjust(self, now: float) -> float:
        """The ``share``, changed by what was seen since the last time: as much as can be answered.

        To be called whenever the share is put into effect, and only then.
        """
        seconds = now - self._adjusted
        if seconds > 0 and self._seen > MAX_TOKENS_PER_SECOND * seconds:
            self.share = max(MIN_ADMITTED_FRACTION, self.share * MAX_TOKENS_PER_SECOND * seconds / self._seen)
        elif self._seen < MAX_TOKENS_PER_SECOND * seconds / 2:
            self.share = min(1.0, 2 * self.share)
        self._adjusted, self._seen = now, 0
        return self.share

    def _turn(self, now: float) -> None:
        if now - self._begun >= LIMITER_INTERVAL:
            self._begun, self._answered, self._in_vain = now, 0, 0
            if not self.flooded:
                self._adjusted, self._seen = now, 0
