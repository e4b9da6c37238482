"""The requests that an owner cannot answer at once, in fair order. Pure: no socket, no clock.

Each address has a flow of its own, and the flows take turns by bytes: deficit round robin (Shreedhar and
Varghese, 1995). A fetcher with many requests delays its own, not those of other fetchers. An idle flow has no
turn, so no capacity is lost.

A request that is repeated while it is queued keeps its position and is answered once. A request is dropped
after ``MAX_REQUEST_AGE``: by then the fetcher has given it up, or has asked another owner.
"""

from __future__ import annotations

import enum
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import NamedTuple

from node.chunk_udp import wire
from node.chunk_udp.address_validation import Address

MAX_QUANTUM = 256 * 1024  # bytes, without an upload limit; no less than any datagram
MAX_REQUEST_AGE = 2.0  # seconds
MAX_FLOW_REQUESTS = 64  # queued requests of one address
MAX_QUEUED_REQUESTS = 4096  # of all flows

Key = tuple[int, int, int]  # transfer, offset, length: by these a repeated request is recognised


class Added(enum.Enum):
    """The fate of a request. The owner counts the values."""

    QUEUED = "queued"
    AGAIN = "asked again"
    FULL = "too much at once"


class SendBatch(NamedTuple):
    """A part to send: ``[offset, offset + length)`` of the content, in datagrams of ``segment`` bytes."""

    addr: Address
    request: wire.Request
    offset: int
    length: int
    segment: int


@dataclass
class _QueuedRequest:
    request: wire.Request
    segment: int  # bytes of file in a datagram
    since: float
    done: int = 0  # bytes sent


@dataclass
class _Flow:
    """The requests of one address, oldest first."""

    deficit: int  # bytes that it may send before the next flow's turn
    requests: deque[_QueuedRequest] = field(default_factory=deque)
    keys: dict[Key, _QueuedRequest] = field(default_factory=dict)
    bytes: int = 0  # queued

    def drop_first(self) -> _QueuedRequest:
        gone = self.requests.popleft()
        self.bytes -= gone.request.length - gone.done
        self.keys.pop(_key(gone.request), None)
        return gone


class DrrQueue:
    """Requests by address. ``quantum``: bytes of a turn, no less than the largest datagram."""

    def __init__(self, quantum: int = MAX_QUANTUM) -> None:
        self._quantum = quantum
        self._flows: OrderedDict[Address, _Flow] = OrderedDict()  # the first has its turn
        self._count = 0
        self.aged = 0  # requests dropped after MAX_REQUEST_AGE

    def __bool__(self) -> bool:
        return bool(self._flows)

    def __len__(self) -> int:
        return self._count

    @property
    def addresses(self) -> int:
        """The number of flows."""
        return len(self._flows)

    def longest_wait(self, now: float) -> float:
        """Seconds since the oldest request was queued; 0 if the queue is empty."""
        return now - min(
            (flow.requests[0].since for flow in self._flows.values() if flow.requests), default=now
        )

    def add(self, request: wire.Request, addr: Address, segment: int, max_bytes: int, now: float) -> Added:
        """Queue ``request``, to be sent in segments of ``segment`` bytes.

        ``max_bytes`` bounds the flow of ``addr``. Its first request is taken in any case.
        """
        flow = self._flows.get(addr)
        if flow is None:
            if self._count >= MAX_QUEUED_REQUESTS:
                return Added.FULL
            flow = self._flows[addr] = _Flow(self._quantum)
        elif (present := flow.keys.get(_key(request))) is not None and not present.done:
            present.segment = min(present.segment, segment)  # the path may carry less than before
            return Added.AGAIN
        elif (
            flow.bytes + request.length > max_bytes
            or len(flow.requests) >= MAX_FLOW_REQUESTS
            or self._count >= MAX_QUEUED_REQUESTS
        ):
            return Added.FULL
        queued = _QueuedRequest(request, segment, now)
        flow.requests.append(queued)
        flow.keys[_key(request)] = queued
        flow.bytes += request.length
        self._count += 1
        return Added.QUEUED

    def next(self, budget: int | None, now: float) -> SendBatch | None:
        """The next part to send: datagrams of at most ``budget`` bytes together (None: no limit).

        None if the queue is empty, or the budget too small for the next datagram. Call ``sent`` or ``drop``
        with the result.
        """
        while self._flows:
            addr, flow = next(iter(self._flows.items()))
            self._drop_aged(flow, now)
            if not flow.requests:
                del self._flows[addr]
                continue
            first = flow.requests[0]
            cost = _next_datagram(first)
            if flow.deficit < cost:
                flow.deficit += self._quantum
                self._flows.move_to_end(addr)
                continue
            allowed = flow.deficit if budget is None else min(budget, flow.deficit)
            if allowed < cost:
                return None
            length = first.request.length - first.done
            if allowed < _datagrams(first):
                length = allowed // (first.segment + wire.HEADER_SIZE) * first.segment
            return SendBatch(addr, first.request, first.request.offset + first.done, length, first.segment)
        return None

    def sent(self, batch: SendBatch, length: int) -> None:
        """The first ``length`` bytes of ``batch``, the last result of ``next``, were sent."""
        flow = self._flows[batch.addr]
        first = flow.requests[0]
        first.done += length
        flow.bytes -= length
        flow.deficit -= length + -(-length // batch.segment) * wire.HEADER_SIZE
        if first.done >= first.request.length:
            self._drop_first(batch.addr, flow)

    def drop(self, batch: SendBatch) -> None:
        """Forget the whole request of ``batch``, the last result of ``next``."""
        self._drop_first(batch.addr, self._flows[batch.addr])

    def forget(self, addr: Address) -> list[wire.Request]:
        """Forget the flow of ``addr``; returns its requests."""
        flow = self._flows.pop(addr, None)
        if flow is None:
            return []
        self._count -= len(flow.requests)
        return [queued.request for queued in flow.requests]

    def _drop_first(self, addr: Address, flow: _Flow) -> None:
        flow.drop_first()
        self._count -= 1
        if not flow.requests:
            del self._flows[addr]

    def _drop_aged(self, flow: _Flow, now: float) -> None:
        while flow.requests and now - flow.requests[0].since > MAX_REQUEST_AGE:
            flow.drop_first()
            self._count -= 1
            self.aged += 1


def _key(request: wire.Request) -> Key:
    return request.transfer_id, request.offset, request.length


def _datagrams(queued: _QueuedRequest) -> int:
    """Bytes of all datagrams that the rest of the request takes, headers included."""
    rest = queued.request.length - queued.done
    return rest + -(-rest // queued.segment) * wire.HEADER_SIZE


def _next_datagram(queued: _QueuedRequest) -> int:
    """Bytes of the next datagram, header included."""
    return min(queued.segment, queued.request.length - queued.done) + wire.HEADER_SIZE
