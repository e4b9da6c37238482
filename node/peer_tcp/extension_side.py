"""The extension protocol (BEP 10) on one connection: both handshakes, and the messages agreed there."""

from __future__ import annotations

from node.peer_tcp import events as ev
from node.peer_tcp import messages as m
from node.peer_tcp.config import WireConfig, WireTorrent
from node.peer_tcp.context import WireContext
from node.peer_tcp.extension import (
    HANDSHAKE_NUMBER,
    OUR_NUMBERS,
    ExtendedHandshake,
    decode_extended_handshake,
    encode_extended_handshake,
)
from node.peer_tcp.limits import REQUESTS_ACCEPTED


class ExtensionSide:
    """``peer``: what the peer's extended handshake said; empty before it came."""

    def __init__(self, context: WireContext, torrent: WireTorrent) -> None:
        self.peer = ExtendedHandshake()
        self._context = context
        self._torrent = torrent

    def send_handshake(self, config: WireConfig, your_ip: bytes) -> None:
        """Tell the peer our numbers and limits."""
        handshake = ExtendedHandshake(
            numbers=OUR_NUMBERS,
            reqq=REQUESTS_ACCEPTED,
            client=config.client,
            port=config.listen_port,
            your_ip=your_ip,
            metadata_size=len(self._torrent.raw_info) or None,
        )
        payload = encode_extended_handshake(handshake)
        self._context.send(m.encode(m.Extended(HANDSHAKE_NUMBER, payload)))

    def learn_torrent(self, torrent: WireTorrent) -> None:
        """The metadata of a magnet link is known."""
        self._torrent = torrent

    def on_extended(self, message: m.Extended, now: float) -> None:
        """Messages with numbers that we did not announce are ignored."""
        self._context.count_idle(now)
        if message.number == HANDSHAKE_NUMBER:
            self.peer = decode_extended_handshake(message.payload)
            self._context.events.append(ev.ClientIdentified(self.peer))
