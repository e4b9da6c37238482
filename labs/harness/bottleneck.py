"""Flows over one shared link in virtual time: the student's Controller, ours, and TCP.

The Controller has three methods:

    on_received(size, now)    ``size`` requested bytes came
    on_lost(sent_at, now)     bytes that were requested at ``sent_at`` are lost
    window() -> bytes         how many bytes may be outstanding

The connections, the loss detection and the pacing are the node's own.
"""

from __future__ import annotations

from dataclasses import dataclass

from faults.link import LinkFaults
from labs.grader.run import Run
from labs.grader.student import Part
from node.chunk_udp.congestion import ControllerFactory
from node.user_parts.controllers import WindowController
from simulator.clock import Clock
from simulator.dumbbell import SEGMENT, Dumbbell, Supply, shared_path
from simulator.tcp import TcpSender

YOURS, TCP = "yours", "tcp"
MAX_EVENTS = 2_000_000
ENDLESS = 1 << 30  # bytes


class StudentController(WindowController):
    """A node's congestion controller that asks the student's, and notes how its window falls."""

    def __init__(self, run: Run, part: Part, segment_size: int) -> None:
        self._run = run
        super().__init__(part, segment_size, run.nonsense)

    def on_lost(self, size: int, sent_at: float, now: float) -> None:
        """See ``CongestionController``."""
        before = self.window
        super().on_lost(size, sent_at, now)
        if self.window < before:
            kib = f"{before / 1024:.0f} to {self.window / 1024:.0f} KiB"
            self._run.note(now, f"a loss: the window falls from {kib}", mark="lost")


@dataclass(frozen=True)
class Bottleneck:
    """A link of ``rate`` bytes a second, ``delay`` seconds each way, with a queue of one product of both."""

    rate: int
    delay: float
    loss: float = 0.0

    @property
    def product(self) -> int:
        """Bytes that the path holds."""
        return int(self.rate * 2 * self.delay)

    def share(self, run: Run, flows: list[tuple[str, float]], seconds: float, since: float) -> list[float]:
        """Bytes a second of each flow (name, when it begins) from ``since`` to the end, in their order.

        ``name``: "yours", "tcp", or the name of one of the node's own controllers. Each is a node of its own.
        """
        clock = Clock()
        faults = LinkFaults(rate=self.rate, delay=self.delay, loss=self.loss, queue=self.product)
        path = shared_path(faults, run.rng.getrandbits(30))
        arrivals: list[list[tuple[float, int]]] = []
        for name, begins in flows:
            if name == TCP:
                sender = TcpSender(clock, path.down, path.up)
                sender.start(begins)
                arrivals.append(sender.arrivals)
                continue
            controller: str | ControllerFactory = name
            if name == YOURS:
                controller = lambda size: StudentController(run, run.part("Controller", size), size)  # noqa: E731
            flow = Dumbbell(clock, Supply(ENDLESS)).add(path, controller, begins, SEGMENT)
            arrivals.append(flow.arrivals)
        clock.at(seconds, lambda: None)
        clock.run_until(lambda: clock.now >= seconds, seconds + 1, MAX_EVENTS)
        return [sum(size for when, size in flow if when >= since) / (seconds - since) for flow in arrivals]


def jain(rates: list[float]) -> float:
    """Jain's index of fairness: 1 if all rates are equal, 1/n if one flow has everything."""
    return sum(rates) ** 2 / (len(rates) * sum(rate * rate for rate in rates) or 1)
