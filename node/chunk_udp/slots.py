"""Who is served, and who waits: so many transfers at a time, the others in one line. Pure: no clock.

Serving everybody at once would give each so little that nobody has a whole piece to pass on for long. So a
stated number is served, and the others are told their place in the line; they ask again every second, which
keeps it. A slot is free again when its holder has asked for no bytes for SLOT_IDLE_SECONDS, or, while others
wait, after SLOT_SECONDS: then the holder goes to the end of the line. So everybody's turn comes: at most
SLOT_SECONDS later for each time that the slots' number goes into the place.

An address is a transfer: each fetcher has a socket, and so a port, of its own.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from node.chunk_udp.address_validation import Address

SLOT_IDLE_SECONDS = 2.0  # seconds without a REQUEST after which a slot is free again
RESERVATION_SECONDS = (
    2.0  # seconds for which a slot waits for the REQUEST of the one whose turn it is: a long round trip
)
SLOT_SECONDS = 5.0  # seconds after which a holder makes room for whoever waits
QUEUE_TIMEOUT = 3.5  # seconds: three questions may get lost, and the place is kept
MAX_QUEUE = 1024  # that wait; who comes then is told BUSY without a place


@dataclass
class _Holder:
    info_hash: bytes
    since: float
    asked: float  # for bytes, the last time


@dataclass
class _Waiting:
    info_hash: bytes
    asked: float


@dataclass(frozen=True)
class Admission:
    """``place``: 0 if served, else the place in the line, from 1; None: there is no more room in it.

    ``displaced`` had a slot until now, and has gone to the end of the line.
    """

    place: int | None
    displaced: Address | None = None


SERVED = Admission(0)


class Slots:
    """``count`` slots and the line before them."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._holders: OrderedDict[Address, _Holder] = OrderedDict()  # the one served longest is first
        self._line: OrderedDict[Address, _Waiting] = OrderedDict()

    def admit(self, addr: Address, info_hash: bytes, wants_bytes: bool, now: float) -> Admission:
        """``addr`` asks for ``info_hash``: is it served?

        A question that wants no bytes keeps a place in the line. It takes no slot, but for whoever comes from
        the line: for that one it is reserved for a moment.
        """
        holder = self._holders.get(addr)
        if holder is not None:
            if wants_bytes:
                holder.asked = now
            return SERVED
        self._tidy(now)
        waiting = self._line.get(addr)
        ahead = len(self._line) if waiting is None else self._ahead_of(addr)
        free = self.count - len(self._holders)
        if ahead < free:
            if wants_bytes or waiting is not None:
                self._serve(addr, info_hash, wants_bytes, now)
            return SERVED
        if ahead - free < self._overdue(now):
            displaced, before = self._holders.popitem(last=False)
            self._serve(addr, info_hash, wants_bytes, now)
            self._line[displaced] = _Waiting(before.info_hash, now)
            return Admission(0, displaced)
        if waiting is not None:
            waiting.asked = now
        elif len(self._line) >= MAX_QUEUE:
            return Admission(None)
        else:
            self._line[addr] = _Waiting(info_hash, now)
        return Admission(ahead + 1)

    def served(self) -> list[Address]:
        """Who has a slot; from any thread."""
        return list(self._holders)  # one step of the interpreter: nobody can change it meanwhile

    def line(self) -> list[tuple[Address, bytes]]:
        """Who waits, in order, and for which info hash; from any thread."""
        return [(addr, waiting.info_hash) for addr, waiting in list(self._line.items())]

    def place_of(self, addr: Address) -> int:
        """The place of ``addr`` in the line, from 1; 0 if it does not wait."""
        return self._ahead_of(addr) + 1 if addr in self._line else 0

    def _serve(self, addr: Address, info_hash: bytes, wants_bytes: bool, now: float) -> None:
        self._line.pop(addr, None)
        asked = now if wants_bytes else now - SLOT_IDLE_SECONDS + RESERVATION_SECONDS
        self._holders[addr] = _Holder(info_hash, now, asked)

    def _ahead_of(self, addr: Address) -> int:
        return next(place for place, waiting in enumerate(self._line) if waiting == addr)

    def _overdue(self, now: float) -> int:
        """How many holders' slices are over."""
        for number, holder in enumerate(self._holders.values()):
            if now - holder.since < SLOT_SECONDS:
                return number
        return len(self._holders)

    def _tidy(self, now: float) -> None:
        """Free what is not used, and forget who does not ask any more."""
        for addr in [a for a, holder in self._holders.items() if now - holder.asked > SLOT_IDLE_SECONDS]:
            del self._holders[addr]
        for addr in [a for a, waiting in self._line.items() if now - waiting.asked > QUEUE_TIMEOUT]:
            del self._line[addr]
