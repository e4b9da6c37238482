"""One connection and its thread: dial or take over a socket, run the loop, hand back what was not done.

A dialled peer that closes before its handshake does not like the way in which the connection began, plain or
encrypted. It is dialled the other way at once.

Other threads ``post`` calls, which run between two steps of the loop. So the connection itself needs no lock.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from common.errors import PeerFault
from common.logs import log
from node.notes import ConnectionSample
from node.peer import Peer
from node.peer_tcp import events as ev
from node.peer_tcp.connection import PeerWire
from node.peer_tcp.dialler import Way
from node.peer_tcp.limits import BLOCK
from node.peer_tcp.peer_loop import BannedPeer, PeerLoop
from node.peer_tcp.read_buffers import ReadBuffers
from node.peer_tcp.waiting import WakeUp
from node.rate_limit import TransferLimits
from node.tap import NO_STREAM_TAP, StreamTap
from node.transport import DownloadSession, Range


class ThreadOwner(Protocol):
    """The transport, as the threads of its connections see it. Called from these threads."""

    limits: TransferLimits
    read_buffers: ReadBuffers

    def open(self, thread: PeerThread, way: Way | None) -> tuple[socket.socket, PeerWire]:
        """Dial the thread's peer; None: take over its accepted socket. PeerFault."""

    def on_event(self, thread: PeerThread, loop: PeerLoop, event: ev.WireEvent) -> None:
        """Something happened that concerns more than fetching. PeerFault ends the connection."""

    def on_end(self, thread: PeerThread) -> None:
        """The connection is over."""


class Fetch:
    """The fetching of one session over one connection. A ``PeerConnection``."""

    def __init__(self, thread: PeerThread, session: DownloadSession) -> None:
        self.session = session
        self._thread = thread
        self._news = threading.Event()  # it ended, or the session may be over before it began
        self._has_ended = False
        self._fault: BaseException | None = None

    def run(self) -> None:
        """Fetch until the session wants nothing more. PeerFault if the connection ends before."""
        self.session.watch(self._wake)
        self._thread.attach(self)
        while True:
            if self.session.closing:  # before the peer answered: a dial may take seconds
                self._thread.leave_unopened(self)
            if self._has_ended:
                break
            self._news.wait()
            self._news.clear()
        if self._fault is not None:
            raise self._fault

    def _wake(self) -> None:
        self._thread.wake()
        if not self._thread.is_open:
            self._news.set()

    def cancel(self, ranges: Sequence[Range]) -> None:
        """Another peer delivered these ranges first. May be called from any thread."""

        def do(loop: PeerLoop) -> None:
            if loop.fetching.session is self.session:
                loop.fetching.cancel(ranges)

        self._thread.post(do)

    def sample(self) -> ConnectionSample | None:
        """What limits the requests now; None before the handshake. May be called from any thread."""
        loop = self._thread.loop
        if loop is None or loop.wire.peer is None:
            return None
        requests = loop.wire.download.requests
        window = requests.window
        return ConnectionSample(window.blocks * BLOCK, window.round_trip or None, requests.outstanding)

    def end(self, fault: BaseException | None = None) -> None:
        """The session is detached; ``fault``: why it was before it wanted to."""
        self._fault, self._has_ended = fault, True
        self._news.set()


