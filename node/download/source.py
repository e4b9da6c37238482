"""A source: a peer that a download fetches from at present, and the thread that runs its connection."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from common.bitfield import Bitfield
from common.errors import LocalFault, PeerFault, SwarmError
from common.metainfo import Metainfo
from node.download.known_peers import Candidate
from node.download.state import DownloadState
from node.download.unexpected import unexpected_fault
from node.download.write_buffer import WriteBuffer
from node.notes import ConnectionSample
from node.part_calls import stuck_call
from node.transport import PeerConnection, Range, Reject, RequestedRange, Transport

LARGE_REQUEST = 1 << 17  # bytes; a connection that makes such requests makes the next one within 4 ms
REQUESTS_AT_A_TIME = 2  # large requests that are taken from the state at a time: it is locked half as often


class Source(ABC):
    """The download's side of one connection: it implements ``DownloadSession``.

    Passes requests from ``state`` to the connection, and data from the connection to ``buffer``.
    """

    def __init__(
        self,
        candidate: Candidate,
        state: DownloadState,
        buffer: WriteBuffer,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.candidate = candidate
        self.peer = candidate.peer
        self.serves_since = float("inf")  # monotonic seconds; when the peer announced its pieces
        self.idle_since = float("inf")  # monotonic seconds since it has had nothing useful for us
        self._state = state
        self._buffer = buffer
        self.keep_work, self.take_work = buffer.keep_jobs, buffer.take_jobs  # of DownloadSession
        self._clock = clock
        self.quiet_since = clock()  # monotonic seconds; when it began, or sent the last data
        self._pieces: Bitfield | None = None  # of the peer; None: all, or not known yet
        self._taken: RequestedRange | None = None  # from the state, and not requested yet

    @abstractmethod
    def start(self) -> None:
        """Connect, and fetch until nothing more is wanted."""

    @abstractmethod
    def join(self, timeout: float) -> None:
        """Wait for its end, at most ``timeout`` seconds."""

    @abstractmethod
    def cancel(self, ranges: Sequence[Range]) -> None:
        """Other sources delivered these ranges first. May be called from any thread."""

    def stuck_fault(self) -> SwarmError | None:
        """The fault of a user's part in which the source's thread is stuck; None if it is not."""
        return None

    def sample(self) -> ConnectionSample | None:
        """What limits its requests at present; None: not connected."""
        return None

    @property
    def delivered(self) -> bool:
        """True once any data came from it."""
        return self._buffer.used

    # ---- DownloadSession

    @property
    def closing(self) -> bool:
        """True once the connection should end in mid-transfer."""
        return self._state.is_closed(self.peer)

    @property
    def banned(self) -> bool:
        """True once the peer is known to have sent wrong bytes."""
        return self.candidate.banned

    @property
    def trusted(self) -> bool:
        """True once a piece from this peer was verified, while it is no suspect."""
        return not self.candidate.suspect and self._state.trusts(self.peer)

    def on_bitfield(self, pieces: Bitfield | None, is_all: bool = True) -> None:
        """The peer holds these pieces; None: every one."""
        if self.serves_since == float("inf"):
            self.serves_since = self._clock()
        self.candidate.answered = True
        self._pieces = None if pieces is None else pieces.copy()
        if is_all:
            self.candidate.pieces_held = None if pieces is None else pieces.count
        self._state.on_bitfield(self.peer, pieces)

    def on_have(self, piece: int) -> None:
        """The peer holds this piece, too.

        The bitfield has it already, if an unchoke and this message were read at a time.
        """
        if self._pieces is None or piece in self._pieces:
            return
        self._pieces.set(piece)
        self.candidate.pieces_held = self._pieces.count
        self._state.on_have(self.peer, piece)

    def on_blocked(self, queue_position: int | None) -> None:
        """The peer will not send for now: other sources get the bytes that were meant for it."""
        if not self.candidate.queue_position:
            self._state.block(self.peer)
        self.candidate.queue_position = queue_position or 1
        self.serves_since = float("inf")

    def on_unblocked(self) -> None:
        """The peer sends again. A bitfield follows."""
        self.candidate.queue_position = 0
        self._state.join(self.peer)

    def on_status(self, text: str) -> None:
        """Why the peer sends nothing at present, for -peers."""
        self.candidate.status = text

    def next_range(self, max_length: int) -> RequestedRange | None:
        """A range to request now. Several large ones are taken from the state at a time."""
        if self._taken is None:
            large = max_length >= LARGE_REQUEST
            taken = self._state.take(self.peer, REQUESTS_AT_A_TIME * max_length if large else max_length)
            if stolen := self._state.take_stolen():
                self._buffer.cancel(stolen)
            if taken is None:
                return None
            self.idle_since = float("inf")
            if not large:
                return taken
            self._taken = taken
        start, end, rare_only = self._taken
        until = min(end, start + max_length)
        if until < end:
            self._taken = RequestedRange(until, end, self._state.rare_only(self.peer, until))
        else:
            self._taken = None
        return RequestedRange(start, until, rare_only)

    def on_data(self, offset: int, data: bytes | memoryview) -> None:
        """Requested bytes arrived."""
        self.quiet_since = self._clock()
        self._buffer.add(offset, data)

    def on_blocks(self, blocks: Sequence[tuple[int, bytes | memoryview]]) -> None:
        """Requested bytes arrived, in several places."""
        self.quiet_since = self._clock()
        self._buffer.add_all(blocks)

    def on_checksums(self, present: bool) -> None:
        """Checksums protect data from now on, or not. Without them it proves nothing against the peer."""
        self._buffer.flush()
        self._buffer.checked = present

    def on_returned(self, ranges: Sequence[Range]) -> None:
        """These requests will not be answered: other sources get them."""
        self._buffer.flush()
        taken, self._taken = self._taken, None
        self._state.give_back(self.peer, [*ranges, taken[:2]] if taken else ranges)

    def on_rejected(self, ranges: Sequence[Range], reason: Reject) -> None:
        """The peer refused these requests: other sources get them, or this source gets them later."""
        if reason is Reject.NOT_RARE:
            self._state.defer(self.peer, ranges)
            ranges = ()
        self.on_returned(ranges)

    def wait_for_work(self, timeout: float | None) -> bool:
        """Block until there may be a range to request; False once there will be none any more."""
        self._buffer.flush()
        self.idle_since = min(self.idle_since, self._clock())
        return self._state.wait_for_work(self.peer, timeout)

    def watch(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` whenever there may be a range to request, or the connection should end."""
        self._state.watch(self.peer, wake)

    def pause(self) -> float:
        """There is nothing to request: the bytes so far are written. Seconds after which to ask again."""
        self._buffer.flush()
        self.idle_since = min(self.idle_since, self._clock())
        return self._state.work_check()


