"""The same exchange on real sockets and a real clock: each REQUEST and each DATA is a datagram over loopback.

The links' delays and planned losses stay; to them come those of the machine.
"""

from __future__ import annotations

import heapq
import selectors
import socket
import time
from collections.abc import Callable

from faults.link import Link
from labs.grader.run import Run
from labs.harness.exchange import Exchange, Plan
from simulator.clock import Clock, Deadlock

NUMBER_BYTES = 4  # of a datagram: the segment's number
MAX_WAIT = 0.1  # seconds


class RealClock(Clock):
    """Real seconds since its making. Waits for the next action, or for a datagram."""

    def __init__(self) -> None:
        super().__init__()
        self._begun = time.monotonic()
        self.selector = selectors.DefaultSelector()  # of sockets; the data of each takes its segment numbers

    def run_until(self, done: Callable[[], bool], limit: float, max_events: int) -> int:
        """See ``Clock``. ``limit``: real seconds."""
        happened = 0
        while not done():
            self.now = time.monotonic() - self._begun
            if self.now > limit or happened >= max_events:
                raise Deadlock(f"hangs: still not done at {self.now:.1f} s")
            if self._events and self._events[0][0] <= self.now:
                heapq.heappop(self._events)[2]()
            else:
                self._receive(min(self._events[0][0] - self.now if self._events else MAX_WAIT, MAX_WAIT))
            happened += 1
        return happened

    def _receive(self, wait: float) -> None:
        for key, _ in self.selector.select(wait):
            data = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
            self.now = time.monotonic() - self._begun
            key.data(int.from_bytes(data[:NUMBER_BYTES], "big"))


class LiveExchange(Exchange):
    """An Exchange over two sockets. A context manager; it closes them."""

    def __init__(self, run: Run, sender: object, plan: Plan) -> None:
        super().__init__(run, sender, plan)
        self.clock: RealClock = RealClock()
        self._sockets: dict[Link, socket.socket] = {}  # the end that sends
        fetcher, owner = _bound(), _bound()
        for link, ours, other, take in (
            (self._there, fetcher, owner, self._serve),
            (self._back, owner, fetcher, self._arrive),
        ):
            ours.connect(other.getsockname())
            self._sockets[link] = ours
            self.clock.selector.register(other, selectors.EVENT_READ, take)

    def __enter__(self) -> LiveExchange:
        return self

    def __exit__(self, *_: object) -> None:
        self.clock.selector.close()
        for each in self._sockets.values():
            each.close()

    def _carry(
        self, link: Link, size: int, number: int, take: Callable[[int], None], later: float = 0.0
    ) -> None:
        """Send a datagram when the link is through with it; ``take`` is called as it is received."""
        data, ours = number.to_bytes(NUMBER_BYTES, "big") + bytes(size - NUMBER_BYTES), self._sockets[link]

        def send() -> None:
            ours.send(data)

        for when, _ in link.send(data, self.clock.now):
            self.clock.at(when + later, send)


def _bound() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    return made
