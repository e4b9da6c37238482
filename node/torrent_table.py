"""The table of a node's torrents, as the node, the classroom's transport and standard peers see it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from common.errors import CommandError
from common.filenames import PART_SUFFIX, TORRENT_SUFFIX
from common.messages import OwnedFile
from common.text import sanitize
from node.discovery.tracker_url import classroom_urls
from node.torrent import Torrent

MIN_HASH_DIGITS = 4  # hexadecimal digits of an info hash that can stand for a torrent


class TorrentTable(Mapping[bytes, Torrent]):
    """A node's torrents by info hash.

    As a mapping it has only those with verified pieces, without those that the user stopped.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards _torrents while it is walked
        self._torrents: dict[bytes, Torrent] = {}

    def __getitem__(self, info_hash: bytes) -> Torrent:
        torrent = self._torrents[info_hash]
        if not _is_mapped(torrent):
            raise KeyError(info_hash)
        return torrent

    def __iter__(self) -> Iterator[bytes]:
        return (torrent.info.info_hash for torrent in self.all() if _is_mapped(torrent))

    def __len__(self) -> int:
        return sum(map(_is_mapped, self.all()))

    @property
    def in_swarms(self) -> Mapping[bytes, Torrent]:
        """The torrents that take part in a swarm of standard peers, which have a place without any piece.

        Beside those with verified pieces these are the ones that are being downloaded.
        """
        return _InSwarms(self)

    def all(self) -> list[Torrent]:
        """Every torrent, the latest last."""
        with self._lock:
            return list(self._torrents.values())

    def piece_length(self) -> int:
        """Bytes in a piece of the latest torrent; 0 without a torrent."""
        torrents = self.all()
        return torrents[-1].info.piece_length if torrents else 0

    def find(self, info_hash: bytes) -> Torrent | None:
        """The torrent of this info hash, with or without verified pieces."""
        return self._torrents.get(info_hash)

    def named(self, text: str) -> Torrent:
        """The torrent with this name or part file, or with an info hash that begins so. CommandError."""
        base = Path(text).name
        names = {base, base.removesuffix(TORRENT_SUFFIX), base.removesuffix(PART_SUFFIX)}
        found = [torrent for torrent in self.all() if torrent.info.name in names]
        if not found and len(text) >= MIN_HASH_DIGITS:
            found = [each for each in self.all() if each.info.info_hash_hex.startswith(text.lower())]
        if not found:
            raise CommandError(f"this node has no torrent {sanitize(text)}; try: files, status")
        if len(found) > 1:
            hashes = ", ".join(torrent.info.info_hash_hex[:8] for torrent in found)
            raise CommandError(f"{sanitize(text)} is the name of {len(found)} torrents; take one of {hashes}")
        return found[0]

    def add(self, torrent: Torrent) -> None:
        """Add ``torrent`` as the latest. It takes the place of one with the same info hash."""
        with self._lock:
            self._torrents.pop(torrent.info.info_hash, None)
            self._torrents[torrent.info.info_hash] = torrent

    def check_files(self) -> None:
        """Stop serving the files that changed or are gone."""
        for torrent in self.all():
            torrent.check_file()

    def is_sharing(self) -> bool:
        """True if peers can fetch anything here."""
        return any(torrent.is_served and torrent.has_pieces for torrent in self.all())

    def owned_files(self, urls: Sequence[str]) -> list[OwnedFile]:
        """The files that the tracker at ``urls`` should know; private ones only if they name it (BEP 27)."""
        return [
            torrent.owned()
            for torrent in self.all()
            if torrent.is_served
            and torrent.has_pieces
            and not (torrent.info.private and set(urls).isdisjoint(classroom_urls(torrent.info.trackers)))
        ]


class _InSwarms(Mapping[bytes, Torrent]):
    def __init__(self, table: TorrentTable) -> None:
        self._table = table

    def __getitem__(self, info_hash: bytes) -> Torrent:
        torrent = self._table.find(info_hash)
        if torrent is None or not _is_in_swarm(torrent):
            raise KeyError(info_hash)
        return torrent

    def __iter__(self) -> Iterator[bytes]:
        return (torrent.info.info_hash for torrent in self._table.all() if _is_in_swarm(torrent))

    def __len__(self) -> int:
        return sum(map(_is_in_swarm, self._table.all()))


def _is_mapped(torrent: Torrent) -> bool:
    return torrent.has_pieces and not torrent.is_stopped and not torrent.is_paused


def _is_in_swarm(torrent: Torrent) -> bool:
    return _is_mapped(torrent) or (
        torrent.is_downloading and not torrent.is_stopped and not torrent.is_paused
    )
