"""The torrent that a user means with ``download``: a file, a magnet link, a name, or an info hash."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from common.errors import CommandError, FileFault, RemoteFault
from common.filenames import TORRENT_SUFFIX
from common.magnet import Magnet, is_magnet, parse_magnet
from common.text import sanitize
from node.content.torrent_file import TorrentFile
from node.events import ListedTorrent
from node.folder import NodeFolder

INFO_HASH = re.compile(r"[0-9a-fA-F]{40}")


def find_wanted(
    text: str, folder: NodeFolder, listed: Callable[[], Sequence[ListedTorrent]]
) -> TorrentFile | Magnet:
    """The torrent file, or what is known of a torrent whose metadata peers have.

    ``listed`` asks the tracker for the torrents that it knows; only for a name that is no file. FileFault,
    CommandError, MetainfoError, MagnetError.
    """
    if is_magnet(text):
        return parse_magnet(text)
    try:
        path = folder.find(text, TORRENT_SUFFIX)
    except FileFault as missing:
        if INFO_HASH.fullmatch(text):
            return Magnet(bytes.fromhex(text))
        if text.endswith(TORRENT_SUFFIX) or "/" in text:
            raise
        return _named(text, listed, missing)
    return TorrentFile.read(path)


def _named(name: str, listed: Callable[[], Sequence[ListedTorrent]], missing: FileFault) -> Magnet:
    try:
        found = [row for row in listed() if row.filename == name and row.info_hash]
    except RemoteFault as fault:
        raise FileFault(f"{missing}; {fault}") from None
    if not found:
        raise FileFault(f"{missing}; the tracker lists no torrent of this name")
    if len(found) > 1:
        hashes = ", ".join(row.info_hash for row in found)
        raise CommandError(
            f"the tracker lists {len(found)} torrents {sanitize(name)}: download one of {hashes}"
        )
    return Magnet(bytes.fromhex(found[0].info_hash), name)
