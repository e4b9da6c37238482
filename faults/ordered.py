"""One direction of a TCP connection over a bad path: every message once, in order, and later. Pure.

A message is to the link what a datagram is: it may be lost. TCP repeats what is lost, and the receiver waits
with everything behind it (head-of-line blocking). So a loss over TCP costs time, not a message. TCP discards
what is doubled and puts in order what was overtaken, so these two faults of a link do nothing here.
"""

from __future__ import annotations

from dataclasses import replace

from faults.link import Damage, Link, LinkFaults, damaged

FIRST_RETRY = 0.2  # seconds until a lost message is repeated, as in Linux; RFC 6298 says 1 s
LONGEST_RETRY = 60.0  # seconds; each retry waits twice as long as the one before (RFC 6298, 5.5)
MAX_TRIES = 15  # losses of one message in a row, after which the connection is dead, as in Linux
ENDLESS = 1 << 50  # bytes that may wait for a limited rate: TCP drops none of its own


class OrderedPath:
    """One direction of a connection over a link with ``faults``, drawn from ``seed``.

    ``damage`` corrupts a message.
    """

    def __init__(self, faults: LinkFaults, seed: int, damage: Damage = damaged) -> None:
        self._link = Link(replace(faults, duplicate=0.0, reorder=0.0, queue=ENDLESS), seed, damage=damage)
        self._latest = float("-inf")  # when the latest message arrives
        self.is_dead = False  # nothing arrives any more

    def send(self, message: bytes, now: float) -> tuple[float, bytes] | None:
        """When ``message``, sent at ``now`` (seconds), arrives, and as which bytes; None: never."""
        sent_at, pause = now, FIRST_RETRY
        for _ in range(0 if self.is_dead else MAX_TRIES):
            arrivals = self._link.send(message, sent_at)
            if arrivals:
                arrives_at, data = arrivals[0]
                return self.in_order(arrives_at), data
            sent_at += pause
            pause = min(2 * pause, LONGEST_RETRY)
        self.is_dead = True
        return None

    def in_order(self, arrives_at: float) -> float:
        """When a message arrives that could at ``arrives_at``: not before the one that was sent before it."""
        self._latest = max(self._latest, arrives_at)
        return self._latest
