"""One connection of the peer wire, as a state machine without a socket or a clock.

    dialled ─┬─────────────▶ HANDSHAKE ──68 bytes──▶ BITFIELD ──any message──▶ OPEN
             └──▶ MSE ─────────▲                        │                        │
    accepted ───▶ MSE ─────────┘                        └────────▶ CLOSED ◀──────┘

``states.py`` has the table of states and timeouts, ``limits.py`` every limit.

Theory of operation. ``receive`` takes the bytes of one read, ``on_timer`` does what is due. Both return
events, in the order in which things happened. The transport carries out the events, and then sends
``data_to_send`` and, as far as its upload limit goes, ``next_block`` and the content that it names. All of it
must reach the socket in the order in which it was returned, because it may be encrypted. ``next_timer`` is
the time to call ``on_timer``. A transport reads no more from a peer while ``limits.MAX_UNSENT`` bytes wait to
be sent to it. So a peer that sends without receiving costs no memory.

A fault of the peer is not raised: the events before it count, so it is the last event, WireFailed. The
machine is CLOSED then, and ``unreceived`` returns the requests that were never answered.

A requested byte is in one BlockData, or in the ranges of one later event or of ``unreceived``. A byte that
was not requested is in none. The hashes of the pieces decide whether the bytes are right.

One connection belongs to one thread at a time.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any, NamedTuple

from common.errors import PeerFault, PeerWireError
from node.peer_tcp import messages as m
from node.peer_tcp.config import WireConfig, WireTorrent
from node.peer_tcp.context import WireContext
from node.peer_tcp.decoder import MessageDecoder
from node.peer_tcp.download_side import DownloadSide
from node.peer_tcp.events import DhtPort, PeerIdentified, WireEvent, WireFailed
from node.peer_tcp.extension_side import ExtensionSide
from node.peer_tcp.handshake import Handshake
from node.peer_tcp.limits import KEEP_ALIVE_AFTER, MESSAGE_TIMEOUT
from node.peer_tcp.opening import Opening
from node.peer_tcp.states import STATES, WireState
from node.peer_tcp.upload_side import UploadSide
from node.transport import MAX_METADATA_BYTES, Range

_FIRST_MESSAGES = (m.PieceSet, m.HaveAll, m.HaveNone)
_BEFORE_FIRST = (m.KeepAlive, m.Extended, m.Port, m.Unknown, m.AllowedFast, m.SuggestPiece)
_FAST_MESSAGES = (m.HaveAll, m.HaveNone, m.RejectRequest, m.AllowedFast, m.SuggestPiece)
_Handler = Callable[[Any, float], None]


class OutgoingBlock(NamedTuple):
    """A block to send: first ``header``, then the content's bytes ``[offset, offset + length)``."""

    header: bytes
    offset: int
    length: int


