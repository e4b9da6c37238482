"""Personas: nodes that misbehave on purpose (``-persona NAME``), so that a class sees how the swarm copes.

    free-rider   fetches, and announces no piece
    liar         announces every piece; in place of the pieces that it lacks it sends zeros
    polluter     sends every piece with a wrong byte in it
    staller      accepts every request, and never answers one

Over TCP a seed closes the connection to a peer that has everything, too. So a liar gets nothing from seeds
there, and lies to those that fetch.

A persona stands between a node's torrents and its transports: the node itself is as always.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from common.bitfield import Bitfield
from common.metainfo import Metainfo
from node.transport import SentBlock, ServedTorrent, StreamSocket

FREE_RIDER, LIAR, POLLUTER, STALLER = "free-rider", "liar", "polluter", "staller"
PERSONAS = {
    FREE_RIDER: "it fetches, and says that it holds nothing",
    LIAR: "it says that it holds everything, and sends zeros for what it lacks",
    POLLUTER: "each piece that it sends has a wrong byte",
    STALLER: "it accepts every request, and never answers one",
}


class PersonaTorrents(Mapping[bytes, ServedTorrent]):
    """``torrents`` as this persona serves them."""

    def __init__(self, persona: str, torrents: Mapping[bytes, ServedTorrent]) -> None:
        self._persona, self._torrents = persona, torrents
        self._made: dict[bytes, tuple[ServedTorrent, PersonaTorrent]] = {}

    def __getitem__(self, info_hash: bytes) -> ServedTorrent:
        torrent = self._torrents[info_hash]
        made = self._made.get(info_hash)
        if made is None or made[0] is not torrent:
            made = self._made[info_hash] = torrent, PersonaTorrent(self._persona, torrent)
        return made[1]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._torrents)

    def __len__(self) -> int:
        return len(self._torrents)


class PersonaTorrent:
    """One torrent as a persona serves it. Implements ServedTorrent."""

    def __init__(self, persona: str, torrent: ServedTorrent) -> None:
        self._persona, self._torrent = persona, torrent
        pieces = torrent.info.geometry.piece_count
        self._claims = {FREE_RIDER: Bitfield(pieces), LIAR: Bitfield.full(pieces)}.get(persona)

    @property
    def info(self) -> Metainfo:
        return self._torrent.info

    @property
    def have(self) -> Bitfield:
        """The pieces that it announces."""
        return self._torrent.have if self._claims is None else self._claims

    @property
    def verified(self) -> Bitfield:
        """The pieces that are here."""
        return self._torrent.have

    @property
    def is_served(self) -> bool:
        return self._torrent.is_served

    @property
    def is_silent(self) -> bool:
        """True: requests are accepted, and never answered."""
        return self._persona == STALLER

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """The bytes that it sends."""
        length, held = self.info.piece_length, self._torrent.have
        pieces = range(offset // length, (offset + len(buffer) - 1) // length + 1)
        if self._persona == LIAR and not all(piece in held for piece in pieces):
            buffer[:] = bytes(len(buffer))
            return
        self._torrent.read_into(offset, buffer)
        if self._persona == POLLUTER:
            buffer[0] ^= 0xFF

    def send_to(self, sock: StreamSocket, offset: int, length: int) -> int:
        """As ``read_into``, over a connected socket."""
        buffer = memoryview(bytearray(length))
        self.read_into(offset, buffer)
        return sock.send(buffer)

    def send_blocks(self, sock: StreamSocket, blocks: Sequence[SentBlock]) -> int | None:
        """None: the caller reads."""
        return None


def verified_pieces(torrent: ServedTorrent) -> Bitfield:
    """The pieces that are here, which a persona may announce otherwise."""
    return torrent.verified if isinstance(torrent, PersonaTorrent) else torrent.have


def is_silent(torrent: ServedTorrent) -> bool:
    """True if requests for it are accepted, and never answered."""
    return isinstance(torrent, PersonaTorrent) and torrent.is_silent
