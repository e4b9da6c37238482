"""The transport interface: everything that a download, a served torrent and a transport know of each other.

A node has one ``Transport`` of each kind. All of them serve the same torrents, and all of them fetch for the
same downloads:

    Transport        listens, serves the node's torrents, and connects to peers
    ServedTorrent    one torrent as a transport sees it: which pieces are verified, and their bytes
    PeerConnection   one connection that fetches; runs on a thread of its own
    DownloadSession  the download's side of that connection: it decides what to request
    TransportObserver  the node's side of a transport: addresses that come and go, threads that fail

All ranges are half-open bytes of the torrent's content, ``[start, end)``.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from common.bitfield import Bitfield
from common.errors import LocalFault
from common.metainfo import Metainfo
from node.notes import ConnectionSample, SlotsStatus
from node.notes import UploadStatus as UploadStatus
from node.peer import FoundPeer, Peer

Range = tuple[int, int]
ProgressSink: TypeAlias = Callable[[int, int], None]  # bytes so far, bytes in all

MAX_METADATA_BYTES = 1 << 24  # bytes of an info dictionary that is fetched from peers


class Reject(enum.Enum):
    """Why a peer will not send a range that it was asked for."""

    NOT_HELD = "not held"  # the peer does not have that piece
    NOT_RARE = "not rare"  # the peer sent that piece to another peer a moment ago (RequestedRange.rare_only)


class RequestedRange(NamedTuple):
    """A range to request from a peer."""

    start: int
    end: int
    rare_only: bool = False  # the peer may reject it with NOT_RARE


class DownloadSession(Protocol):
    """The questions of a connection to its download, and its reports.

    Called by one thread of the connection at a time. Each range that ``next_range`` returned comes back once:
    by ``on_data``, ``on_rejected`` or ``on_returned``.
    """

    @property
    def closing(self) -> bool:
        """True once the connection should end in mid-transfer."""

    @property
    def banned(self) -> bool:
        """True once the peer is known to have sent wrong bytes."""

    @property
    def trusted(self) -> bool:
        """True once a piece from this peer was verified and nothing speaks against the peer.

        Until then payloads have checksums where that is possible: a wrong piece proves the peer's fault.
        """

    def on_bitfield(self, pieces: Bitfield | None, is_all: bool = True) -> None:
        """The peer holds these pieces; None: every one. ``is_all`` false: it holds more, and gives these."""

    def on_have(self, piece: int) -> None:
        """The peer holds one piece more."""

    def on_blocked(self, queue_position: int | None) -> None:
        """The peer will not send for now: it choked us, or queued us at this position (from 1)."""

    def on_unblocked(self) -> None:
        """The peer sends again."""

    def on_status(self, text: str) -> None:
        """Why the peer sends nothing at present, in words; "": it sends."""

    def next_range(self, max_length: int) -> RequestedRange | None:
        """A range to request now, of about ``max_length`` bytes at most; None: nothing for this peer now."""

    def on_data(self, offset: int, data: bytes | memoryview) -> None:
        """Requested bytes arrived. A memoryview is valid during the call only."""

    def on_blocks(self, blocks: Sequence[tuple[int, bytes | memoryview]]) -> None:
        """Requested bytes arrived: as ``on_data``, for each (offset, data) in turn."""

    def on_checksums(self, present: bool) -> None:
        """From now on payloads are, or are not, protected by a checksum. Until the first call they are.

        Without a checksum a wrong byte may be the network's fault: it proves nothing against the peer.
        """

    def on_rejected(self, ranges: Sequence[Range], reason: Reject) -> None:
        """The peer refused these requests.

        ``on_bitfield`` has come before, without the pieces that it does not hold; else the connection fails.
        """

    def on_returned(self, ranges: Sequence[Range]) -> None:
        """These requests will not be answered by this connection."""

    def wait_for_work(self, timeout: float | None) -> bool:
        """Block until there may be a range to request, or ``timeout`` seconds. False: never again."""

    # ---- instead of ``wait_for_work``, for a connection whose thread has other things to do

    def watch(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` whenever there may be a range to request, or the connection should end.

        From any thread, also under locks of the download: it returns at once, and calls no session.
        """

    def pause(self) -> float:
        """Nothing is outstanding, and ``next_range`` returned None: the bytes so far are written.

        Returns the seconds after which time alone may bring work; infinite: wait for ``wake``.
        """

    def keep_work(self, kept: bool) -> None:
        """``take_work`` hands out the writing and hashing from now on; or hashing threads do them again."""

    def take_work(self) -> Callable[[], None] | None:
        """The writing and hashing of the bytes so far, if it is kept: any thread may call it, once."""


