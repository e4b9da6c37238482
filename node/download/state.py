"""What the threads of one download share, under one lock: who fetches what, what arrived, what was right.

The owners' threads take work from it and report what came; who hashes reports verdicts; the
coordinator waits on it. No method calls back while it holds the lock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from common.bitfield import Bitfield
from common.errors import SwarmError
from common.geometry import Geometry
from node.peer import Peer
from node.scheduling.blame import Blame, Evidence, Judgement
from node.scheduling.piece_progress import Contribution, PieceProgress
from node.scheduling.plan import Plan

RATE_MEMORY = 1.0  # seconds over which a rate is smoothed
HELPLESS = 2.0  # seconds without anything to ask for, after which even doubted owners may help
FRUITLESS = 8.0  # seconds in which nothing came, whoever was asked; the same follows
LATE_CHECK = 0.2  # seconds after which an idle source looks whether another one is late with something


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


class DownloadState:
    """One download's shared state."""

    def __init__(
        self,
        geometry: Geometry,
        held: Bitfield,
        own: Peer | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``held``: the pieces that are here already; ``own``: this node; nodes choose differently."""
        self._clock = clock
        self._geometry = geometry
        self._held = held
        self._snapshot = held.copy()  # for others to read; never changed, only replaced
        self._lock = threading.RLock()  # guards all this; to enter it costs less than to enter the condition
        self.changed = threading.Condition(self._lock)  # notified on whatever somebody may wait for
        self._ledger = PieceProgress(geometry, held)
        self._plan = Plan(geometry, self._ledger.missing(), self._pace, own, self._ledger.restart)
        self._blame = Blame()
        self._meters: dict[Peer, Meter] = {}
        self._verified_from: dict[Peer, int] = {}
        self._dismissed: set[Peer] = set()
        self._released: set[Peer] = set()
        self._asking_at = self._landed_at = self._clock()
        self._ticked = self._clock()
        self._over = self._ledger.complete
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
        return self._over

    @property
    def fault(self) -> SwarmError | None:
        """What made the download hopeless."""
        return self._fault

    def held(self) -> Bitfield:
        """The verified pieces, as they are now."""
        with self._lock:
            if self._snapshot.count != self._held.count:
                self._snapshot = self._held.copy()
            return self._snapshot

    def nothing(self) -> Bitfield:
        """No piece at all."""
        return Bitfield(self._geometry.piece_count)

    def start(self, sources: Sequence[Peer]) -> None:
        """Divide the missing bytes equally among ``sources``; later ones ``join``."""
        with self._lock:
            self._plan.work.start(sources)

    def join(self, source: Peer) -> None:
        """A further source, or one that was dismissed and has a second chance."""
        with self._lock:
            self._dismissed.discard(source)
            self._released.discard(source)
            self._plan.work.join(source)
            self.changed.notify_all()

    def leave(self, source: Peer) -> None:
        """``source`` works no more; the others get its rest."""
        with self._lock:
            self._plan.leave(source)
            self.changed.notify_all()

    def told(self, source: Peer, held: Bitfield | None) -> None:
        """``source`` holds these pieces; None: all."""
        with self._lock:
            if self._plan.work.told(source, held):  # else it is news for ``source`` alone, whose thread knows
                self.changed.notify_all()

    def partial_peers(self, peers: Iterable[Peer]) -> None:
        """The partial owners that are known of."""
        with self._lock:
            self._plan.work.partial_peers(peers)

    def sole(self, source: Peer | None) -> None:
        """``source`` is the only owner that is known of; None: there are others, or there is none."""
        with self._lock:
            if source != self._plan.probation.sole:
                self._plan.probation.sole = source
                self.changed.notify_all()

    @property
    def picking(self) -> bool:
        """Whether pieces are picked by rarity, because some source has only a part."""
        return self._plan.work.picking

    def hands(self) -> int:
        """How many sources are about to deliver something."""
        with self._lock:
            return self._plan.outstanding.debtors

    def release(self, source: Peer) -> None:
        """``source`` makes room for another one; what it still sends is welcome."""
        with self._lock:
            self._released.add(source)
            self._plan.leave(source)
            self.changed.notify_all()

    def dismiss(self, source: Peer) -> None:
        """``source`` shall stop in mid-transfer: what it sends is wrong."""
        with self._lock:
            self._dismissed.add(source)
            self._plan.leave(source)
            self._plan.probation.distrust(source)
            self._plan.give_back(self._ledger.discard(source))
            self.changed.notify_all()

    def stop(self, fault: SwarmError | None = None) -> None:
        """End all work; ``fault`` says why it is hopeless."""
        with self._lock:
            self._fault = self._fault or fault  # first: whoever sees that it is over finds why
            self._over = True
            self.changed.notify_all()

    def wait(self, timeout: float) -> None:
        """Until something changes that the coordinator acts on, at most ``timeout`` seconds."""
        with self._lock:
            if not self.over:
                self.changed.wait(timeout)

    def meter(self, source: Peer) -> Meter:
        """What came from ``source``."""
        with self._lock:
            return self._meters.setdefault(source, Meter())

    def tick(self) -> None:
        """Bring the rates up to date."""
        with self._lock:
            now = self._clock()
            for meter in self._meters.values():
                meter.tick(now - self._ticked)
            self._ticked = now

    # ---- for the owners' threads

    def take(self, source: Peer, limit: int) -> tuple[int, int] | None:
        """Bytes for ``source`` to ask for now, at most ``limit``; None if there are none."""
        with self._lock:
            return None if self.over_for(source) else self._plan.take(source, limit, self._clock())

    def _pace(self, source: Peer) -> float:
        meter = self._meters.get(source)
        return meter.rate if meter else 0.0

    def give_back(self, spans: Sequence[tuple[int, int]], source: Peer | None = None) -> None:
        """Ranges that were taken by ``source`` and will not come from it."""
        if any(start < end for start, end in spans):
            with self._lock:
                self._plan.give_back(spans, source)
                self.changed.notify_all()

    def wants_rare(self, source: Peer, start: int) -> bool:
        """Whether ``source``, who holds all, gives what ``take`` said, at ``start``, only if it is rare."""
        with self._lock:  # others may join or leave while it looks who there is
            return self._plan.wants_rare(source, start)

    def passed_on(self, source: Peer, spans: Sequence[tuple[int, int]]) -> None:
        """``source`` was asked for these, and has just sent the piece that they begin in to somebody else."""
        with self._lock:
            self._plan.passed_on(source, spans, self._clock())
            self.changed.notify_all()

    def accept(self, source: Peer, start: int, end: int) -> Sequence[tuple[int, int]]:
        """``source`` delivered ``[start, end)``: what of it is to be written, and then ``arrived``.

        The rest is here already, or another source is writing it.
        """
        with self._lock:
            if source in self._dismissed:
                self._plan.give_back([(start, end)], source)
                self.changed.notify_all()
                return ()
            taken = self._plan.accept(source, start, end, now := self._clock())
            if taken:
                self._landed_at = now
            return taken

    def arrived(self, source: Peer, start: int, end: int, checked: bool = True) -> Sequence[int]:
        """Bytes ``[start, end)`` are in place: the pieces that are now complete and to be verified."""
        with self._lock:
            meter = self._meters.get(source)
            if meter is None:
                meter = self._meters.setdefault(source, Meter())
            meter.total += end - start
            return self._ledger.arrived(source, start, end, checked)

    def wait_for_work(self, source: Peer, timeout: float | None = None) -> bool:
        """Until there is something for ``source`` to take, or ``timeout`` seconds are over.

        False once there will be nothing any more.
        """
        until = float("inf") if timeout is None else self._clock() + timeout
        with self._lock:
            while not self.over_for(source):
                now = self._clock()
                if self._plan.has_work(source, now) or now >= until:
                    return True
                time_helps = self._plan.time_helps(now)
                check = LATE_CHECK if time_helps else float("inf")
                nap = min(until - now, check)
                self.changed.wait(None if nap == float("inf") else nap)
            return False

    def over_for(self, source: Peer) -> bool:
        """Whether ``source`` need work no more."""
        return self._over or source in self._dismissed or source in self._released

    # ---- for whoever hashes

    def shares(self, index: int) -> Sequence[Contribution]:
        """Who delivered what of piece ``index``, which is complete and not judged."""
        with self._lock:
            return self._ledger.shares(index)

    def case(self, index: int) -> Sequence[Contribution]:
        """What ``right`` wants digests of: the shares of piece ``index`` when it was wrong."""
        case = self._blame.case(
            index
        )  # nobody else changes it: a piece is complete, and judged, once at a time
        return case.shares if case is not None else ()

    def right(self, index: int, digests: Sequence[bytes] = ()) -> Judgement:
        """Piece ``index`` is what its hash says; ``digests``: the SHA-1 of each share in ``case``."""
        with self._lock:
            case = self._blame.case(index)
            charges = self._blame.right(index, digests)
            deliverers = self._ledger.right(index)
            for source, amount in deliverers.items():
                self._verified_from[source] = self._verified_from.get(source, 0) + amount
            cleared = case.suspects.difference(charge.source for charge in charges) if case else ()
            more = self._plan.probation.right(index, {*deliverers, *cleared} if cleared else deliverers)
            self._over = self._over or self._ledger.complete
            if more or self._over:
                self.changed.notify_all()
            return Judgement(deliverers, charges)

    def wrong(
        self, index: int, evidence: Sequence[Evidence] | None = None, witness: bool = False
    ) -> Judgement:
        """Piece ``index`` is not: it will be fetched again.

        ``evidence``: what each of its shares was; needed if there are several deliverers. Then one owner
        shall deliver it whole, and that is another one if there is one (``witness``).
        """
        with self._lock:
            if evidence is None:
                evidence = [Evidence(share, b"") for share in self._ledger.shares(index)]
                assert len({item.share.source for item in evidence}) <= 1, "several deliverers"
            charges = self._blame.wrong(index, evidence)
            case = self._blame.case(index)
            deliverers = self._ledger.wrong(index)
            suspects, attempts = (case.suspects, len(case.attempts)) if case is not None else ((), 0)
            self._plan.probation.wrong(index, suspects, witness, self._clock(), attempts)
            self.changed.notify_all()
            return Judgement(deliverers, charges)

    def trusts(self, source: Peer) -> bool:
        """Whether a piece of ``source`` was verified, and nothing speaks against it."""
        return self._plan.probation.trusts(source)

    def helpless(self, now: float) -> bool:
        """Whether nobody has been asked for anything for a while, although something is missing; or nothing
        has come for a longer one from whoever was asked.
        """
        with self._lock:
            if self._plan.outstanding:
                self._asking_at = now
            return now - self._asking_at > HELPLESS or now - self._landed_at > FRUITLESS

    @property
    def suspects(self) -> int:
        """How many of those who work wait for others to find out which of them sent wrong bytes."""
        with self._lock:
            return self._plan.suspects()

    def verified_from(self, source: Peer) -> int:
        """Bytes of verified pieces that ``source`` delivered."""
        with self._lock:
            return self._verified_from.get(source, 0)
