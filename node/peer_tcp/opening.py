"""The beginning of a connection: the encrypted handshake, if there is one, then the BitTorrent handshakes.

The dialling side speaks first. The accepting side learns from the first bytes whether the connection is
encrypted: a plain one begins with "\\x13BitTorrent protocol", anything else is the key of an encrypted
handshake, or junk. It answers once it knows the info hash. Then both know which torrent the connection is
for, and the rest is messages.
"""

from __future__ import annotations

from common.errors import PeerFault, PeerWireError
from node.peer_tcp.config import Encryption, WireConfig
from node.peer_tcp.handshake import PROTOCOL, Handshake, HandshakeDecoder, encode_handshake
from node.peer_tcp.mse import PLAIN, RC4, MseInitiator, MseResponder, Negotiation
from node.peer_tcp.rc4 import Rc4

_CERTAIN = 4  # bytes of PROTOCOL with which no key begins by chance
_ALLOWED = {Encryption.PREFER: PLAIN | RC4, Encryption.REQUIRE: RC4, Encryption.OFF: 0}


class Opening:
    """``info_hash``: of a dialled connection; None: accepted. ``encrypted``: dial encrypted."""

    def __init__(self, config: WireConfig, info_hash: bytes | None, encrypted: bool) -> None:
        self.peer: Handshake | None = None  # the peer's handshake, once it is whole
        self.encrypted = False  # the payload is encrypted
        self.unsent: list[bytes] = []  # as it goes to the socket
        self._config = config
        self._info_hash = info_hash
        self._decoder = HandshakeDecoder()
        self._negotiation: Negotiation | None = None
        self._incoming: Rc4 | None = None
        self._incoming_left: int | None = None  # bytes that ``_incoming`` decrypts; None: all
        self._outgoing: Rc4 | None = None
        self._named = b""  # the info hash that the peer's encrypted handshake named
        self._head = b""  # the first bytes of an accepted connection, while they do not tell its kind
        self._is_kind_known = info_hash is not None or config.encryption is Encryption.OFF
        if info_hash is not None:
            self._dial(info_hash, encrypted)

    @property
    def negotiates(self) -> bool:
        """True while an encrypted handshake goes on, or may begin."""
        return self._negotiation is not None or not self._is_kind_known

    def take_unsent(self) -> list[bytes]:
        """The bytes to send before any message; each is returned once."""
        unsent, self.unsent = self.unsent, []
        return unsent

    def receive(self, data: memoryview) -> memoryview:
        """Take bytes; returns those after the handshakes, decrypted: they are messages.

        PeerWireError or PeerFault at the first wrong byte.
        """
        if not self._is_kind_known:
            data = self._tell_kind(data)
        if self._negotiation is not None:
            data = self._negotiate(self._negotiation, data)
        elif self._is_kind_known:
            data = self.decrypt(data)
        if self.negotiates or not data:
            return data[:0]
        taken = self._decoder.feed(data)
        if self._config.tap.single:
            self._config.tap.read(data[:taken])
        if self._decoder.info_hash is not None:
            self._check_info_hash(self._decoder.info_hash)
        self.peer = self._decoder.handshake()
        return data[taken:]

    def encrypt(self, data: bytes | memoryview) -> bytes:
        """The bytes to send for ``data``."""
        return bytes(data) if self._outgoing is None else self._outgoing.update(data)

    def decrypt(self, data: memoryview) -> memoryview:
        """The bytes that the peer sent as ``data``. Plain bytes are not copied."""
        if self._incoming is None:
            return data
        if self._incoming_left is None:
            return memoryview(self._incoming.update(data))
        size = min(len(data), self._incoming_left)
        self._incoming_left -= size
        decrypted = self._incoming.update(data[:size])
        if not self._incoming_left:
            self._incoming = None
        return memoryview(decrypted + data[size:])

    def _dial(self, info_hash: bytes, encrypted: bool) -> None:
        own = self._own_handshake(info_hash)
        if not encrypted:
            self.unsent.append(own)
            return
        provide = _ALLOWED[self._config.encryption]
        self._negotiation = MseInitiator(info_hash, own, provide, self._config.random_bytes)
        self.unsent += self._negotiation.unsent
        self._negotiation.unsent.clear()

    def _own_handshake(self, info_hash: bytes) -> bytes:
        own = encode_handshake(Handshake(info_hash, self._config.peer_id))
        self._config.tap.wrote(own)
        return own

    def _tell_kind(self, data: memoryview) -> memoryview:
        """Decide by the first bytes. Returns all bytes so far once they are decided upon."""
        self._head += bytes(data)
        head = self._head[: len(PROTOCOL)]
        plain = PROTOCOL.startswith(head)
        if plain and len(head) < len(PROTOCOL):
            return data[:0]
        if not plain and PROTOCOL[:_CERTAIN] == head[:_CERTAIN]:
            raise PeerWireError("bytes that are not the BitTorrent handshake")
        if plain and self._config.encryption is Encryption.REQUIRE:
            raise PeerFault("does not encrypt, which is required here")
        self._is_kind_known = True
        if not plain:
            config = self._config
            allowed = _ALLOWED[config.encryption]
            self._negotiation = MseResponder(config.host.info_hashes(), allowed, config.random_bytes)
        all_so_far, self._head = self._head, b""
        return memoryview(all_so_far)

    def _negotiate(self, negotiation: Negotiation, data: memoryview) -> memoryview:
        rest = negotiation.receive(data)
        self.unsent += negotiation.unsent
        negotiation.unsent.clear()
        if not negotiation.done:
            return data[:0]
        self.encrypted = negotiation.encrypted
        self._incoming, self._incoming_left = negotiation.incoming, negotiation.initial_left
        self._outgoing = negotiation.outgoing
        if isinstance(negotiation, MseResponder):
            self._named = negotiation.info_hash
        self._negotiation = None
        return self.decrypt(memoryview(rest))

    def _check_info_hash(self, info_hash: bytes) -> None:
        if self._info_hash is None:
            if self._named and info_hash != self._named:
                raise PeerFault("names two torrents in its two handshakes")
            if self._config.host.find(info_hash) is None:
                raise PeerFault(f"asks for a torrent that is not shared here ({info_hash.hex()})")
            self._info_hash = info_hash
            self.unsent.append(self.encrypt(self._own_handshake(info_hash)))
        elif info_hash != self._info_hash:
            raise PeerFault(f"has another torrent ({info_hash.hex()})")
