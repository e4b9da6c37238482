"""Between one connection and the download session that fetches over it: ranges in, events out.

``PeerWire`` knows messages and time, ``DownloadSession`` knows the ranges that the download wants. A peer
chokes us at first, so the session is blocked at first. From its unchoke on, the session is asked for ranges
while the connection has room for requests, and all requests leave in one send.

A peer that chokes us may allow some pieces all the same (BEP 6). It unchokes most peers at once, so these
pieces are used after FAST_AFTER seconds of choke: for the session, the peer then holds only them.

The connection outlives the session: it serves, and a later download may attach to it. No socket, no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from common.bitfield import Bitfield
from common.errors import PeerFault
from node.peer_tcp import events as ev
from node.peer_tcp.connection import PeerWire
from node.peer_tcp.limits import BLOCK
from node.transport import DownloadSession, Range, Reject

BATCHES = 4  # in a full pipeline; each batch of requests is one send, and wakes the peer once
FAST_AFTER = 2.0  # seconds of choke after which the pieces that the peer allows are requested
MAX_REJECTS = 256  # rejected requests in a row, after which the connection ends


class Fetching:
    """The fetching half of a connection. For the thread that leads the connection."""

    def __init__(self, wire: PeerWire, keeps_work: bool = False) -> None:
        """``keeps_work``: the caller calls ``take_work``."""
        self.session: DownloadSession | None = None
        self._keeps_work = keeps_work
        self._wire = wire
        self.pieces_known = False
        self._rejects = 0  # in a row
        self._compared: Bitfield | None = None  # our pieces when the interest was decided last
        self._status = ""  # as the session knows it
        self._choked_since: float | None = None  # since when the peer chokes this session, as far as noticed
        self._allowed: Bitfield | None = (
            None  # the only pieces that the session knows of; None: all that it holds
        )
        self.ask_at = float("inf")  # when time alone will bring something to request

    # ---- the session

    def attach(self, session: DownloadSession) -> None:
        """Fetch for ``session`` from now on."""
        self.session = session
        session.keep_work(self._keeps_work)
        if self.pieces_known:
            session.on_bitfield(self._wire.download.held.snapshot())
        session.on_blocked(None)
        if self.pieces_known and not self._wire.download.peer_choking:
            self._on_unchoked(session)
        self._compared, self._status = None, ""
        self._choked_since = self._allowed = None
        self.update_interest()
        self._tell_status()

    def detach(self) -> None:
        """The session wants nothing more: its requests are withdrawn and returned."""
        session, self.session = self.session, None
        if session is None:
            return
        ranges: list[Range] = []
        if self._wire.peer is not None:
            ranges = self._wire.download.withdraw()
            self._wire.download.set_interested(False)
        session.keep_work(False)
        session.on_returned(ranges)

    def end(self) -> None:
        """The connection is over: the session gets back every range that never arrived."""
        session, self.session = self.session, None
        ranges = self._wire.unreceived()
        if session is not None:
            session.keep_work(False)
            session.on_returned(ranges)

    def take_work(self) -> Callable[[], None] | None:
        """The work that the session kept, to be done on any thread."""
        return None if self.session is None else self.session.take_work()

    def cancel(self, ranges: Sequence[Range]) -> None:
        """Another peer delivered ``ranges`` first."""
        if self.session is None or self._wire.peer is None:
            return
        gone = [span for start, end in ranges for span in self._wire.download.cancel(start, end)]
        if gone:
            self.session.on_returned(gone)

    # ---- requests

    def request(self, now: float) -> bool:
        """Turn room into requests. True if nothing is outstanding and the session wants nothing now."""
        session, self.ask_at = self.session, float("inf")  # an unchoke makes the time of a choke meaningless
        if session is None or not self.pieces_known:
            return False
        download = self._wire.download
        if download.peer_choking and not self._may_request_allowed(session, now):
            return False
        outstanding = download.requests.outstanding // BLOCK
        room = download.requests.room()
        batch = download.requests.window.blocks // BATCHES
        if room < batch * BLOCK and outstanding >= batch:
            return False
        while room >= BLOCK:
            wanted = session.next_range(room)
            if wanted is None:
                return not download.requests.awaited
            download.request(wanted.start, wanted.end, now)
            room = download.requests.room()
        return False

    def _may_request_allowed(self, session: DownloadSession, now: float) -> bool:
        """True if the peer has choked us for FAST_AFTER, and allows pieces that it holds."""
        if self._choked_since is None:
            self._choked_since = now
        self.ask_at = self._choked_since + FAST_AFTER if self._wire.download.allowed_fast else float("inf")
        if self._allowed is None and now >= self.ask_at:
            self._offer_allowed(session)
        self.ask_at = float("inf") if now >= self.ask_at else self.ask_at
        return self._allowed is not None

    def _offer_allowed(self, session: DownloadSession) -> None:
        """Give the session the pieces that may be requested while the peer chokes us."""
        torrent, download = self._wire.torrent, self._wire.download
        if torrent is None or torrent.geometry is None:
            return
        offered = Bitfield(torrent.geometry.piece_count)
        for piece in download.allowed_fast:
            if piece in download.held:
                offered.set(piece)
        if self._allowed is None and offered.count:
            session.on_unblocked()
        if self._allowed is not None or offered.count:
            session.on_bitfield(offered, is_all=False)
            self._allowed = offered

    @property
    def is_interest_stale(self) -> bool:
        """True if the peer said something about its pieces since the interest was decided."""
        return self._compared is None and self.pieces_known

    def update_interest(self) -> None:
        """Send the peer our interest: whether it holds a piece that is missing here."""
        wire = self._wire
        torrent = wire.torrent
        if self.session is None or not self.pieces_known or torrent is None:
            return
        have = torrent.verified()
        if have is self._compared:
            return
        self._compared = have
        wire.download.set_interested(self._is_interesting(have))
        self._tell_status()

    def _is_interesting(self, have: Bitfield) -> bool:
        held = self._wire.download.held.snapshot()
        if held is None:
            return not have.all()
        theirs, ours = held.to_bytes(), have.to_bytes()
        return bool(int.from_bytes(theirs, "big") & ~int.from_bytes(ours, "big"))

    def _tell_status(self) -> None:
        """Give the session the reason why nothing comes at present, if that changed."""
        status = self._why_silent()
        if status != self._status and self.session is not None:
            self._status = status
            self.session.on_status(status)

    def _why_silent(self) -> str:
        if not self.pieces_known:
            return "it is being connected to" if self._wire.peer is None else "it does not say what it has"
        download = self._wire.download
        if not download.interested:
            return "it has nothing that we need"
        if download.peer_choking:
            return "it choked us, but for a few pieces" if self._allowed is not None else "it choked us"
        return "it snubs us: it sends nothing although we asked" if download.snubbed else ""

    # ---- events

    def on_blocks(self, blocks: Sequence[tuple[int, memoryview | bytes]]) -> None:
        """Requested bytes arrived."""
        self._rejects = 0
        if self.session is not None:
            self.session.on_blocks(blocks)
            if self._status:
                self._tell_status()

    def on_event(self, event: ev.WireEvent) -> None:
        """Take an event that concerns fetching; others are ignored. PeerFault if the peer is useless."""
        session = self.session
        if isinstance(event, ev.PiecesKnown):
            self.pieces_known, self._compared, self._allowed = True, None, None
            if session is not None:
                session.on_bitfield(event.pieces)
                session.on_blocked(None)
        elif isinstance(event, ev.PieceGained):
            if not self._wire.download.interested:
                self._compared = None
            if session is not None and self._allowed is None:  # else the pieces come with the unchoke
                session.on_have(event.piece)
        elif session is not None:
            self._on_rarer_event(event, session)

    def _on_rarer_event(self, event: ev.WireEvent, session: DownloadSession) -> None:
        if isinstance(event, ev.PeerChoked):
            session.on_returned(event.ranges)
            session.on_blocked(None)
            self._choked_since = self._allowed = None
        elif isinstance(event, ev.FastAllowed):
            if self._allowed is not None:
                self._offer_allowed(session)
        elif isinstance(event, ev.PeerUnchoked):
            if self.pieces_known:
                self._on_unchoked(session)
        elif isinstance(event, ev.RequestsRejected):
            self._on_rejected(event.ranges, session)
        elif isinstance(event, ev.RequestsReturned):
            session.on_returned(event.ranges)
        self._tell_status()

    def _on_unchoked(self, session: DownloadSession) -> None:
        if self._allowed is None:
            session.on_unblocked()
        self._choked_since = self._allowed = None
        session.on_bitfield(self._wire.download.held.snapshot())

    def _on_rejected(self, ranges: Sequence[Range], session: DownloadSession) -> None:
        """Normal after a choke. A peer that rejects on and on would keep its pieces from other peers."""
        session.on_returned(ranges)
        if self._allowed is not None:
            length = self._wire.download.piece_length
            self._wire.download.allowed_fast -= {start // length for start, _ in ranges}
            self._offer_allowed(session)
        self._rejects += len(ranges)
        if self._rejects > MAX_REJECTS and not self._wire.download.peer_choking:
            session.on_rejected((), Reject.NOT_HELD)
            raise PeerFault("rejects requests for pieces that it announced")
