"""The first 68 bytes in each direction (BEP 3).

    19 "BitTorrent protocol" | reserved (8) | info hash (20) | peer id (20)

The reserved bits announce what else the sender speaks. We set three: the extension protocol (BEP 10), the
fast extension (BEP 6), and not the DHT's bit. ``HandshakeDecoder`` checks each part as soon as it is here, so
a connection of another protocol ends at its first wrong byte.
"""

from __future__ import annotations

from typing import NamedTuple

from common.errors import PeerWireError

PROTOCOL = b"\x13BitTorrent protocol"
HANDSHAKE_SIZE = 68  # bytes
_RESERVED_AT, _INFO_HASH_AT, _PEER_ID_AT = 20, 28, 48  # offsets
_EXTENDED_BIT = 5, 0x10  # byte and mask (BEP 10)
_FAST_BIT = 7, 0x04  # BEP 6


class Handshake(NamedTuple):
    """The first message of each side. ``fast``, ``extended``: it speaks BEP 6, BEP 10."""

    info_hash: bytes
    peer_id: bytes
    fast: bool = True
    extended: bool = True


def encode_handshake(handshake: Handshake) -> bytes:
    """The 68 bytes of ``handshake``."""
    reserved = bytearray(8)
    for (byte, mask), is_set in ((_EXTENDED_BIT, handshake.extended), (_FAST_BIT, handshake.fast)):
        if is_set:
            reserved[byte] |= mask
    return PROTOCOL + bytes(reserved) + handshake.info_hash + handshake.peer_id


class HandshakeDecoder:
    """Collects the peer's handshake, and checks what is here so far."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    @property
    def received(self) -> int:
        """Bytes so far, at most HANDSHAKE_SIZE."""
        return len(self._bytes)

    @property
    def info_hash(self) -> bytes | None:
        """The info hash, which comes before the peer id; None until it is here."""
        return bytes(self._bytes[_INFO_HASH_AT:_PEER_ID_AT]) if self.received >= _PEER_ID_AT else None

    def feed(self, data: memoryview) -> int:
        """Take bytes, and return how many belong to the handshake. PeerWireError at the first wrong byte."""
        taken = data[: HANDSHAKE_SIZE - self.received]
        self._bytes += taken
        head = bytes(self._bytes[: len(PROTOCOL)])
        if not PROTOCOL.startswith(head):
            raise PeerWireError("bytes that are not the BitTorrent handshake")
        return len(taken)

    def handshake(self) -> Handshake | None:
        """The handshake once it is whole."""
        if self.received < HANDSHAKE_SIZE:
            return None
        reserved = self._bytes[_RESERVED_AT:_INFO_HASH_AT]
        return Handshake(
            bytes(self._bytes[_INFO_HASH_AT:_PEER_ID_AT]),
            bytes(self._bytes[_PEER_ID_AT:]),
            fast=bool(reserved[_FAST_BIT[0]] & _FAST_BIT[1]),
            extended=bool(reserved[_EXTENDED_BIT[0]] & _EXTENDED_BIT[1]),
        )


def keeps_newer(own_id: bytes, peer_id: bytes, newer_is_dialled: bool) -> bool:
    """Which of two connections to one peer stays: True the newer one, False the older one.

    Two peers that dial each other at the same moment must decide alike, or both connections end. The one
    that stays was dialled by the side with the greater peer id.
    """
    return (own_id > peer_id) == newer_is_dialled
