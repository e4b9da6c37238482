"""The settings of a connection: this node's identity, its torrents, and its policy on encryption."""

from __future__ import annotations

import enum
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from common.bitfield import Bitfield
from common.geometry import Geometry
from node.tap import NO_STREAM_TAP, StreamTap


class Encryption(enum.Enum):
    """The policy ``--encryption``, for dialled and accepted connections."""

    PREFER = "prefer"  # encrypted and plain handshakes; plain payload, unless the peer insists on RC4
    REQUIRE = "require"  # encrypted handshakes and RC4 payload only
    OFF = "off"  # plain handshakes only


@dataclass(frozen=True)
class WireTorrent:
    """One torrent as its connections see it."""

    info_hash: bytes
    geometry: Geometry | None  # None: a magnet link whose metadata is not known yet
    have: Callable[[], Bitfield]  # the verified pieces, a snapshot; not called without a geometry
    raw_info: bytes = b""  # the metadata (BEP 9): the bytes whose SHA-1 is the info hash
    is_silent: bool = False  # requests are accepted and never answered
    own: Callable[[], Bitfield] | None = None  # the pieces that are really here; None: ``have``

    def verified(self) -> Bitfield:
        """The pieces that need not be fetched."""
        return self.have() if self.own is None else self.own()


class WireHost(Protocol):
    """Questions of accepted connections to their node. Returns at once."""

    def info_hashes(self) -> Iterable[bytes]:
        """The torrents that take part: an encrypted handshake names one only to those that know it."""

    def find(self, info_hash: bytes) -> WireTorrent | None:
        """The torrent of this info hash, if it takes part."""

    def refusal(self, info_hash: bytes, peer_id: bytes) -> str:
        """Why this peer is not wanted, as "is connected already", or "". Asked once, after its handshake."""


@dataclass(frozen=True)
class WireConfig:
    """The same for all connections of a node, except for ``peer_host`` and ``tap``."""

    peer_id: bytes  # 20 bytes
    host: WireHost
    encryption: Encryption = Encryption.PREFER
    client: str = "classroom-swarm"  # shown by other clients
    listen_port: int | None = None  # TCP
    node_id: int | None = None  # this node's number in the classroom; None: it takes no part there
    peer_host: str = ""  # the peer's numeric address; "": unknown
    random_bytes: Callable[[int], bytes] = os.urandom
    tap: StreamTap = NO_STREAM_TAP  # sees all messages
