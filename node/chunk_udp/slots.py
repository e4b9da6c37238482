"""Upload slots: which fetchers are served, and which wait in a queue. Pure: no clock.

If an owner served all fetchers at once, each would get so little that for a long time no fetcher had a whole
piece to pass on. So ``count`` fetchers are served. All other fetchers get BUSY with their queue position,
and ask again every second, which keeps it. A slot is free again when its holder has requested nothing for
``SLOT_IDLE_SECONDS``. While fetchers wait, a holder loses its slot after ``SLOT_SECONDS`` and goes to the
end of the queue. So every fetcher is served in the end.

An address stands for one transfer: each connection of a fetcher has a socket, and a port, of its own.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from node.chunk_udp.address_validation import Address

SLOT_IDLE_SECONDS = 2.0  # without a REQUEST, after which a slot is free again
RESERVATION_SECONDS = 2.0  # for the first REQUEST of a fetcher at its turn: a long round trip
SLOT_SECONDS = 5.0  # after which a holder makes room for a fetcher in the queue
QUEUE_TIMEOUT = 3.5  # seconds without an ASK: three may get lost, and the position is kept
MAX_QUEUE = 1024  # fetchers; the next get BUSY without a position


@dataclass
class _Holder:
    info_hash: bytes
    since: float
    requested_at: float


@dataclass
class _Queued:
    info_hash: bytes
    asked_at: float


@dataclass(frozen=True)
class SlotDecision:
    """``queue_position``: 0 if served, else from 1; None if the queue is full.

    ``displaced`` had a slot until now, and has gone to the end of the queue.
    """

    queue_position: int | None
    displaced: Address | None = None


SERVED = SlotDecision(0)


class Slots:
    """``count`` slots and the queue for them. Times are monotonic seconds."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._holders: OrderedDict[Address, _Holder] = OrderedDict()  # longest served first
        self._queue: OrderedDict[Address, _Queued] = OrderedDict()

    def admit(self, addr: Address, info_hash: bytes, wants_bytes: bool, now: float) -> SlotDecision:
        """Serve ``addr`` or give it a queue position.

        An ASK (not ``wants_bytes``) keeps a position but takes no slot, except at the head of the queue: then
        the slot is reserved for RESERVATION_SECONDS.
        """
        holder = self._holders.get(addr)
        if holder is not None:
            if wants_bytes:
                holder.requested_at = now
            return SERVED
        self._expire(now)
        queued = self._queue.get(addr)
        ahead = len(self._queue) if queued is None else self._ahead_of(addr)
        free = self.count - len(self._holders)
        if ahead < free:
            if wants_bytes or queued is not None:
                self._serve(addr, info_hash, wants_bytes, now)
            return SERVED
        if ahead - free < self._overdue(now):
            displaced, before = self._holders.popitem(last=False)
            self._serve(addr, info_hash, wants_bytes, now)
            self._queue[displaced] = _Queued(before.info_hash, now)
            return SlotDecision(0, displaced)
        if queued is not None:
            queued.asked_at = now
        elif len(self._queue) >= MAX_QUEUE:
            return SlotDecision(None)
        else:
            self._queue[addr] = _Queued(info_hash, now)
        return SlotDecision(ahead + 1)

    def served(self) -> list[Address]:
        """The holders of slots. May be called from any thread."""
        return list(self._holders)  # one step of the interpreter, during which the dict cannot change

    def queue(self) -> list[tuple[Address, bytes]]:
        """The queue in order, with the info hash that each wants. May be called from any thread."""
        return [(addr, queued.info_hash) for addr, queued in list(self._queue.items())]

    def holders(self, now: float) -> tuple[list[tuple[Address, bytes]], list[tuple[Address, bytes]]]:
        """The holders of slots and the queue, each with its info hash, without those that are gone.

        May be called from any thread.
        """
        served = [
            (addr, holder.info_hash)
            for addr, holder in list(self._holders.items())
            if now - holder.requested_at <= SLOT_IDLE_SECONDS
        ]
        queue = [
            (addr, queued.info_hash)
            for addr, queued in list(self._queue.items())
            if now - queued.asked_at <= QUEUE_TIMEOUT
        ]
        return served, queue

    def queue_position(self, addr: Address) -> int:
        """The position of ``addr``, from 1; 0 if it is not in the queue."""
        return self._ahead_of(addr) + 1 if addr in self._queue else 0

    def _serve(self, addr: Address, info_hash: bytes, wants_bytes: bool, now: float) -> None:
        self._queue.pop(addr, None)
        requested_at = now if wants_bytes else now - SLOT_IDLE_SECONDS + RESERVATION_SECONDS
        self._holders[addr] = _Holder(info_hash, now, requested_at)

    def _ahead_of(self, addr: Address) -> int:
        return next(index for index, queued in enumerate(self._queue) if queued == addr)

    def _overdue(self, now: float) -> int:
        """The number of holders that were served for SLOT_SECONDS."""
        for number, holder in enumerate(self._holders.values()):
            if now - holder.since < SLOT_SECONDS:
                return number
        return len(self._holders)

    def _expire(self, now: float) -> None:
        """Free the slots of idle holders, and drop fetchers from the queue that do not ask any more."""
        for addr in [a for a, h in self._holders.items() if now - h.requested_at > SLOT_IDLE_SECONDS]:
            del self._holders[addr]
        for addr in [a for a, q in self._queue.items() if now - q.asked_at > QUEUE_TIMEOUT]:
            del self._queue[addr]
