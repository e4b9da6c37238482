"""A receiver's socket buffer in virtual time: datagrams that find it full are gone.

sender ── datagrams ──▶ buffer of BUFFER bytes ── DRAIN bytes a second ──▶ the program that reads them
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from faults.link import Link, LinkFaults
from labs.grader.run import Run

COUNT, SIZE = 2000, 1472  # datagrams, and bytes of each
MAX_AT_ONCE = 100_000


@dataclass(frozen=True)
class Buffer:
    """``buffer`` bytes, of which the program reads ``drain`` a second."""

    buffer: int
    drain: int

    def link(self) -> Link:
        """A link that behaves so."""
        return Link(LinkFaults(rate=self.drain, queue=self.buffer), seed=1)

    def survivors(self, rate: int) -> int:
        """How many of COUNT datagrams survive that are sent back to back at ``rate`` bytes a second."""
        link = self.link()
        return sum(bool(link.send(bytes(SIZE), number * SIZE / rate)) for number in range(COUNT))


class Pacing:
    """Asks the student's Pacer at each of ``ticks`` how many datagrams to send, until COUNT were sent."""

    def __init__(self, run: Run, buffer: Buffer, ticks: Iterable[float]) -> None:
        self.run, self.buffer, self.ticks = run, buffer, ticks
        self.sent = self.lost = 0
        self.first_loss: float | None = None
        self.most_at_once = 0
        self.ended_at = 0.0

    def send(self, pacer: Any) -> None:
        """Send all; fails the stage if the ticks are not enough."""
        link = self.buffer.link()
        for now in self.ticks:
            allowed = pacer.allow(now)
            if isinstance(allowed, bool) or not isinstance(allowed, int) or not 0 <= allowed <= MAX_AT_ONCE:
                self.run.nonsense(
                    f"allow() returned {allowed!r}; a number of datagrams, 0 or more, is wanted"
                )
            allowed = min(allowed, COUNT - self.sent)
            self.most_at_once = max(self.most_at_once, allowed)
            lost = sum(not link.send(bytes(SIZE), now) for _ in range(allowed))
            self.sent += allowed
            if lost:
                self.lost += lost
                self.first_loss = now if self.first_loss is None else self.first_loss
                self.run.note(
                    now, f"{allowed} datagrams at once, {lost} find the buffer full", call=True, mark="lost"
                )
            elif allowed:
                self.run.note(now, f"{allowed} datagrams, {self.sent} in all", call=True)
            if self.sent == COUNT:
                self.ended_at = now
                return
        self.run.fail(f"all {COUNT} datagrams sent", f"only {self.sent} when the time was over", at=now)
