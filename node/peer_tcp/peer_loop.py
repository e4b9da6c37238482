"""The loop of one connected socket: receive, feed the state machine, request, send, wait.

All decisions about the protocol are in ``PeerWire``. The loop gives it the bytes that arrive, hands its
events to the fetching half (``Fetching``) and to the transport, and sends the messages and blocks that come
out (``BlockSender``). It waits in one place: for the socket, a wake-up, or the next timer.

A read that filled its buffer is followed by the next read at once, into one of the large buffers that all
connections share. So a busy connection makes one system call for half a mebibyte, and one for the requests
that this makes room for. Its threads take turns in the loop (``turns.py``).
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

from common.bitfield import Bitfield
from common.errors import PeerFault
from node.peer_tcp import events as ev
from node.peer_tcp.block_sender import BlockSender, prepare
from node.peer_tcp.connection import PeerWire
from node.peer_tcp.fetching import Fetching
from node.peer_tcp.limits import MAX_UNSENT
from node.peer_tcp.read_buffers import ReadBuffers
from node.peer_tcp.turns import Turns, Work
from node.peer_tcp.waiting import SocketWaiter, WakeUp
from node.rate_limit import TransferLimits

SMALL_READ = 64 << 10  # bytes of one read, until a read brings as many
HAVE_INTERVAL = 0.05  # seconds between two looks at our own pieces
LONGEST_WAIT = 60.0  # seconds


class BannedPeer(PeerFault):
    """The peer sent wrong bytes: it is not wanted any more, nor served."""


class PeerLoop:
    """For the thread that leads the connection. ``run`` ends with PeerFault, or OSError of the socket.

    ``on_event`` gets each event that concerns more than fetching. ``before_step`` is called before each step:
    it does what other threads asked for.
    """

    def __init__(
        self,
        sock: socket.socket,
        wire: PeerWire,
        limits: TransferLimits,
        buffers: ReadBuffers,
        wake: WakeUp,
        on_event: Callable[[PeerLoop, ev.WireEvent], None],
        before_step: Callable[[PeerLoop], None],
    ) -> None:
        prepare(sock)
        self.wire = wire
        self.fetching = Fetching(wire, keeps_work=True)
        self.sender = BlockSender(sock, wire, limits.upload)
        self._sock = sock
        self._flow = None if limits.download is None else limits.download.flow()
        self._wake = wake
        self._waiter = SocketWaiter(sock, wake)
        self._on_event = on_event
        self._before_step = before_step
        self._buffer = memoryview(bytearray(SMALL_READ))
        self._buffers = buffers
        self._is_busy = False  # the last read brought as much as the small buffer holds
        self._drained = True  # the last read took all that was there
        self._read_at = 0.0  # when the download limit allows the next read
        self._ask_at = float("inf")  # when time alone may have brought work for the session
        self._look_at = 0.0  # when to look at our own pieces
        self._told: Bitfield | None = None  # our pieces as the peer knows them
        self.peer_closed = False  # the peer closed the connection

    def run(self) -> None:
        """Serve and fetch until the connection ends. The session gets back what never arrived."""
        try:
            Turns(self._step, LONGEST_WAIT, threading.current_thread().name).run()
        finally:
            self.fetching.end()

    def _step(self, longest_wait: float) -> Work | None:
        """Do what is due, wait for more. Returns the work that the received bytes make."""
        if self._wake.is_set:
            self._wake.clear()
            self._look_at = 0.0  # there may be new pieces
        self._before_step(self)
        now = time.monotonic()
        if now >= self._look_at and self.wire.peer is not None:
            self._look_at_pieces(now)
        if self.fetching.session is not None:
            if self.fetching.is_interest_stale:
                self.fetching.update_interest()
            self._fetch(now)
        self.sender.send(now)
        may_read = self.sender.waiting < MAX_UNSENT and self.wire.takes_more  # else the peer only sends
        if self._drained or not may_read or now < self._read_at:
            self._waiter.wait(
                may_read and now >= self._read_at, self.sender.is_full, self._timeout(now, longest_wait)
            )
            now = time.monotonic()
        if may_read and now >= self._read_at:
            self._receive(now)
        due = self.wire.next_timer()
        if due is not None and due <= now:
            self._take(self.wire.on_timer(now))
        return self.fetching.take_work()

    def _timeout(self, now: float, longest_wait: float) -> float:
        due = min(self.wire.next_timer() or float("inf"), self._ask_at)
        if self._read_at > now:
            due = min(due, self._read_at)
        if self.sender.wait:
            due = min(due, now + self.sender.wait)
        return max(0.0, min(due - now, longest_wait))

    # ---- fetching

    def _fetch(self, now: float) -> None:
        """Request what there is room for; a session that has nothing to request is asked again later."""
        session = self.fetching.session
        assert session is not None
        self._ask_at = float("inf")
        if session.closing:
            self.fetching.detach()
            self._before_step(self)  # which reports the end of the session, before this thread waits
            if session.banned:
                raise BannedPeer("banned: it sent wrong bytes")
        elif self.fetching.request(now):
            self._ask_at = now + session.pause()
        else:
            self._ask_at = self.fetching.ask_at

    def _receive(self, now: float) -> None:
        large = self._buffers.take() if self._is_busy else None
        try:
            self._receive_into(self._buffer if large is None else large, now)
        finally:
            if large is not None:
                self._buffers.put(large)

    def _receive_into(self, buffer: memoryview, now: float) -> None:
        flow = self._flow
        if flow is not None:
            pause = flow.wait(min(len(buffer), flow.limit.quantum), now)
            if pause > 0:
                self._read_at = now + pause
                return
            buffer = buffer[: flow.available(now)]
        try:
            size = self._sock.recv_into(buffer)
        except BlockingIOError:
            self._drained = True
            if flow is not None:
                flow.release(now)
            return
        self._drained, self._is_busy = size < len(buffer), size >= SMALL_READ
        if flow is not None:
            flow.spend(size, now)
            if self._drained:
                flow.release(now)  # other connections have something to read
        if not size:
            self.peer_closed = True
            self._take(self.wire.on_closed())
        self._take(self.wire.receive(buffer[:size], now))

    def _take(self, events: list[ev.WireEvent]) -> None:
        fetching = self.fetching
        for event in events:
            if isinstance(event, ev.BlocksData):  # nearly all are
                fetching.on_blocks(event.blocks)
                continue
            if isinstance(event, ev.BlockData):
                fetching.on_blocks((event,))
                continue
            fetching.on_event(event)
            if isinstance(event, ev.WireFailed):
                self._say_goodbye()
                raise event.fault
            self._on_event(self, event)

    def _say_goodbye(self) -> None:
        """Send the messages that wait, as far as the socket takes them."""
        try:
            self.sender.send(time.monotonic())
        except (OSError, PeerFault):
            return

    # ---- our own pieces

    def _look_at_pieces(self, now: float) -> None:
        """Announce the pieces that were verified meanwhile, and tell the peer whether it is interesting."""
        self._look_at = now + HAVE_INTERVAL
        torrent = self.wire.torrent
        if torrent is None or torrent.geometry is None:
            return
        have = torrent.have()
        if have is not self._told:
            told, self._told = self._told, have
            for piece in new_pieces(told, have) if told is not None else ():
                self.wire.upload.announce(piece)
        self.fetching.update_interest()


def new_pieces(before: Bitfield, after: Bitfield) -> list[int]:
    """The pieces of ``after`` that ``before`` lacks."""
    new = int.from_bytes(after.to_bytes(), "big") & ~int.from_bytes(before.to_bytes(), "big")
    return list(Bitfield.from_bytes(new.to_bytes(len(after.to_bytes()), "big"), after.size))
