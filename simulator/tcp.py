"""A TCP sender in a few lines, as competition on a link: SACK, one reduction a round trip, CUBIC.

It is a model, not an implementation. Every packet is acknowledged by its number. A packet is lost when three
later packets were acknowledged or a timer expires; then it is sent again. That is enough to see how flows
share a bottleneck.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from faults.link import Link
from node.chunk_udp.congestion.cubic import Cubic
from node.chunk_udp.loss_recovery import RoundTripTime
from simulator.clock import Clock
from simulator.timer import Timer

PACKET = 1500  # bytes on the wire
PAYLOAD = 1448  # bytes of data in it
ACK = 52  # bytes on the wire


@dataclass
class TcpSender:
    """An endless CUBIC transfer over ``down``; acknowledgements come over ``up``."""

    clock: Clock
    down: Link
    up: Link
    extra_delay: float = 0.0
    arrivals: list[tuple[float, int]] = field(default_factory=list)  # at the receiver: (when, bytes)

    def __post_init__(self) -> None:
        self.window = Cubic(PAYLOAD)
        self.rtt = RoundTripTime()
        self._sent: dict[int, float] = {}  # packets in flight: when sent
        self._next = 0
        self._highest = -1
        self._received: set[int] = set()
        self._timer = Timer(self.clock, self._timeout)

    def start(self, when: float) -> None:
        """Begin sending."""
        self.clock.at(when, self._fill)

    def _fill(self) -> None:
        while len(self._sent) * PAYLOAD < self.window.window:
            number, self._next = self._next, self._next + 1
            self._sent[number] = self.clock.now
            self.clock.at(self.clock.now + self.extra_delay, lambda n=number: self._enter(n))  # type: ignore[misc]
        self._timer.set(self.clock.now + self.rtt.probe_timeout(0))

    def _enter(self, number: int) -> None:
        """At the shared link, which takes packets in the order of their times."""
        for when, _ in self.down.send(bytes(PACKET), self.clock.now):
            self.clock.at(when, lambda: self._arrives(number))

    def _arrives(self, number: int) -> None:
        self.arrivals.append((self.clock.now, PAYLOAD))
        for when, _ in self.up.send(bytes(ACK), self.clock.now):
            self.clock.at(when + self.extra_delay, lambda: self._acknowledged(number))

    def _acknowledged(self, number: int) -> None:
        sent_at = self._sent.pop(number, None)
        if sent_at is None:
            return
        now = self.clock.now
        self.rtt.sample(now - sent_at)
        self._highest = max(self._highest, number)
        self.window.on_received(PAYLOAD, sent_at, self.rtt, now, True)
        lost = [n for n in self._sent if n < self._highest - 3]
        if lost:
            latest = max(self._sent.pop(n) for n in lost)
            self.window.on_lost(len(lost) * PAYLOAD, latest, now)
        self._fill()

    def _timeout(self) -> None:
        now = self.clock.now
        if self._sent and now - max(self._sent.values()) > self.rtt.probe_timeout(0):
            self._sent.clear()
            self.window.on_persistent_congestion(now)
            self._fill()
        elif self._sent:
            self._timer.set(max(self._sent.values()) + self.rtt.probe_timeout(0) + 0.001)
