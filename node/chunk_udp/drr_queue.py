"""What was asked of an owner and cannot be sent at once. Pure: no socket, no clock.

Each address has a line of its own, and the lines take turns by bytes: deficit round robin (Shreedhar and
Varghese, 1995). Whoever asks for much waits behind itself, not before others; whoever asks for nothing has no
turn, so nothing is left unused.

Asked again while it waits, a request keeps its place and is sent once. What has waited for MAX_AGE is not
wanted any more: whoever asked has given it up or asked somebody else.
"""

from __future__ import annotations

import enum
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import NamedTuple

from node.chunk_udp import wire
from node.chunk_udp.address_validation import Address

MAX_QUANTUM = 256 * 1024  # bytes, without an upload limit; no less than any datagram
MAX_AGE = 2.0  # seconds
MAX_REQUESTS = 64  # that wait, of one address
MAX_IN_ALL = 4096  # requests that wait

Key = tuple[int, int, int]  # transfer, offset, length: the same again is the same wish


class Added(enum.Enum):
    """What became of a request; the values are what the owner counts."""

    WAITING = "waiting"
    AGAIN = "asked again"
    FULL = "too much at once"


class SendBatch(NamedTuple):
    """What to send next: ``[offset, offset + length)`` of the content, in datagrams of ``segment`` bytes."""

    addr: Address
    request: wire.Request
    offset: int
    length: int
    segment: int


@dataclass
class _Waiting:
    request: wire.Request
    segment: int
    since: float
    done: int = 0  # bytes that were sent


@dataclass
class _Line:
    """The requests of one address, the oldest first."""

    deficit: int  # bytes that it may send before it is another's turn
    requests: deque[_Waiting] = field(default_factory=deque)
    keys: dict[Key, _Waiting] = field(default_factory=dict)
    bytes: int = 0  # that wait

    def drop_first(self) -> _Waiting:
        gone = self.requests.popleft()
        self.bytes -= gone.request.length - gone.done
        self.keys.pop(_key(gone.request), None)
        return gone


class DrrQueue:
    """Requests by address. ``quantum``: bytes of a turn, at least as many as the largest datagram has."""

    def __init__(self, quantum: int = MAX_QUANTUM) -> None:
        self._quantum = quantum
        self._lines: OrderedDict[Address, _Line] = OrderedDict()  # the first one's turn it is
        self._count = 0
        self.aged = 0  # requests that nobody wanted any more

    def __bool__(self) -> bool:
        return bool(self._lines)

    def __len__(self) -> int:
        """Requests that wait."""
        return self._count

    @property
    def addresses(self) -> int:
        """How many have something waiting."""
        return len(self._lines)

    def waited(self, now: float) -> float:
        """Seconds that the oldest of all requests has waited; 0 if nothing waits."""
        return now - min(
            (line.requests[0].since for line in self._lines.values() if line.requests), default=now
        )

    def add(self, request: wire.Request, addr: Address, segment: int, most: int, now: float) -> Added:
        """``request``, to be sent in segments of ``segment`` bytes.

        ``most``: bytes that may wait of ``addr``; the first request is taken in any case.
        """
        line = self._lines.get(addr)
        if line is None:
            if self._count >= MAX_IN_ALL:
                return Added.FULL
            line = self._lines[addr] = _Line(self._quantum)
        elif (present := line.keys.get(_key(request))) is not None and not present.done:
            present.segment = min(present.segment, segment)  # the path may carry less than was thought
            return Added.AGAIN
        elif (
            line.bytes + request.length > most
            or len(line.requests) >= MAX_REQUESTS
            or self._count >= MAX_IN_ALL
        ):
            return Added.FULL
        waiting = _Waiting(request, segment, now)
        line.requests.append(waiting)
        line.keys[_key(request)] = waiting
        line.bytes += request.length
        self._count += 1
        return Added.WAITING

    def next(self, budget: int | None, now: float) -> SendBatch | None:
        """Whose turn it is and what to send: datagrams of ``budget`` bytes at most (None: no limit).

        None if nothing waits, or if the budget is too small for the next datagram. Call ``sent`` or ``drop``.
        """
        while self._lines:
            addr, line = next(iter(self._lines.items()))
            self._drop_aged(addr, line, now)
            if not line.requests:
                del self._lines[addr]
                continue
            first = line.requests[0]
            cost = _next_datagram(first)
            if line.deficit < cost:
                line.deficit += self._quantum
                self._lines.move_to_end(addr)
                continue
            allowed = line.deficit if budget is None else min(budget, line.deficit)
            if allowed < cost:
                return None
            length = first.request.length - first.done
            if allowed < _datagrams(first):
                length = allowed // (first.segment + wire.HEADER_SIZE) * first.segment
            return SendBatch(addr, first.request, first.request.offset + first.done, length, first.segment)
        return None

    def next_quantum(self) -> int:
        """Bytes of the datagrams that whoever is next may send in one turn, at most; 0 if nothing waits."""
        if not self._lines:
            return 0
        line = next(iter(self._lines.values()))
        first = line.requests[0]
        return max(_next_datagram(first), min(line.deficit, self._quantum, _datagrams(first)))

    def sent(self, portion: SendBatch, length: int) -> None:
        """The first ``length`` bytes of ``portion``, which ``next`` has just given, are on their way."""
        line = self._lines[portion.addr]
        first = line.requests[0]
        first.done += length
        line.bytes -= length
        line.deficit -= length + -(-length // portion.segment) * wire.HEADER_SIZE
        if first.done >= first.request.length:
            self._drop_first(portion.addr, line)

    def drop(self, portion: SendBatch) -> None:
        """Forget the whole request of ``portion``, which ``next`` has just given."""
        self._drop_first(portion.addr, self._lines[portion.addr])

    def forget(self, addr: Address) -> list[wire.Request]:
        """Forget all that ``addr`` asked for; returns it."""
        line = self._lines.pop(addr, None)
        if line is None:
            return []
        self._count -= len(line.requests)
        return [waiting.request for waiting in line.requests]

    def _drop_first(self, addr: Address, line: _Line) -> None:
        line.drop_first()
        self._count -= 1
        if not line.requests:
            del self._lines[addr]

    def _drop_aged(self, addr: Address, line: _Line, now: float) -> None:
        while line.requests and now - line.requests[0].since > MAX_AGE:
            line.drop_first()
            self._count -= 1
            self.aged += 1


def _key(request: wire.Request) -> Key:
    return request.transfer_id, request.offset, request.length


def _datagrams(waiting: _Waiting) -> int:
    """Bytes of all datagrams that ``waiting`` still takes, their headers included."""
    rest = waiting.request.length - waiting.done
    return rest + -(-rest // waiting.segment) * wire.HEADER_SIZE


def _next_datagram(waiting: _Waiting) -> int:
    """Bytes of the next datagram of ``waiting``, its header included."""
    return min(waiting.segment, waiting.request.length - waiting.done) + wire.HEADER_SIZE
