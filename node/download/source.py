"""One owner that a download fetches from: a thread that runs a transport's connection."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from common.bitfield import Bitfield
from common.errors import LocalFault, PeerFault, SwarmError
from common.metainfo import Metainfo
from node.download.known_peers import Candidate
from node.download.state import DownloadState
from node.download.write_buffer import WriteBuffer
from node.transport import PeerConnection, Range, Reject, RequestedRange, Transport

LARGE_REQUEST = 1 << 17  # bytes; who asks for as much at a time comes again within 4 ms
PORTION = 2  # such requests are taken from the board at a time: it is locked half as often


class SourceThread:
    """Fetches from ``candidate`` into ``landing`` what ``board`` wants, until there is nothing, or it fails.

    ``ended(source, why)`` is called on this thread at the end; ``why`` is None when all went well. It
    implements the connection's DownloadSession.
    """

    def __init__(
        self,
        candidate: Candidate,
        metainfo: Metainfo,
        board: DownloadState,
        landing: WriteBuffer,
        ended: Callable[[SourceThread, SwarmError | None], None],
        transport: Transport,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self.candidate = candidate
        self.key = candidate.peer
        self._metainfo = metainfo
        self._board = board
        self._landing = landing
        self._ended = ended
        self._clock = clock
        self._complete = False
        self.serves_since = float("inf")  # monotonic seconds; since it told what it has
        self.idle_since = float("inf")  # since it has had nothing useful for us
        self._in_hand = 0, 0  # taken from the board and not asked for yet
        self._thread = threading.Thread(target=self._run, name=f"owner-{candidate.peer}", daemon=True)

    @property
    def delivered(self) -> bool:
        """Whether anything came from it."""
        return self._landing.began

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self, timeout: float) -> None:
        """Wait for the thread's end."""
        self._thread.join(timeout)

    def _run(self) -> None:
        why: SwarmError | None = PeerFault("stopped by a fault of this program")  # then a trace tells more
        try:
            self._connect().run()
            why = None
        except (PeerFault, LocalFault) as error:
            why = error
        finally:  # whatever happened: nobody may wait for this thread
            self._end(why)

    def _connect(self) -> PeerConnection:
        return self._transport.connect(self.key, self._metainfo, self)

    def _end(self, why: SwarmError | None) -> None:
        """Nothing more will come; ``why`` is None if nothing more is wanted."""
        self._board.leave(self.key)
        self._ended(self, why)

    # ---- the connection's DownloadSession

    @property
    def closing(self) -> bool:
        """Whether to stop in mid-transfer."""
        return self._board.over_for(self.key)

    @property
    def trusted(self) -> bool:
        """Whether a piece of this owner was right, and it was never in doubt."""
        return not self.candidate.doubt and self._board.trusts(self.key)

    def on_bitfield(self, pieces: Bitfield | None) -> None:
        """The owner holds these pieces; None: all."""
        if self.serves_since == float("inf"):
            self.serves_since = self._clock()
        self._complete = pieces is None
        self.candidate.held = None if pieces is None else pieces.count
        self._board.told(self.key, pieces)

    def on_have(self, piece: int) -> None:
        """The classroom transport tells bitfields only."""
        raise NotImplementedError

    def on_blocked(self, queue_position: int | None) -> None:
        """The owner serves others first: what was meant for it is for others meanwhile."""
        if not self.candidate.place:
            self._board.leave(self.key)
        self.candidate.place = queue_position or 1
        self.serves_since = float("inf")

    def on_unblocked(self) -> None:
        """It serves us; what it holds follows."""
        self.candidate.place = 0
        self._board.join(self.key)

    def next_range(self, max_length: int) -> RequestedRange | None:
        """Work for this owner, from the board; where requests are large, several of them at a time."""
        start, end = self._in_hand
        if start == end:
            large = max_length >= LARGE_REQUEST
            taken = self._board.take(self.key, PORTION * max_length if large else max_length)
            if taken is None:
                return None
            self.idle_since = float("inf")
            if not large:
                return self._asked_as(*taken)
            start, end = taken
        until = min(end, start + max_length)
        self._in_hand = until, end
        return self._asked_as(start, until)

    def _asked_as(self, start: int, end: int) -> RequestedRange:
        """An owner that has all shall give the piece around ``start`` only if it is rare."""
        return RequestedRange(start, end, self._complete and self._board.wants_rare(self.key, start))

    def on_data(self, offset: int, data: bytes | memoryview) -> None:
        """Bytes that this owner was asked for."""
        self._landing.deliver(offset, data)

    def on_checksums(self, present: bool) -> None:
        """Bytes without checksums prove nothing against their owner."""
        self._landing.flush()
        self._landing.checked = present

    def on_returned(self, ranges: Sequence[Range]) -> None:
        """What will not come goes back to the board; what has come is written."""
        self._landing.flush()
        self._board.give_back([*ranges, self._in_hand], self.key)
        self._in_hand = 0, 0

    def on_rejected(self, ranges: Sequence[Range], reason: Reject) -> None:
        """Not held: others have it. Not rare: others have just got that piece from this owner."""
        if reason is Reject.NOT_RARE:
            self._board.passed_on(self.key, ranges)
            ranges = ()
        self.on_returned(ranges)

    def wait_for_work(self, timeout: float | None) -> bool:
        """Until the board has something for us, or time is up; False once it will have nothing any more."""
        self._landing.flush()
        self.idle_since = min(self.idle_since, self._clock())
        return self._board.wait_for_work(self.key, timeout)