class PeerThread:
    """One connection. ``post``, ``attach`` and the attributes may be used from any thread."""

    def __init__(
        self, owner: ThreadOwner, peer: Peer, ways: Sequence[Way] = (), sock: socket.socket | None = None
    ) -> None:
        """``ways``: to dial, in order. Without any, ``sock`` was accepted."""
        self.peer = peer  # with its listening port, once that is known
        self.info_hash = b""  # once it is known
        self.accepted = sock
        self.since = time.monotonic()
        self.loop: PeerLoop | None = None  # once the socket is connected
        self.is_open = False  # the loop runs, and looks after the session
        self.has_ended = False
        self.is_to_fetch = False  # dialled for a session, which may be attached after the handshake
        self.fetch: Fetch | None = None  # the session that is attached, or is to be
        self.is_unchoked = False  # by the choker
        self.is_reported = False  # as a candidate for downloads
        self.client = ""  # as the peer calls itself in its extended handshake
        self.program = ""  # that its peer id names, or as it calls itself
        self.rate = 0.0  # bytes of content sent a second, over the last seconds
        self.tap: StreamTap = NO_STREAM_TAP  # of its socket, once that is connected
        self._why: BaseException | None = None  # why it ended
        self._owner = owner
        self._ways = ways
        self._lock = threading.Lock()  # guards has_ended, fetch and _posted together
        self._posted: deque[Callable[[PeerLoop], None]] = deque()
        self._attached: Fetch | None = None  # for the connection's thread
        self._wake = WakeUp()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"peer {peer}", daemon=True)

    # ---- for other threads

    def start(self) -> None:
        """Connect, and run until the connection ends."""
        self._thread.start()

    def join(self, timeout: float) -> None:
        """Wait for the end of the thread, at most ``timeout`` seconds."""
        if self._is_over.wait(timeout):  # it may not be started yet, by the thread that added it
            self._thread.join()

    def wake(self) -> None:
        """Make the thread look for requests, new pieces, and whether its session is over."""
        self._wake.set()

    def post(self, call: Callable[[PeerLoop], None]) -> None:
        """Have the connection's thread call ``call``, soon, unless it has ended."""
        self._posted.append(call)
        self._wake.set()

    def close(self, why: str) -> None:
        """End the connection, soon."""

        def do(loop: PeerLoop) -> None:
            raise PeerFault(why)

        self.post(do)

    def attach(self, fetch: Fetch) -> None:
        """Fetch for this session from now on; ``fetch.end`` is called if that is not possible."""
        with self._lock:
            if self.has_ended:
                fault: BaseException = self._why or PeerFault("closed the connection")
            elif self.fetch is not None:
                fault = PeerFault("not needed: the same peer is used at another of its addresses")
            else:
                self.fetch = fetch
                self._wake.set()
                return
        fetch.end(fault)

    def leave_unopened(self, fetch: Fetch) -> None:
        """End ``fetch`` if the connection is not open yet. An open one does that itself."""
        with self._lock:
            if self.fetch is not fetch or self.is_open:
                return
            self.fetch = None
        fetch.end()

    @property
    def uploaded(self) -> int:
        """Bytes of content sent so far."""
        return 0 if self.loop is None else self.loop.sender.uploaded

    @property
    def is_banned(self) -> bool:
        """True if the connection ended because the peer sent wrong bytes."""
        return isinstance(self._why, BannedPeer)

    @property
    def is_seed(self) -> bool:
        """True if the peer has every piece."""
        loop = self.loop
        return loop is not None and loop.fetching.pieces_known and loop.wire.download.held.complete

    # ---- the thread

    def _run(self) -> None:
        fault: BaseException = PeerFault("closed the connection")
        try:
            self._connect()
        except PeerFault as error:
            fault = error
        except OSError as error:
            fault = PeerFault(f"lost the connection: {error.strerror or error}")
        except BaseException as error:  # a download may wait for the end of this thread
            fault = error
            log(f"tcp {self.peer}: a fault of this program: {error!r}")
        self._why = fault
        self._owner.on_end(self)
        with self._lock:
            self.has_ended = True
            fetch, self.fetch = self.fetch, None
        if fetch is not None:
            fetch.end(fault)
        self._wake.close()
        self._is_over.set()

    @property
    def why(self) -> str:
        """Why the connection ended, in words."""
        return str(self._why) or repr(self._why)

    def _connect(self) -> None:
        if self.accepted is not None:
            self._serve(*self._owner.open(self, None))
        for number, way in enumerate(self._ways, 1):
            sock, wire = self._owner.open(self, way)
            try:
                self._serve(sock, wire)
            except (PeerFault, ConnectionError) as error:
                was_closed = isinstance(error, ConnectionError) or (self.loop and self.loop.peer_closed)
                if wire.peer is not None or not was_closed or number == len(self._ways):
                    raise

    def _serve(self, sock: socket.socket, wire: PeerWire) -> None:
        owner, self._attached = self._owner, None
        with sock:
            loop = PeerLoop(
                sock,
                wire,
                owner.limits,
                owner.read_buffers,
                self._wake,
                lambda loop, event: owner.on_event(self, loop, event),
                self._before_step,
            )
            self.loop, self.is_open = loop, True
            try:
                loop.run()
            finally:
                self.is_open = False

    def _before_step(self, loop: PeerLoop) -> None:
        while self._posted:
            self._posted.popleft()(loop)
        fetch = self.fetch
        if fetch is None:
            return
        if self._attached is not fetch:
            self._attached = fetch
            loop.fetching.attach(fetch.session)
        elif loop.fetching.session is None:  # it wanted nothing more
            self._attached = None
            with self._lock:
                self.fetch = None
            fetch.end()
