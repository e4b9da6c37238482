"""Lab 4: decide when an answer counts as lost.

The fetcher drives here: it sends REQUEST n and waits for DATA n, so the timers of TCP's sender are the
fetcher's. The window is given. Times are seconds.
"""

from __future__ import annotations

from typing import Any

Answer = Any  # answer.number, answer.sent_at (of the last REQUEST for it), answer.times_sent
FIRST = 1.0  # seconds until an answer counts as lost, before the first round trip is known
LATER = 3  # answers to later requests, after which a missing one counts as lost


class Sender:
    """Keeps ``window`` requests outstanding, and knows when to repeat one."""

    def __init__(self, window: int) -> None:
        self.window = window
        self.outstanding: set[int] = set()
        self.next = 1  # the number of the next new request
        # answer
        self.smoothed: float | None = None  # the round trip
        self.deviation = 0.0
        self.repeated: set[int] = set()
        # blank
        # end of answer

    def may_send(self, now: float) -> bool:
        """May one more segment be requested now? Given."""
        if len(self.outstanding) >= self.window:
            return False
        self.outstanding.add(self.next)
        self.next += 1
        return True

    def on_answer(self, answer: Answer, now: float) -> list[int]:
        """DATA came. Returns the numbers, of those outstanding, that count as lost now: they are repeated."""
        self.outstanding.discard(answer.number)
        # answer
        if answer.times_sent > 1:
            return []
        sample = now - answer.sent_at
        if self.smoothed is None:
            self.smoothed, self.deviation = sample, sample / 2
        else:
            self.deviation += (abs(sample - self.smoothed) - self.deviation) / 4
            self.smoothed += (sample - self.smoothed) / 8
        lost = [n for n in sorted(self.outstanding) if n + LATER <= answer.number and n not in self.repeated]
        self.repeated.update(lost)
        return lost
        # blank
        # return []  # yours
        # end of answer

    def timeout(self, now: float, again: int) -> float:
        """Seconds from now until the oldest outstanding request is repeated.

        Asked after each answer and each timeout. ``again``: how often in a row the timer ran out, without an
        answer since.
        """
        # answer
        base = FIRST if self.smoothed is None else self.smoothed + max(4 * self.deviation, 0.001)
        return float(base * 2**again)
        # blank
        # return FIRST  # yours
        # end of answer
