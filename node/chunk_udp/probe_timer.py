"""When to probe a silent owner, and when to give it up (RFC 9002, section 6.2). Pure.

Any sign of life restarts the timer. After a probe timeout of silence the connection probes, and the timeout
doubles with each unanswered probe. The owner has failed after ``owner_timeout`` of silence, but never before
a probe could have been answered: on a slow path a round trip may take longer than that.

A closed port is another sign: the system reports it at once. One such report may be stray, so the connection
probes ``PORT_ERROR_WAIT`` later, and gives up after ``MAX_PORT_ERRORS`` in a row.
"""

from __future__ import annotations

from common.errors import PeerFault
from node.chunk_udp.loss_recovery import RoundTripTime

MIN_PROBE_TIMEOUTS = 3  # an owner is not given up before this many
ASK_INTERVAL = 0.1  # seconds between ASKs before the first answer: in a flood each is another chance
MAX_PORT_ERRORS = 3  # "port closed" in a row, after which the owner counts as gone
PORT_ERROR_WAIT = 0.1  # seconds before trying a closed port again


class ProbeTimer:
    """Times are monotonic seconds. ``handshake``: the owner has not answered any question yet."""

    def __init__(self, rtt: RoundTripTime, owner_timeout: float, now: float) -> None:
        self.probes = 0  # unanswered
        self.port_errors = 0  # in a row
        self._rtt = rtt
        self._owner_timeout = owner_timeout
        self._silent_since = now  # since when an answer has been due
        self._from = now  # when the timer was started
        self._probe_by = float("inf")  # when to probe even if the timer has not run out

    def restart(self, now: float) -> None:
        """An answer becomes due, or data arrived."""
        self._silent_since = self._from = now

    def on_sign_of_life(self, now: float) -> None:
        """The owner lives: unanswered probes and port errors are forgotten."""
        self.restart(now)
        self._probe_by = float("inf")
        self.probes = self.port_errors = 0

    def on_port_error(self, now: float) -> None:
        """The system reports a closed port; PeerFault after MAX_PORT_ERRORS."""
        self.port_errors += 1
        if self.port_errors >= MAX_PORT_ERRORS:
            raise PeerFault("no program listens at its address")
        self._probe_by = now + PORT_ERROR_WAIT

    def probe_sent(self, now: float) -> int:
        """A probe is sent. Returns the number of unanswered probes, including this one."""
        self.probes += 1
        self._from, self._probe_by = now, float("inf")
        return self.probes

    def next(self, handshake: bool) -> float:
        """When to call ``check``."""
        due = self._probe_at(handshake)
        return min(due, self._give_up_at(handshake)) if self.probes else due

    def check(self, handshake: bool, now: float) -> bool:
        """True if a probe is due; PeerFault if the owner has been silent for too long."""
        if self._give_up_at(handshake) <= now:
            raise PeerFault(f"silent for {now - self._silent_since:.1f} s")
        return self._probe_at(handshake) <= now

    def _probe_at(self, handshake: bool) -> float:
        return min(self._from + self._timeout(self.probes, handshake), self._probe_by)

    def _timeout(self, probes: int, handshake: bool) -> float:
        timeout = self._rtt.probe_timeout(probes)
        return min(timeout, ASK_INTERVAL) if handshake else timeout

    def _give_up_at(self, handshake: bool) -> float:
        if not self.probes:
            return float("inf")
        limit = max(self._owner_timeout, MIN_PROBE_TIMEOUTS * self._rtt.probe_timeout(0))
        return max(self._silent_since + limit, self._from + self._timeout(0, handshake))