class PeerWire:
    """One connection to one peer, for one torrent. Times are monotonic seconds.

    ``download`` and ``upload`` are its two halves, ``extension`` the rest; they exist once ``peer`` is known
    (PeerIdentified).
    """

    download: DownloadSide
    upload: UploadSide
    extension: ExtensionSide

    def __init__(
        self, config: WireConfig, now: float, info_hash: bytes | None = None, encrypted: bool = True
    ) -> None:
        """``info_hash``: dial for this torrent; None: the connection was accepted.

        ``encrypted``: dial with the encrypted handshake. If the peer closes the connection before
        PeerIdentified, a caller whose policy allows it dials again at once, the other way.
        """
        self.config = config
        self.dialled = info_hash is not None
        self._tap = config.tap
        self.torrent: WireTorrent | None = None
        self.peer: Handshake | None = None  # the peer's handshake
        self.received = 0  # bytes in all
        self._context = WireContext()
        self._opening = Opening(config, info_hash, encrypted)
        self._received_at = self._sent_at = now
        self._enter(WireState.MSE if self._opening.negotiates else WireState.HANDSHAKE, now)
        self._message_since: float | None = None  # when the message began that is not whole yet
        self._decoder = MessageDecoder()
        self._handlers: dict[type, _Handler] = {}

    # ---- from the socket

    def receive(self, data: bytes | memoryview, now: float) -> list[WireEvent]:
        """Take the bytes of one read; returns what happened. Nothing more is taken once CLOSED."""
        if self.state is not WireState.CLOSED:
            self.received += len(data)
            self._received_at = now
            try:
                self._receive(memoryview(data), now)
            except PeerWireError as error:
                self._fail(PeerFault(f"sent {error}"))
            except PeerFault as fault:
                self._fail(fault)
        return self._take_events()

    def on_closed(self) -> list[WireEvent]:
        """The peer closed the connection."""
        if self.state in (WireState.MSE, WireState.HANDSHAKE):
            self._fail(PeerFault("closed the connection before its handshake"))
        else:
            self._fail(PeerFault("closed the connection"))
        return self._take_events()

    def close(self, fault: PeerFault) -> list[WireEvent]:
        """End the connection for a reason of ours."""
        self._fail(fault)
        return self._take_events()

    def unreceived(self) -> list[Range]:
        """Close. Returns every requested range that never arrived."""
        self._enter(WireState.CLOSED, self._received_at)
        return self.download.requests.close() if self.peer is not None else []

    @property
    def takes_more(self) -> bool:
        """True if a transport may read from the peer."""
        return True

    # ---- to the socket

    def data_to_send(self, now: float) -> bytes:
        """The messages that wait, encrypted if need be; each byte is returned once."""
        parts = self._opening.take_unsent()
        if self.peer is not None:
            self.extension.prepare()
        if self._context.unsent:
            messages = b"".join(self._context.unsent)
            self._tap.wrote(messages)
            parts.append(self._opening.encrypt(messages))
            self._context.unsent.clear()
        if parts:
            self._sent_at = now
        return b"".join(parts)

    @property
    def has_blocks(self) -> bool:
        """True while the peer waits for blocks."""
        return self.peer is not None and len(self.upload.requests) > 0

    def next_block(self, now: float) -> OutgoingBlock | None:
        """The next block to send; None if the peer waits for none."""
        blocks = self.next_blocks(1, now)
        return blocks[0] if blocks else None

    def next_blocks(self, size: int, now: float) -> list[OutgoingBlock]:
        """The next blocks to send: at least one, until they have ``size`` bytes together. [] if none waits.

        If ``encrypts_payload`` it is one block: its content is encrypted before the next header.
        """
        if self.peer is None or self.torrent is None or self.torrent.geometry is None:
            return []
        singly, piece_length = self.encrypts_payload, self.torrent.geometry.piece_length
        requests = self.upload.requests.take(1 if singly else size)
        headers = m.block_headers(requests)
        if requests:
            self._sent_at = now
            self._tap.wrote(b"".join(headers))
        if self._opening.encrypted:
            headers = [self._opening.encrypt(header) for header in headers]
        new, make = tuple.__new__, OutgoingBlock  # made as its own constructor does, in half the time
        return [
            new(make, (header, piece * piece_length + begin, length))
            for header, (piece, begin, length) in zip(headers, requests, strict=True)
        ]

    @property
    def encrypts_payload(self) -> bool:
        """True if the bytes of a block must pass through ``encrypt``; else ``sendfile`` may send them."""
        return self._opening.encrypted or self._tap.single

    def encrypt(self, payload: bytes | memoryview) -> bytes:
        """The bytes of a block as they are sent. Called once for each byte, in order."""
        if self._tap.single:
            self._tap.payload_wrote(payload)
        return self._opening.encrypt(payload)

    # ---- time

    def next_timer(self) -> float | None:
        """When ``on_timer`` must be called at the latest; None once CLOSED."""
        rule = self._rule
        if rule.timeout is None:
            return None
        due = (self._state_since if rule.from_start else self._received_at) + rule.timeout
        if self.peer is not None:
            due = min(due, self._sent_at + KEEP_ALIVE_AFTER)
            if self._message_since is not None:
                due = min(due, self._message_since + MESSAGE_TIMEOUT)
            for part_due in (self.download.next_timer(), self.extension.next_timer()):
                if part_due is not None:
                    due = min(due, part_due)
        return due

    def on_timer(self, now: float) -> list[WireEvent]:
        """Do what is due."""
        rule = self._rule
        since = self._state_since if rule.from_start else self._received_at
        if rule.timeout is not None and now - since >= rule.timeout:
            text = f"did not send {rule.waits_for} within {rule.timeout:.0f} s"
            self._fail(PeerFault(text if rule.from_start else f"was silent for {rule.timeout:.0f} s"))
        elif self._message_since is not None and now - self._message_since >= MESSAGE_TIMEOUT:
            self._fail(PeerFault(f"took more than {MESSAGE_TIMEOUT:.0f} s for one message"))
        elif self.peer is not None and self.state is not WireState.CLOSED:
            self.download.on_timer(now)
            self.extension.on_timer(now)
            if now - self._sent_at >= KEEP_ALIVE_AFTER:
                self._context.send(m.encode(m.KeepAlive()))
        return self._take_events()

    # ---- a magnet link

    def fetch_metadata(self, now: float, max_size: int = MAX_METADATA_BYTES) -> list[WireEvent]:
        """Ask the peer for all of its metadata (BEP 9). Call it after PeerIdentified.

        Ends with the event MetadataComplete or MetadataFailed, or with WireFailed if the metadata is wrong.
        """
        self.extension.fetch_metadata(now, max_size)
        return self._take_events()

    def learn_torrent(self, torrent: WireTorrent, now: float) -> list[WireEvent]:
        """The metadata is known: from here on pieces can be fetched. ``torrent`` has a geometry."""
        self.torrent = torrent
        if self.peer is not None and torrent.geometry is not None and self.state is not WireState.CLOSED:
            self.upload.learn_torrent(torrent)
            self.extension.learn_torrent(torrent)
            try:
                self.download.learn_geometry(torrent.geometry, now)
            except PeerWireError as error:
                self._fail(PeerFault(f"sent {error}"))
        return self._take_events()

    # ---- inside

    def _receive(self, view: memoryview, now: float) -> None:
        if self.peer is None:
            view = self._opening.receive(view)
            if self.state is WireState.MSE and not self._opening.negotiates:
                self._enter(WireState.HANDSHAKE, now)  # or at once further
            if self._opening.peer is None:
                return
            self._on_handshake(self._opening.peer, now)
        else:
            view = self._opening.decrypt(view)
        self._take_messages(view, now)

    def _take_messages(self, view: memoryview, now: float) -> None:
        """Act upon the messages in decrypted bytes."""
        decoder, tap = self._decoder, self._tap
        if tap.single:
            tap.read(view)
        messages = decoder.messages(view)
        for message in m.singly(messages) if tap.single else messages:
            if tap.took(message):
                self._on_message(message, now)
        if not decoder.in_message:
            self._message_since = None
        elif not decoder.carried:
            self._message_since = now

    def _on_handshake(self, peer: Handshake, now: float) -> None:
        config = self.config
        self._tap.took(peer)
        if peer.peer_id == config.peer_id:
            raise PeerFault("is this node itself")
        torrent = config.host.find(peer.info_hash)
        if torrent is None:
            raise PeerFault(f"has a torrent that is not shared here any more ({peer.info_hash.hex()})")
        refusal = config.host.refusal(peer.info_hash, peer.peer_id)
        if refusal:
            raise PeerFault(refusal)
        context = self._context
        context.fast, context.extended = peer.fast, peer.extended
        self.torrent = torrent
        self.download = DownloadSide(context, torrent.geometry, now)
        self.upload = UploadSide(context, torrent)
        self.extension = ExtensionSide(context, torrent)
        self._handlers = self._make_handlers()
        self.peer = peer
        self._enter(WireState.BITFIELD, now)
        context.events.append(PeerIdentified(peer.info_hash, peer.peer_id, self._opening.encrypted))
        self._send_first_messages(torrent)

    def _send_first_messages(self, torrent: WireTorrent) -> None:
        """The pieces that we hold, and the extended handshake. The bitfield goes first, as in BEP 3."""
        context = self._context
        have = torrent.have() if torrent.geometry is not None else None
        if context.fast and (have is None or not have.count):
            context.send(m.encode(m.HaveNone()))
        elif context.fast and have is not None and have.all():
            context.send(m.encode(m.HaveAll()))
        elif have is not None and have.count:
            context.send(m.encode(m.PieceSet(have.to_bytes())))
        if context.extended:
            host = self.config.peer_host
            self.extension.send_handshake(self.config, ipaddress.ip_address(host).packed if host else b"")

    def _make_handlers(self) -> dict[type, _Handler]:
        download, upload = self.download, self.upload
        return {
            m.KeepAlive: self._on_idle,
            m.Unknown: self._on_idle,
            m.Port: self._on_port,
            m.Choke: download.on_choke,
            m.Unchoke: download.on_unchoke,
            m.Have: download.on_have,
            m.Block: download.on_block,
            m.BlockRun: download.on_block_run,
            m.RejectRequest: download.on_reject,
            m.AllowedFast: download.on_allowed_fast,
            m.SuggestPiece: download.on_suggest,
            m.Interested: upload.on_interested,
            m.NotInterested: upload.on_not_interested,
            m.RequestRun: upload.on_requests,
            m.Cancel: upload.on_cancel,
            m.Extended: self._on_extended,
        }

    def _on_message(self, message: m.WireMessage, now: float) -> None:
        kind = type(message)
        if kind in _FAST_MESSAGES and not self._context.fast:
            raise PeerFault(f"sent {kind.__name__} without the fast extension (BEP 6)")
        if kind in _FIRST_MESSAGES:
            if self.state is not WireState.BITFIELD:
                if isinstance(message, m.HaveNone):
                    raise PeerFault(f"sent {kind.__name__} after other messages")
                self.download.on_late_pieces(message, now)  # type: ignore[arg-type]  # aria2's haves
                return
            self._on_pieces(message, now)  # type: ignore[arg-type]
            return
        if self.state is WireState.BITFIELD and kind not in _BEFORE_FIRST:
            self._on_pieces(None, now)
        self._handlers[kind](message, now)

    def _on_pieces(self, message: m.PieceSet | m.HaveAll | m.HaveNone | None, now: float) -> None:
        """The peer listed its pieces, or skipped the list: then it holds none."""
        self.download.on_pieces(message)
        self.upload.offer_fast(self.config.peer_host, self.download.held)
        self._enter(WireState.OPEN, now)

    def _on_idle(self, message: m.KeepAlive | m.Unknown, now: float) -> None:
        self._context.count_idle(now)

    def _on_extended(self, message: m.Extended, now: float) -> None:
        self.extension.on_extended(message, now)
        peer = self.extension.peer
        if peer.reqq is not None:
            self.download.set_reqq(peer.reqq)
        if peer.max_request is not None:
            self.download.requests.set_max_request(peer.max_request)

    def _on_port(self, message: m.Port, now: float) -> None:
        self._context.count_idle(now)
        if message.port:
            self._context.events.append(DhtPort(message.port))

    def _enter(self, state: WireState, now: float) -> None:
        self.state, self._rule, self._state_since = state, STATES[state], now

    def _fail(self, fault: PeerFault) -> None:
        if self.state is not WireState.CLOSED:
            self._enter(WireState.CLOSED, self._received_at)
            self._context.events.append(WireFailed(fault))

    def _take_events(self) -> list[WireEvent]:
        events, self._context.events = self._context.events, []
        return events
