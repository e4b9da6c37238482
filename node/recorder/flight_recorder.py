"""The ring of the last messages, and the questions that it answers.

An entry is one system call, not one message: a batch of segments costs little more than one of them. It is a
tuple (time, describe, direction, peer, ...), where ``describe`` makes messages of the rest. The payload of
DATA and of blocks is not kept.
"""

from __future__ import annotations

import struct
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from common.addresses import join_host_port
from node.chunk_udp import wire
from node.peer_tcp import messages as m
from node.recorder import datagram_rows, stream_rows
from node.recorder.losses import marked
from node.recorder.rows import HERE, IN, OUT, MessageRow
from node.tap import Address, Buffer, StreamTap, Tap

RECORDED = 2000  # system calls that a node remembers: at least as many messages
LOOKED_AT = 400  # messages among which the story of one repaired loss is looked for
CONTEXT = 600  # messages before those that are wanted: a lost one is known by its REQUEST
MAX_NAMES = 4096  # addresses whose node number is remembered
HEAD = wire.REQUEST_SIZE  # bytes that are kept of a datagram: all fields of all messages
MAX_RUN = 256  # messages that are kept of one run on the peer wire
MAX_WRITTEN = 17 * MAX_RUN  # bytes that are kept of messages that left together: as many requests
MAX_AROUND = 12  # rows about one repaired loss
_LEFT_OUT = ("transfer", "torrent", "segment_size", "checked")  # of these

_Entry = tuple[Any, ...]
_DATA, _HEADER_SIZE, _datagrams = wire.DATA, wire.HEADER_SIZE, datagram_rows.described  # found faster here


