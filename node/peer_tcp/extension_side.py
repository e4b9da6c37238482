"""The extension protocol (BEP 10) on one connection: both handshakes, and the metadata exchange (BEP 9).

Serving metadata: answers wait in a queue of METADATA_QUEUE until the transport asks for bytes to send. So a
peer that asks without reading costs no memory. Requests beyond it are rejected.
"""

from __future__ import annotations

from collections import deque

from common.errors import PeerFault
from node.peer_tcp import events as ev
from node.peer_tcp import messages as m
from node.peer_tcp.config import WireConfig, WireTorrent
from node.peer_tcp.context import WireContext
from node.peer_tcp.extension import (
    HANDSHAKE_NUMBER,
    OUR_NUMBERS,
    UT_METADATA,
    ExtendedHandshake,
    decode_extended_handshake,
    encode_extended_handshake,
)
from node.peer_tcp.limits import MAX_REQUEST, METADATA_QUEUE, REQUESTS_ACCEPTED
from node.peer_tcp.metadata import (
    METADATA_TIMEOUT,
    MetadataFetch,
    MetadataKind,
    MetadataMessage,
    decode_metadata,
    encode_metadata,
    metadata_piece,
)
from node.transport import MAX_METADATA_BYTES


class ExtensionSide:
    """``peer``: the fields of the peer's extended handshake; empty before it came."""

    def __init__(self, context: WireContext, torrent: WireTorrent) -> None:
        self.peer = ExtendedHandshake()
        self._context = context
        self._torrent = torrent
        self._is_identified = False  # the peer's extended handshake came
        self._wanted: deque[int] = deque()  # pieces of the metadata that the peer waits for
        self._fetch: MetadataFetch | None = None
        self._max_metadata = 0  # bytes; 0: metadata is not wanted
        self._progress_at = 0.0  # when metadata was asked for, or came

    # ---- from the connection

    def send_handshake(self, config: WireConfig, your_ip: bytes) -> None:
        """Send the peer our numbers and limits."""
        handshake = ExtendedHandshake(
            numbers=OUR_NUMBERS,
            reqq=REQUESTS_ACCEPTED,
            max_request=MAX_REQUEST,
            client=config.client,
            port=config.listen_port,
            your_ip=your_ip,
            metadata_size=len(self._torrent.raw_info) or None,
            node_id=config.node_id,
        )
        payload = encode_extended_handshake(handshake)
        self._context.send(m.encode(m.Extended(HANDSHAKE_NUMBER, payload)))

    def learn_torrent(self, torrent: WireTorrent) -> None:
        """The metadata of a magnet link is known."""
        self._torrent = torrent

    def fetch_metadata(self, now: float, max_size: int = MAX_METADATA_BYTES) -> None:
        """Ask the peer for all of its metadata, as soon as it announces it."""
        self._max_metadata, self._progress_at = max_size, now
        if not self._context.extended:
            self._give_up("speaks no extensions (BEP 10), so it cannot give metadata")
        elif self._is_identified:
            self._begin(now)

    def prepare(self) -> None:
        """Turn waiting requests for metadata into messages to send."""
        while self._wanted:
            self._send(metadata_piece(self._torrent.raw_info, self._wanted.popleft()))

    # ---- from the peer

    def on_extended(self, message: m.Extended, now: float) -> None:
        """Messages with numbers that we did not announce are ignored."""
        if message.number == HANDSHAKE_NUMBER:
            self._context.count_idle(now)
            self.peer = decode_extended_handshake(message.payload)
            self._is_identified = True
            self._context.events.append(ev.ClientIdentified(self.peer))
            if self._max_metadata and self._fetch is None:
                self._begin(now)
            return
        metadata = decode_metadata(message.payload) if message.number == OUR_NUMBERS[UT_METADATA] else None
        if metadata is not None and metadata.kind is MetadataKind.DATA and self._fetch is not None:
            self._on_data(self._fetch, metadata, now)
            return
        self._context.count_idle(now)
        if metadata is not None and metadata.kind is MetadataKind.REQUEST:
            self._on_request(metadata)
        elif metadata is not None and metadata.kind is MetadataKind.REJECT and self._fetch is not None:
            self._give_up("refuses to give its metadata")

    def _on_request(self, message: MetadataMessage) -> None:
        if len(self._wanted) < METADATA_QUEUE:
            self._wanted.append(message.piece)
        else:
            self._send(MetadataMessage(MetadataKind.REJECT, message.piece))

    def _on_data(self, fetch: MetadataFetch, message: MetadataMessage, now: float) -> None:
        raw_info = fetch.on_data(message)
        self._progress_at = now
        self._context.events.append(ev.MetadataProgress(fetch.received, fetch.size))
        if raw_info is None:
            self._ask(fetch)
        else:
            self._fetch, self._max_metadata = None, 0
            self._context.events.append(ev.MetadataComplete(raw_info))

    # ---- fetching

    def _begin(self, now: float) -> None:
        if not self.peer.numbers.get(UT_METADATA) or self.peer.metadata_size is None:
            self._give_up("has no metadata to give")
            return
        self._progress_at = now
        try:
            self._fetch = MetadataFetch(self._torrent.info_hash, self.peer.metadata_size, self._max_metadata)
        except PeerFault as fault:
            self._give_up(str(fault))
        else:
            self._ask(self._fetch)

    def _ask(self, fetch: MetadataFetch) -> None:
        for piece in fetch.to_request():
            self._send(MetadataMessage(MetadataKind.REQUEST, piece))

    def _give_up(self, reason: str) -> None:
        self._fetch, self._max_metadata = None, 0
        self._context.events.append(ev.MetadataFailed(PeerFault(reason)))

    def _send(self, message: MetadataMessage) -> None:
        number = self.peer.numbers.get(UT_METADATA)
        if number:  # else the peer has no number for it, and could not read the answer
            self._context.send(m.encode(m.Extended(number, encode_metadata(message))))

    # ---- time

    def next_timer(self) -> float | None:
        """When the metadata is given up."""
        return self._progress_at + METADATA_TIMEOUT if self._max_metadata else None

    def on_timer(self, now: float) -> None:
        """Give the metadata up if nothing of it has come for METADATA_TIMEOUT."""
        due = self.next_timer()
        if due is not None and due <= now:
            self._give_up(f"has sent no metadata for {METADATA_TIMEOUT:.0f} s")