class SourceThread(Source):
    """Runs the connection that ``transport`` makes, on a thread of its own.

    ``on_end(source, why)`` is called on that thread at its end, after any error too. ``why`` is None if
    nothing more was wanted. DownloadFailed means a fault of this program.
    """

    def __init__(
        self,
        candidate: Candidate,
        metainfo: Metainfo,
        state: DownloadState,
        buffer: WriteBuffer,
        transport: Transport,
        on_end: Callable[[Source, SwarmError | None], None],
    ) -> None:
        super().__init__(candidate, state, buffer)
        self._metainfo = metainfo
        self._transport = transport
        self._on_end = on_end
        self._connection: PeerConnection | None = None
        self._thread = threading.Thread(target=self._run, name=f"source {candidate.peer}", daemon=True)

    def start(self) -> None:
        """Connect, and fetch until nothing more is wanted."""
        self._thread.start()

    def join(self, timeout: float) -> None:
        """Wait for the thread to end, at most ``timeout`` seconds."""
        self._thread.join(timeout)

    def cancel(self, ranges: Sequence[Range]) -> None:
        """Other sources delivered these ranges first. May be called from any thread."""
        if self._connection is not None:
            self._connection.cancel(ranges)

    def stuck_fault(self) -> SwarmError | None:
        """The fault of a user's congestion controller in which the thread is stuck; None if it is not."""
        return stuck_call(self._thread.ident)

    def sample(self) -> ConnectionSample | None:
        """What limits its requests at present; None: not connected."""
        return self._connection.sample() if self._connection is not None else None

    def _run(self) -> None:
        why: SwarmError | None = None
        try:
            self._connection = self._transport.connect(self.peer, self._metainfo, self)
            self._connection.run()
        except (PeerFault, LocalFault) as error:
            why = error
        except BaseException as error:  # other threads wait for the end of this thread
            why = unexpected_fault(self._metainfo.name, error)
        self._state.watch(self.peer, None)
        self._state.leave(self.peer)
        self._on_end(self, why)