class FlightRecorder(Tap):
    """Remembers the last RECORDED batches of messages. May be used from any thread.

    Rows are dictionaries for JSON; ``node.recorder.rows`` describes them. A peer is a node number, or
    "HOST:PORT".
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, recorded: int = RECORDED) -> None:
        """``clock``: monotonic seconds."""
        self._clock = clock
        self._ring: deque[_Entry] = deque(maxlen=recorded)
        self._append = self._ring.append
        self._names: dict[Address, int] = {}

    # ---- what happens

    def sent(self, heads: Buffer, parts: Sequence[Buffer], step: int, here: Address, peer: Address) -> None:
        """As ``Tap.sent``."""
        last = len(parts[-1])
        if len(parts) == 1:
            heads, size = heads[:HEAD], last
        else:
            size = last + _HEADER_SIZE + step * (len(parts) // 2 - 1)
        self._append((self._clock(), _datagrams, OUT, peer, bytes(heads), size, step or size))

    def received(self, batch: memoryview, step: int, here: Address, peer: Address) -> None:
        """As ``Tap.received``."""
        size = len(batch)
        if size > step:
            heads = headers_in(batch, size, step, _HEADER_SIZE)
        elif size > HEAD and batch[2] == _DATA:
            heads = bytes(batch[:_HEADER_SIZE])
        else:
            heads = bytes(batch[:HEAD])
        self._append((self._clock(), _datagrams, IN, peer, heads, size, step))

    def introduce(self, peer: Address, node_id: int) -> None:
        """As ``Tap.introduce``."""
        if len(self._names) >= MAX_NAMES:
            self._names = {}
        self._names[peer] = node_id

    def stream(self, here: Address, peer: Address, dialled: bool) -> StreamTap:
        """As ``Tap.stream``."""
        return _RecordedStream(self._ring, self._clock, peer)

    def note(self, what: str, **fields: Any) -> None:
        """This node did something, as ``verified`` with ``piece`` and ``torrent``."""
        self._ring.append((self._clock(), _noted, HERE, None, what, fields))

    # ---- questions

    def recent_messages(self, peer: int | str | None = None, limit: int = 200) -> list[MessageRow]:
        """The last messages, at most ``limit`` rows, oldest first. ``peer``: only messages with this peer."""
        return self._rows(peer, limit)[-limit:]

    def messages_around(
        self, peer: int | str, offset: int, length: int, limit: int = MAX_AROUND, piece: int | None = None
    ) -> list[MessageRow]:
        """The story of the bytes ``[offset, offset + length)`` from ``peer``: lost, requested again, here.

        At most ``limit`` rows: rows about these bytes or this ``piece`` first, then the nearest ones.
        Their fields are fewer than elsewhere, so that a report has room for them.
        """
        rows = self._rows(peer, LOOKED_AT)
        about = [at for at, row in enumerate(rows) if _is_about(row, offset, offset + length, piece)]
        chosen, about = set(about[-limit:]), [at for at in about if rows[at]["direction"] != HERE]
        for distance in range(1, limit):
            near = {at + step for at in about for step in (-distance, distance)} & set(range(len(rows)))
            chosen |= set(sorted(near - chosen)[: max(0, limit - len(chosen))])
        return [_shortened(rows[at]) for at in sorted(chosen)]

    def _rows(self, peer: int | str | None, wanted: int) -> list[MessageRow]:
        """At least the last ``wanted`` rows, and CONTEXT older ones: these show which messages were lost."""
        groups, count = list[list[MessageRow]](), 0
        for seconds, describe, direction, addr, *rest in reversed(list(self._ring)):
            name = self._named(addr)
            if addr is not None and peer is not None and peer not in (name, join_host_port(*addr)):
                continue
            ms = round(seconds * 1000, 3)
            group: list[MessageRow] = [
                {"time": ms, "direction": direction, "peer": name, "message": message, "fields": fields}
                for message, fields in describe(*rest)
            ]
            groups.append(group)
            count += len(group)
            if count >= wanted + CONTEXT:
                break
        return marked([row for group in reversed(groups) for row in group])

    def _named(self, addr: Address | None) -> int | str | None:
        """A node number if it is known, else HOST:PORT."""
        if addr is None:
            return None
        number = self._names.get(addr)
        return join_host_port(*addr) if number is None else number


def headers_in(batch: memoryview, size: int, step: int, header: int) -> bytes:
    """The first ``header`` bytes of each message of ``step`` bytes in ``batch``, joined, in one call.

    ``size``: bytes of the messages; the last one may be shorter.
    """
    count = -(-size // step)
    if step < header or size - (count - 1) * step < header:
        return b"".join([batch[at : min(at + step, at + header)] for at in range(0, size, step)])
    return b"".join(_headers(count, step, header).unpack_from(batch))


@lru_cache(maxsize=256)
def _headers(count: int, step: int, header: int) -> struct.Struct:
    return struct.Struct(f"{header}s{step - header}x" * (count - 1) + f"{header}s")


class _RecordedStream(StreamTap):
    def __init__(self, ring: deque[_Entry], clock: Callable[[], float], peer: Address) -> None:
        self._ring = ring
        self._clock = clock
        self._peer = peer

    def wrote(self, data: bytes) -> None:
        kept = data if len(data) <= MAX_WRITTEN else data[:MAX_WRITTEN]
        self._ring.append((self._clock(), stream_rows.written, OUT, self._peer, kept, len(data)))

    def took(self, message: object) -> bool:
        kept: object
        count = 1
        if isinstance(message, m.BlockRun):
            step, size = m.PIECE_HEADER.size + message.length, len(message.view)
            heads = headers_in(message.view, min(size, MAX_RUN * step), step, m.PIECE_HEADER.size)
            left = m.PIECE_HEADER.size * (size // step)
            self._ring.append((self._clock(), stream_rows.written, IN, self._peer, heads, left))
            return True
        if isinstance(message, m.Block):
            if message.at + len(message.data) < message.length:
                return True  # the block is not whole yet
            kept = _numbers([message[:3]])
        elif isinstance(message, m.RequestRun):
            kept, count = _numbers(message.requests[:MAX_RUN]), len(message.requests)
        else:
            kept = stream_rows.without_payload(message)
        self._ring.append((self._clock(), stream_rows.taken, IN, self._peer, type(message), kept, count))
        return True


def _numbers(spans: Iterable[tuple[int, int, int]]) -> array[int]:
    """The numbers of all spans: a tenth of the memory of tuples."""
    return array("I", chain.from_iterable(spans))


def _noted(what: str, fields: dict[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    return [(what, fields)]


def _shortened(row: MessageRow) -> MessageRow:
    fields = {name: value for name, value in row["fields"].items() if name not in _LEFT_OUT}
    return {**row, "fields": fields}


def _is_about(row: MessageRow, start: int, end: int, piece: int | None) -> bool:
    """True if ``row`` is a message about bytes of ``[start, end)``, or reports the result of ``piece``."""
    fields = row["fields"]
    if row["direction"] == HERE:
        return piece is not None and fields.get("piece") == piece
    if row["message"] not in ("REQUEST", "DATA"):
        return False
    return bool(fields["offset"] < end and start < fields["offset"] + fields["length"])
