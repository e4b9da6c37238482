"""The facts of a torrent before its metadata is here, and the torrent file made of it. Pure."""

from __future__ import annotations

from common import bencode
from common.magnet import Magnet
from common.metainfo import Metainfo


def known_of(magnet: Magnet) -> Metainfo:
    """A Metainfo without files, for trackers: the info hash, a name for people, and the trackers.

    The name is the magnet's, else the info hash.
    """
    return Metainfo(
        name=magnet.name or magnet.info_hash.hex(),
        files=(),
        piece_length=1,
        pieces=b"",
        info_hash=magnet.info_hash,
        announce=magnet.trackers[0] if magnet.trackers else "",
        raw_info=b"",
        tiers=tuple((url,) for url in magnet.trackers),
    )


def torrent_bytes(raw_info: bytes, trackers: tuple[str, ...]) -> bytes:
    """The torrent file with these bytes of ``info``. Every tracker gets a tier of its own."""
    begin = b""
    if trackers:
        begin += b"8:announce" + bencode.encode(trackers[0].encode())
    if len(trackers) > 1:
        begin += b"13:announce-list" + bencode.encode([[url.encode()] for url in trackers])
    return b"d" + begin + b"4:info" + raw_info + b"e"
