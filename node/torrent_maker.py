"""Makes the torrents of the files that a user shares."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from common.errors import CommandError
from common.metainfo import Metainfo, decode_metainfo
from node import events
from node.content.shared_file import OpenFiles, SharedFile
from node.content.store import ContentStore
from node.content.torrent_file import TorrentFile, encode_torrent, store_torrent
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
        """Hash the file ``path`` and write its torrent. FileFault, CommandError."""
        urls = [f"{url}/announce" for url in self._trackers.own.client.urls]
        file = SharedFile.open(path)
        try:
            data = encode_torrent(
                file,
                urls[0],
                self._report_hashing(path.name),
                self._settings.hash_threads,
                urls if len(urls) > 1 else (),
            )
            info = decode_metainfo(data)
            before = self._torrents.find(info.info_hash)
            if before is not None and before.is_downloading:
                raise CommandError(f"{info.name} is being downloaded; its pieces are shared as they arrive")
            content = ContentStore(info, path.parent, self._open_files)
            content.adopt(file)
        finally:
            file.close()
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
