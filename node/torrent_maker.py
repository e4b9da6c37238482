"""Makes the torrents of the files and folders that a user shares."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from common.errors import CommandError, FileFault
from common.metainfo import Metainfo, decode_metainfo
from common.text import sanitize
from common.torrent_encoding import TorrentNotes
from node import events
from node.content.finished_files import FinishedFiles
from node.content.new_torrent import NewTorrent
from node.content.shared_file import OpenFiles
from node.content.store import ContentStore
from node.content.torrent_file import CREATED_BY, TorrentFile, store_torrent
from node.discovery.credentials import is_secrets_name
from node.settings import NodeSettings
from node.torrent import Torrent
from node.torrent_table import TorrentTable
from node.trackers import Trackers


class TorrentMaker:
    """Makes torrents of files, for a node with these ``torrents``. May be used from several threads."""

    def __init__(
        self,
        settings: NodeSettings,
        torrents: TorrentTable,
        trackers: Trackers,
        open_files: OpenFiles,
        emit: events.EventSink,
    ) -> None:
        self._settings = settings
        self._torrents = torrents
        self._trackers = trackers
        self._open_files = open_files
        self._emit = emit

    def make(self, path: Path) -> Torrent:
        """Hash the file or folder ``path`` and write its torrent. FileFault, CommandError."""
        urls = tuple(f"{url}/announce" for url in self._trackers.own.client.urls)
        planned = NewTorrent.plan(path, follow_links=False)
        for file in planned.files:
            if file.path is not None and is_secrets_name(file.path.name):
                raise FileFault(f"{sanitize(file.path)} holds a node's secrets; it is not shared")
        tiers = tuple((url,) for url in urls) if len(urls) > 1 else ()
        notes = TorrentNotes(urls[0], tiers, created_by=CREATED_BY)
        data = planned.encode(notes, self._settings.hash_threads, self._report_hashing(planned.name))
        info = decode_metainfo(data)
        before = self._torrents.find(info.info_hash)
        if before is not None and before.is_downloading:
            raise CommandError(f"{info.name} is being downloaded; its pieces are shared as they arrive")
        content = ContentStore(info, path.parent, self._open_files)
        hashed = [file.identity for file in planned.files]
        content.adopt_files(FinishedFiles(info, path, hashed, self._open_files))
        stored = store_torrent(data, self._settings.folder, self._may_replace(path))
        torrent = Torrent(content, TorrentFile(stored, data), self._emit, self._trackers.withdraw)
        torrent.download = before.download if before is not None else None
        return torrent

    def _may_replace(self, path: Path) -> Callable[[Path, Metainfo], bool]:
        """Which torrents in the folder were made of the file ``path``, and may be replaced by a new one."""
        made_of = {torrent.file.path: torrent.content.path.resolve() for torrent in self._torrents.all()}
        is_beside = path.parent.resolve() == self._settings.folder.resolve()

        def may_replace(torrent: Path, present: Metainfo) -> bool:
            return (is_beside and present.name == path.name) or made_of.get(torrent) == path.resolve()

        return may_replace

    def _report_hashing(self, name: str) -> Callable[[int, int], None]:
        """Emits how far hashing is, a few times a second."""
        last = 0.0

        def on_progress(done: int, size: int) -> None:
            nonlocal last
            now = time.monotonic()
            if done == size or now - last >= self._settings.progress_interval:
                last = now
                self._emit(events.Hashing(name, done, size))

        return on_progress