class PeerConnection(Protocol):
    """One connection to a peer that fetches for one download session."""

    def run(self) -> None:
        """Fetch until the session wants nothing more. Blocks the calling thread.

        PeerFault if the peer failed; LocalFault if this machine did.
        """

    def cancel(self, ranges: Sequence[Range]) -> None:
        """Another peer delivered these ranges first. May be called from any thread."""

    def sample(self) -> ConnectionSample | None:
        """What limits the requests now; None before the first. May be called from any thread."""


SentBlock: TypeAlias = tuple[bytes, int, int]  # its header, then the content: offset and bytes


class StreamSocket(Protocol):
    """The part of a connected stream socket that sending needs."""

    def fileno(self) -> int:
        """The system's number of the socket; -1 once closed."""

    def send(self, data: bytes | memoryview, flags: int = 0, /) -> int:
        """Send as many bytes as the system takes at once; returns how many."""


class ServedTorrent(Protocol):
    """One torrent as a transport serves it."""

    @property
    def info(self) -> Metainfo:
        """The torrent's metainfo."""

    @property
    def have(self) -> Bitfield:
        """The verified pieces. A snapshot: replaced when a piece is verified, never changed."""

    @property
    def is_served(self) -> bool:
        """False once the content is not what was hashed, or has been withdrawn."""

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` with verified bytes from ``offset`` on.

        FileFault if the content changed; TransientFileFault if it cannot be read at the moment.
        """

    def send_to(self, sock: StreamSocket, offset: int, length: int) -> int:
        """Send verified bytes from ``offset`` on to a connected socket; returns how many, 1 to ``length``.

        As many as the socket takes at once, straight from the page cache where the system can (sendfile).
        The caller keeps ``sock`` open until the call returns, and closes it after a FileFault: a change of
        the content is noticed after bytes of it were sent. OSError of the socket as ``sock.send`` raises it,
        BlockingIOError if it takes nothing now; FileFault, TransientFileFault as ``read_into``.
        """

    def send_blocks(self, sock: StreamSocket, blocks: Sequence[SentBlock]) -> int | None:
        """Send each block, header and content, as ``send_to``; returns how many bytes the socket took.

        None, with nothing sent, if this content cannot be sent in this way: the caller reads it.
        """


class TransportObserver(Protocol):
    """Learns what happens to a transport as a whole. Called from the transport's threads; returns quickly."""

    def on_address_lost(self, host: str) -> None:
        """The address that the transport listens on is none of this machine's any more (VPN, DHCP, Wi-Fi)."""

    def on_address_restored(self, host: str) -> None:
        """It is back, and peers are served again."""

    def on_peer(self, info_hash: bytes, found: FoundPeer) -> None:
        """A peer connected to us: a download may use it. ``Transport.connect`` takes its connection."""

    def on_failed(self, fault: LocalFault) -> None:
        """A thread of the transport ended unexpectedly: nothing is served from now on."""


class Transport(Protocol):
    """One way to reach peers. Every method may be called from any thread.

    Obligations: payload that a peer sends is handed to the session before ``run`` returns; only verified
    bytes are served; the upload and download limits of the node hold for all transports together.
    """

    name: str  # as in Peer.transport

    def start(self, torrents: Mapping[bytes, ServedTorrent], observer: TransportObserver) -> None:
        """Serve ``torrents``, by info hash, from now on. The caller adds to and removes from the mapping."""

    def connect(self, peer: Peer, info: Metainfo, session: DownloadSession) -> PeerConnection:
        """A connection that fetches from ``peer``. PeerFault if this machine has no socket for it."""

    def fetch_metadata(
        self, peer: Peer, info_hash: bytes, on_progress: ProgressSink, closing: Callable[[], bool]
    ) -> bytes:
        """The raw info dictionary of a torrent (BEP 9), whole, from ``peer``; its SHA-1 is ``info_hash``.

        Blocks. ``on_progress(bytes so far, bytes in all)``; 0 in all: not known yet. PeerFault if the peer
        sends none, too much or wrong bytes, is silent, or soon after ``closing()`` is true.
        """

    def uploads(self) -> Sequence[UploadStatus]:
        """Every peer served so far, the latest last; then the queue, in order."""

    def slots_of(self, info_hash: bytes) -> SlotsStatus:
        """The peers that are served this torrent now, and those that wait for it."""

    def uploaded(self, info_hash: bytes) -> int:
        """Bytes of this torrent sent so far."""

    def stop(self) -> None:
        """Serve nothing more and close the listening socket. Connections end when their sessions do."""
