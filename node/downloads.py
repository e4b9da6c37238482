"""Begins downloads: of torrent files, of magnet links, and of names that the tracker lists."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from common.addresses import Addr
from common.errors import CommandError, FileFault
from common.magnet import Magnet
from common.metainfo import Metainfo
from common.text import sanitize
from node import events
from node.content.shared_file import OpenFiles
from node.content.store import ContentStore
from node.content.torrent_file import TorrentFile, store_torrent
from node.discovery.base import PeerSource
from node.discovery.credentials import is_secrets_name
from node.discovery.listing import list_torrents
from node.discovery.named_peers import NamedPeers
from node.download import Download, NodeParts, SwarmTrackers
from node.folder import NodeFolder
from node.metadata import MagnetDownload, known_of
from node.settings import NodeSettings
from node.torrent import Torrent
from node.torrent_table import TorrentTable
from node.trackers import Trackers
from node.wanted import find_wanted


class Downloads:
    """The downloads of a node.

    ``entered`` returns its parts, or raises CommandError. ``adding`` is held while a torrent is added.
    """

    def __init__(
        self,
        settings: NodeSettings,
        folder: NodeFolder,
        torrents: TorrentTable,
        trackers: Trackers,
        open_files: OpenFiles,
        emit: events.EventSink,
        entered: Callable[[], NodeParts],
        adding: threading.Lock,
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._torrents = torrents
        self._trackers = trackers
        self._open_files = open_files
        self._emit = emit
        self._entered = entered
        self._lock = adding
        self._magnets: dict[bytes, MagnetDownload] = {}  # by info hash

    def begin(self, text: str) -> Download | MagnetDownload:
        """Begin to download what ``text`` names. SwarmError."""
        self._entered()
        wanted = find_wanted(text, self._folder, self.listed)
        return self.fetch(wanted) if isinstance(wanted, TorrentFile) else self._fetch_metadata(wanted)

    def fetch(self, file: TorrentFile, peers: Sequence[Addr] = ()) -> Download:
        """Begin to download the content of ``file``; ``peers``: that its magnet link named."""
        info = file.info
        if is_secrets_name(info.name):
            raise FileFault(f"{info.name} is not downloaded: a node's secrets have such a name")
        with self._lock:
            parts = self._entered()
            content = ContentStore(info, self._folder.path, self._open_files)
            torrent = self._to_fetch(info) or Torrent(content, file, self._emit, self._trackers.withdraw)
            if self._settings.selected is not None:
                torrent.content.select(self._settings.selected)
            swarm = self.swarm_of(info, peers)
            self._torrents.add(torrent)
            return torrent.fetch(swarm, parts)

    def _fetch_metadata(self, magnet: Magnet) -> Download | MagnetDownload:
        """Ask peers for the torrent of ``magnet``, then fetch its content."""
        present = self._torrents.find(magnet.info_hash)
        if present is not None:
            return self.fetch(present.file, magnet.peers)

        def begin(data: bytes) -> Download:
            path = store_torrent(data, self._folder.path, lambda path, info: False)
            return self.fetch(TorrentFile(path, data), magnet.peers)

        with self._lock:
            before = self._magnets.get(magnet.info_hash)
            if before is not None and not before.done.is_set():
                raise CommandError(f"{before.known.name} is being downloaded already")
            sources = self.swarm_of(known_of(magnet), magnet.peers).sources
            fetch = MagnetDownload(magnet, sources, self._entered(), begin)
            self._magnets[magnet.info_hash] = fetch
        fetch.start()
        return fetch

    def swarm_of(self, info: Metainfo, peers: Sequence[Addr]) -> SwarmTrackers:
        """The trackers of a torrent, and the peers that the user or its magnet link named."""
        announcers = self._trackers.of(info)
        sources: list[PeerSource] = [each.client for each in announcers]
        if named := (*self._settings.peers, *peers):
            sources.insert(0, NamedPeers(named))
        return SwarmTrackers(sources, announcers)

    def listed(self) -> list[events.ListedTorrent]:
        """The torrents that the tracker knows. TrackerUnavailable, TrackerRefused."""
        settings = self._settings
        return list_torrents(settings.trackers, settings.swarm_key, settings.tracker_timeout)

    def running(self) -> list[Download]:
        """The last download of each torrent, running or not."""
        return [torrent.download for torrent in self._torrents.all() if torrent.download is not None]

    def waiting(self) -> list[MagnetDownload]:
        """The magnet links whose metadata is not here."""
        return [fetch for fetch in list(self._magnets.values()) if fetch.download is None]

    def all(self) -> Sequence[Download | MagnetDownload]:
        """Everything that is being downloaded, or was."""
        return [*self.running(), *list(self._magnets.values())]

    def _to_fetch(self, info: Metainfo) -> Torrent | None:
        """The torrent that is here already; CommandError if it need not be fetched."""
        torrent = self._torrents.find(info.info_hash)
        if torrent is None:
            return None
        if torrent.content.is_finished:
            if torrent.is_served:
                raise CommandError(f"{info.name} is here already: {sanitize(torrent.content.path)}")
            return None  # the file changed or is gone: fetch it again
        if torrent.is_downloading:
            raise CommandError(f"{info.name} is being downloaded already")
        return torrent
