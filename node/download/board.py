"""What the threads of one download share, under one lock: who fetches what, what arrived, what was right.

The owners' threads take work from it and report what came; the hashing threads report verdicts; the
coordinator waits on it. No method calls back while it holds the lock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from common.bitfield import Bitfield
from common.errors import SwarmError
from common.geometry import Geometry
from node.strategy import Source
from node.strategy.ledger import PieceLedger
from node.strategy.split import Division

RATE_MEMORY = 1.0  # seconds over which a rate is smoothed


@dataclass
class Meter:
    """Bytes so far, and their rate lately (exponentially smoothed)."""

    total: int = 0
    rate: float = 0.0  # bytes a second
    _seen: int = field(default=0, repr=False)

    def tick(self, seconds: float) -> None:
        """``seconds`` have passed since the last tick."""
        if seconds <= 0:
            return
        weight = min(1.0, seconds / RATE_MEMORY)
        latest = (self.total - self._seen) / seconds
        self.rate = latest if not self._seen else self.rate + weight * (latest - self.rate)
        self._seen = self.total


class Board:
    """One download's shared state."""

    def __init__(self, geometry: Geometry, held: Bitfield) -> None:
        self._geometry = geometry
        self.changed = threading.Condition()  # notified on whatever somebody may wait for
        self._ledger = PieceLedger(geometry, held)
        self._division = Division(self._ledger.missing(), geometry.piece_length)
        self._meters: dict[Source, Meter] = {}
        self._verified_from: dict[Source, int] = {}
        self._dismissed: set[Source] = set()
        self._ticked = time.monotonic()
        self._stopped = False
        self._fault: SwarmError | None = None

    # ---- for the coordinator

    @property
    def received(self) -> int:
        """Bytes in place, verified or not."""
        return self._ledger.received

    @property
    def verified(self) -> int:
        """Bytes verified."""
        return self._ledger.verified

    @property
    def complete(self) -> bool:
        """Whether every piece is verified."""
        return self._ledger.complete

    @property
    def over(self) -> bool:
        """Whether nobody need work any more: complete, stopped, or hopeless."""
        return self._stopped or self._fault is not None or self._ledger.complete

    @property
    def fault(self) -> SwarmError | None:
        """What made the download hopeless."""
        return self._fault

    def start(self, sources: Sequence[Source]) -> None:
        """Divide the missing bytes equally among ``sources``; later ones ``join``."""
        with self.changed:
            self._division.start(sources)

    def join(self, source: Source) -> None:
        """A further source, or one that was dismissed and has a second chance."""
        with self.changed:
            self._dismissed.discard(source)
            self._division.join(source)

    def leave(self, source: Source) -> None:
        """``source`` works no more; the others get its rest."""
        with self.changed:
            self._division.leave(source)
            self.changed.notify_all()

    def dismiss(self, source: Source) -> None:
        """``source`` shall stop in mid-transfer: what it sends is wrong."""
        with self.changed:
            self._dismissed.add(source)
            self._division.leave(source)
            self.changed.notify_all()

    def stop(self, fault: SwarmError | None = None) -> None:
        """End all work; ``fault`` says why it is hopeless."""
        with self.changed:
            self._stopped = True
            self._fault = self._fault or fault
            self.changed.notify_all()

    def wait(self, timeout: float) -> None:
        """Until something changes that the coordinator acts on, at most ``timeout`` seconds."""
        with self.changed:
            if not self.over:
                self.changed.wait(timeout)

    def meter(self, source: Source) -> Meter:
        """What came from ``source``."""
        with self.changed:
            return self._meters.setdefault(source, Meter())

    def tick(self) -> None:
        """Bring the rates up to date."""
        with self.changed:
            now = time.monotonic()
            for meter in self._meters.values():
                meter.tick(now - self._ticked)
            self._ticked = now

    # ---- for the owners' threads

    def take(self, source: Source, limit: int) -> tuple[int, int] | None:
        """Bytes for ``source`` to ask for now, at most ``limit``; None if there are none."""
        with self.changed:
            return None if self.over_for(source) else self._division.take(source, limit, self._seconds_left)

    def _seconds_left(self, source: Source) -> float:
        meter = self._meters.get(source)
        return self._division.rest(source) / (meter.rate + 1 if meter else 1)

    def give_back(self, spans: Sequence[tuple[int, int]]) -> None:
        """Ranges that were taken and will not come."""
        if spans:
            with self.changed:
                self._division.give_back(spans)
                self.changed.notify_all()

    def arrived(self, source: Source, start: int, end: int, checked: bool = True) -> Sequence[int]:
        """Bytes ``[start, end)`` are in place: the pieces that are now complete and to be verified."""
        with self.changed:
            meter = self._meters.get(source)
            if meter is None:
                meter = self._meters.setdefault(source, Meter())
            meter.total += end - start
            return self._ledger.arrived(source, start, end, checked)

    def wait_for_work(self, source: Source, timeout: float | None = None) -> bool:
        """Until there is something for ``source`` to take, or ``timeout`` seconds are over.

        False once there will be nothing any more.
        """
        until = None if timeout is None else time.monotonic() + timeout
        with self.changed:
            while not self.over_for(source):
                left = None if until is None else until - time.monotonic()
                if self._division.refill(source, self._seconds_left) or (left is not None and left <= 0):
                    return True
                self.changed.wait(left)
            return False

    def over_for(self, source: Source) -> bool:
        """Whether ``source`` need work no more."""
        return source in self._dismissed or self.over

    # ---- for the hashing threads

    def proves(self, index: int) -> bool:
        """Whether complete piece ``index`` surely is what was sent; asked before ``right`` or ``wrong``."""
        with self.changed:
            return self._ledger.proves(index)

    def right(self, index: int) -> Mapping[Source, int]:
        """Piece ``index`` is what its hash says; returns its deliverers and how much each gave."""
        with self.changed:
            deliverers = self._ledger.right(index)
            for source, amount in deliverers.items():
                self._verified_from[source] = self._verified_from.get(source, 0) + amount
            if self._ledger.complete:
                self.changed.notify_all()
            return deliverers

    def wrong(self, index: int) -> Mapping[Source, int]:
        """Piece ``index`` is not: it will be fetched again. Returns its deliverers and how much each gave.

        One deliverer is to blame. Of several, nobody knows: then one of them shall deliver it alone.
        """
        with self.changed:
            deliverers = self._ledger.wrong(index)
            if len(deliverers) > 1:
                self._division.keep_whole(index)
            self._division.give_back([self._geometry.piece_range(index)])
            self.changed.notify_all()
            return deliverers

    def verified_from(self, source: Source) -> int:
        """Bytes of verified pieces that ``source`` delivered."""
        with self.changed:
            return self._verified_from.get(source, 0)
