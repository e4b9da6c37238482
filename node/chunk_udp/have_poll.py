"""When to ask a partial owner again which pieces it holds. Pure.

An ASK is answered with one page of the bitfield. A full page means that another page follows, and it is
asked for at once. After the last page the first is asked for again, an interval later.
"""

from __future__ import annotations

from node.chunk_udp import wire

HAVE_POLL_INTERVAL = 1.0  # seconds
FIRST_POLL_FRACTION = 0.3  # of HAVE_POLL_INTERVAL, the earliest first poll


class HavePoll:
    """Times are monotonic seconds. ``phase``, from 0 to 1 and random, delays the first poll.

    A new owner soon holds more, so the first poll comes early. Its moment is random: fetchers that start
    together would otherwise poll each other in step, and news would travel late.
    """

    def __init__(self, phase: float) -> None:
        self.at = float("inf")  # when to ask
        self.first_piece = 0  # of the page to ask for
        self._wait = HAVE_POLL_INTERVAL * (FIRST_POLL_FRACTION + (1 - FIRST_POLL_FRACTION) * phase)

    def asked(self, now: float) -> None:
        """The question is sent. If it or its answer is lost, the next poll makes up for it."""
        self.at = now + HAVE_POLL_INTERVAL

    def answered(self, tell: wire.Tell, now: float) -> None:
        """Plan the next poll."""
        if tell.complete:
            self.at = float("inf")
        elif len(tell.bitfield) == wire.MAX_BITFIELD and tell.first_piece == self.first_piece:
            self.first_piece, self.at = tell.first_piece + 8 * wire.MAX_BITFIELD, now
        else:
            self.first_piece, self.at = 0, now + self._wait
            self._wait = HAVE_POLL_INTERVAL
