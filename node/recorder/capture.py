"""``-pcap FILE``: a node's messages as a capture file that Wireshark opens. It needs no special rights.

The file has the link type RAW: each packet begins with its IP header, which ``packets`` makes up. The bytes
of the peer wire are written before encryption, as TCP segments with consistent numbers.

Packets are gathered and written together. If the disk is full, or the file reaches its limit, the capture
ends after a whole packet, and the node goes on.
"""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from common.errors import LocalFault
from common.files import try_lock
from common.text import sanitize
from node.recorder.packets import ACK, FIN, MAX_TCP_PAYLOAD, PUSH, SYN, tcp_packet, udp_packet
from node.tap import Address, Buffer, StreamTap, Tap

CAPTURE_LIMIT = 10**9  # bytes of a capture file
LINKTYPE_RAW = 101  # the packets of a capture begin with an IP header
GATHERED = 1 << 18  # bytes of packets that are written together
WRITE_INTERVAL = 0.5  # seconds between two writes, while packets come
_MAGIC, _VERSION = 0xA1B2C3D4, (2, 4)  # of the file format, with microseconds
_LONGEST = 1 << 18  # bytes of a packet, for the file's header
_FILE_HEADER = struct.Struct("=IHHiIII")
_PACKET_HEADER = struct.Struct("=IIII")


class Capture(Tap):
    """Writes all messages to the file at ``path``, which is replaced. May be used from any thread.

    ``ended`` is called with the reason when the capture ends before ``close``. LocalFault if the file cannot
    be written at all.
    """

    single = True

    def __init__(self, path: Path, ended: Callable[[str], None], limit: int = CAPTURE_LIMIT) -> None:
        self._ended = ended
        self._limit = limit
        self._lock = threading.Lock()  # guards all below
        self._gathered = bytearray(_FILE_HEADER.pack(_MAGIC, *_VERSION, 0, 0, _LONGEST, LINKTYPE_RAW))
        self._written = 0  # bytes of the file
        self._written_at = time.monotonic()
        self._descriptor = -1
        try:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
            if not try_lock(self._descriptor):
                os.close(self._descriptor)
                raise LocalFault(f"the capture {sanitize(path)} is being written by another node")
            os.ftruncate(self._descriptor, 0)
            self._write()
        except OSError as error:
            raise LocalFault(f"cannot write the capture {sanitize(path)}: {error.strerror}") from None

    # ---- Tap

    def sent(self, heads: Buffer, parts: Sequence[Buffer], step: int, here: Address, peer: Address) -> None:
        """As ``Tap.sent``."""
        self.add(udp_packet(b"".join(parts), here, peer))

    def received(self, batch: memoryview, step: int, here: Address, peer: Address) -> None:
        """As ``Tap.received``."""
        self.add(udp_packet(bytes(batch), peer, here))

    def stream(self, here: Address, peer: Address, dialled: bool) -> StreamTap:
        """As ``Tap.stream``."""
        return _CapturedStream(self, here, peer, dialled)

    # ---- the file

    def add(self, packet: bytes) -> None:
        """Write one IP packet."""
        now = time.time_ns() // 1000
        header = _PACKET_HEADER.pack(*divmod(now, 1_000_000), len(packet), len(packet))
        reason = ""
        with self._lock:
            if self._descriptor < 0:
                return
            if self._written + len(self._gathered) + len(header) + len(packet) > self._limit:
                reason = f"it has reached its limit of {self._limit} bytes"
            else:
                self._gathered += header
                self._gathered += packet
            is_due = time.monotonic() - self._written_at >= WRITE_INTERVAL
            if reason or is_due or len(self._gathered) >= GATHERED:
                reason = self._try_to_write() or reason
            if reason:
                self._end()
        if reason:
            self._ended(reason)

    def flush(self) -> None:
        """Write what is gathered, so that a reader of the file sees all messages so far."""
        reason = ""
        with self._lock:
            if self._gathered and self._descriptor >= 0:
                reason = self._try_to_write()
        if reason:
            self._ended(reason)

    def close(self) -> None:
        """Write the rest. Later messages are not captured."""
        self.flush()
        with self._lock:
            self._end()

    def _try_to_write(self) -> str:
        """Write what is gathered. Returns why that failed; the capture has ended then."""
        try:
            self._write()
        except OSError as error:
            self._end()
            return error.strerror or str(error)
        return ""

    def _write(self) -> None:
        """Write whole packets. OSError, and the file ends after the packets before."""
        rest = memoryview(self._gathered)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            os.ftruncate(self._descriptor, self._written)
            raise
        finally:
            rest.release()
        self._written += len(self._gathered)
        self._gathered = bytearray()
        self._written_at = time.monotonic()

    def _end(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class _CapturedStream(StreamTap):
    """One TCP connection as segments. Begins with the three-way handshake, ends with both FINs."""

    single = True

    def __init__(self, capture: Capture, here: Address, peer: Address, dialled: bool) -> None:
        self._capture = capture
        self._here, self._peer = here, peer
        self._next_sent = self._next_received = 0  # sequence numbers
        self._is_closed = False
        self._add(dialled, SYN)
        self._add(not dialled, SYN | ACK)
        self._add(dialled, ACK)

    def wrote(self, data: bytes) -> None:
        self._add_data(True, data)

    def payload_wrote(self, data: Buffer) -> None:
        self._add_data(True, data)

    def read(self, data: Buffer) -> None:
        self._add_data(False, data)

    def closed(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._add(True, FIN | ACK)
            self._add(False, FIN | ACK)
            self._add(True, ACK)

    def _add_data(self, outgoing: bool, data: Buffer) -> None:
        for at in range(0, len(data), MAX_TCP_PAYLOAD):
            self._add(outgoing, PUSH | ACK, bytes(data[at : at + MAX_TCP_PAYLOAD]))

    def _add(self, outgoing: bool, flags: int, payload: bytes = b"") -> None:
        """One segment, from here or from the peer. SYN and FIN take a number, as each byte does."""
        amount = len(payload) + (1 if flags & (SYN | FIN) else 0)
        if outgoing:
            ends, numbers = (self._here, self._peer), (self._next_sent, self._next_received)
            self._next_sent += amount
        else:
            ends, numbers = (self._peer, self._here), (self._next_received, self._next_sent)
            self._next_received += amount
        acknowledged = numbers[1] if flags & ACK else 0
        self._capture.add(tcp_packet(payload, *ends, flags, numbers[0], acknowledged))
