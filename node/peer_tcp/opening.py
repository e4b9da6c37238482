"""The beginning of a connection: the encrypted handshake, if there is one, then the BitTorrent handshakes.

The dialling side speaks first. The accepting side answers once it knows the info hash. Then both know which
torrent the connection is for, and the rest is messages.
"""

from __future__ import annotations

from common.errors import PeerFault
from node.peer_tcp.config import WireConfig
from node.peer_tcp.handshake import Handshake, HandshakeDecoder, encode_handshake


class Opening:
    """``info_hash``: of a dialled connection; None: accepted."""

    def __init__(self, config: WireConfig, info_hash: bytes | None, encrypted: bool) -> None:
        self.peer: Handshake | None = None  # the peer's handshake, once it is whole
        self.negotiates = False  # the encrypted handshake goes on
        self.unsent: list[bytes] = []
        self._config = config
        self._info_hash = info_hash
        self._dialled = info_hash is not None
        self._decoder = HandshakeDecoder()
        if info_hash is not None:
            self._answer(info_hash)

    @property
    def encrypted(self) -> bool:
        """True if the payload is encrypted."""
        return False

    def take_unsent(self) -> list[bytes]:
        """The bytes to send before any message, encrypted if need be; each is returned once."""
        unsent, self.unsent = self.unsent, []
        return unsent

    def receive(self, data: memoryview) -> memoryview:
        """Take bytes; returns those after the handshake, which are messages.

        PeerWireError or PeerFault at the first wrong byte.
        """
        taken = self._decoder.feed(data)
        if self._decoder.info_hash is not None:
            self._check_info_hash(self._decoder.info_hash)
        self.peer = self._decoder.handshake()
        return data[taken:]

    def encrypt(self, data: bytes | memoryview) -> bytes:
        """The bytes to send for ``data``."""
        return bytes(data)

    def decrypt(self, data: memoryview) -> memoryview:
        """The bytes that the peer sent as ``data``."""
        return data

    def _check_info_hash(self, info_hash: bytes) -> None:
        if self._info_hash is None:
            if self._config.host.find(info_hash) is None:
                raise PeerFault(f"asks for a torrent that is not shared here ({info_hash.hex()})")
            self._info_hash = info_hash
            self._answer(info_hash)
        elif info_hash != self._info_hash:
            raise PeerFault(f"has another torrent ({info_hash.hex()})")

    def _answer(self, info_hash: bytes) -> None:
        self.unsent.append(encode_handshake(Handshake(info_hash, self._config.peer_id)))
