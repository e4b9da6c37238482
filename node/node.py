"""``Node``: torrents, a transport and trackers, driven by a user."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from common.errors import CommandError, FileFault, LocalFault
from common.filenames import PART_SUFFIX, TORRENT_SUFFIX
from common.text import sanitize
from faults.spec import FaultSpec
from node import events
from node.content.hashing import HashPool
from node.content.shared_file import OpenFiles
from node.content.store import ContentStore
from node.content.torrent_file import TorrentFile
from node.content.verifying import content_root
from node.discovery.base import TcpListener, TransferTotals
from node.download import Download, NodeParts
from node.download.checking import check_existing
from node.download.reporting import DownloadReporter
from node.downloads import Downloads
from node.fault_tap import with_faults
from node.folder import NodeFolder
from node.metadata import MagnetDownload
from node.node_taps import NodeTaps
from node.peer import FoundPeer, Peer
from node.peer_rows import upload_rows
from node.recorder import FlightRecorder
from node.recorder.watched import watched
from node.report.reporter import Reporter
from node.settings import NodeSettings
from node.torrent import Torrent, TorrentState
from node.torrent_maker import TorrentMaker
from node.torrent_table import TorrentTable
from node.trackers import Trackers
from node.transports import NodeTransports

CHECKED_EARLY = 1 << 20  # bytes of a torrent that is read before the node starts
LEAVE_LIMIT = 1.0  # max seconds that ``exit_torrent`` waits for downloads to stop
LAST_REPORT_LIMIT = 0.8  # max seconds that it waits for the last report
FILE_CHECK = 2.0  # seconds between two checks of the shared files
MAX_NAMED = 10  # files in the folder that are not shared and are named at the start


class Node:
    """One participant of the swarm. ``emit`` is called with every event, from any thread."""

    def __init__(self, settings: NodeSettings, emit: events.EventSink) -> None:
        if settings.faults is not None:
            settings = replace(settings, transfer=with_faults(settings.transfer))
        self._settings = settings
        self._folder = NodeFolder(settings.folder)
        self.recorder = FlightRecorder()
        self._taps: NodeTaps | None = None  # once the node is in the torrent
        self._torrents = TorrentTable()
        self.report: Reporter | None = None  # reports events of this node to the tracker
        if settings.report and settings.node_id is not None:
            self.report = Reporter(settings, self._torrents, self.recorder)
            emit = self.report.watched(emit)
        self._emit = emit = watched(emit, self.recorder)
        self._trackers = Trackers(settings, self._torrents.owned_files, emit, self._totals, self.meet)
        self._open_files = OpenFiles()
        self._maker = TorrentMaker(settings, self._torrents, self._trackers, self._open_files, emit)
        self._parts: NodeParts | None = None  # once the node is in the torrent
        self._lock = threading.Lock()  # guards _left, and adding a torrent
        self._downloads = Downloads(
            *(settings, self._folder, self._torrents, self._trackers, self._open_files, emit),
            entered=self._entered,
            adding=self._lock,
        )
        self._left = threading.Event()
        self.addr = (settings.host, 0)

    # ---- entering and leaving

    def enter_torrent(self) -> None:
        """Listen, register with the tracker, and keep it informed.

        A tracker that does not answer is no error: it is asked again. LocalFault if this machine refuses
        something; TrackerRefused if the node_id is taken, or a secret or key is wrong.
        """
        settings = self._settings
        self._folder.create()
        self._taps = taps = NodeTaps(settings, self.recorder, self._torrents, self._emit)
        transports = NodeTransports(settings, taps.tap)
        self.addr = transports.addr
        try:
            tcp = transports.tcp
            self._trackers.enter(self.addr, TcpListener(tcp.peer_id, *tcp.addr) if tcp is not None else None)
        except BaseException:
            transports.stop()
            raise
        own_tcp = Peer(*transports.tcp.addr, "tcp") if transports.tcp is not None else None
        own = Peer(*self.addr, node_id=settings.node_id)
        pool = HashPool(settings.hash_threads)
        self._parts = NodeParts(settings, own, pool, transports.by_name, self._emit, own_tcp)
        self._transports = transports
        transports.start(self._torrents, self)
        threading.Thread(target=self._check_files_periodically, name="file-check", daemon=True).start()
        self._emit(events.Started(settings.node_id, self.addr, "tcp" if transports.udp is None else "udp"))
        if transports.tcp is not None:
            self._emit(events.Listening("tcp", transports.tcp.addr))
        taps.announce()
        if settings.node_id is not None:
            self._report_unshared_files()
        if self.report is not None:
            if transports.udp is not None:
                transports.udp.on_note = self.report.note
            self.report.start(transports, self._trackers.own)

    def exit_torrent(self) -> None:
        """Stop everything, send EXIT. Downloads keep their .part. A second call does nothing."""
        with self._lock:
            if self._left.is_set():
                return
            self._left.set()
        if self.report is not None:
            self.report.close()
        downloads = self._downloads.all()
        for download in downloads:
            download.cancel()
        if self.report is not None:
            self.report.join(LAST_REPORT_LIMIT)  # the tracker takes no report after EXIT
        self._trackers.leave()
        deadline = time.monotonic() + LEAVE_LIMIT
        for download in downloads:
            download.done.wait(max(0.0, deadline - time.monotonic()))
        if self._parts is not None:
            self._transports.stop()
            self._parts.hash_pool.close()
            for torrent in self._torrents.all():
                torrent.content.close()
            self._open_files.close()
            if self._taps is not None:
                self._taps.close()
            self._emit(events.Stopped(self._settings.node_id))

    # ---- what the user asks for

    def set_send_mode(self, filename: str) -> events.FileStatus:
        """Share a file: write its .torrent, announce it, serve it. Blocks while the file is hashed."""
        (status,) = self.share_files([filename])
        return status

    def share_files(self, filenames: Sequence[str]) -> list[events.FileStatus]:
        """Share many files, and announce them together."""
        rows = [self._share(filename) for filename in filenames]
        own = self._trackers.own
        if not own.flush(self._settings.tracker_timeout):
            self._emit(events.NotAnnounced(own.client.url, own.why_messages_wait, is_retried=True))
        return rows

    def set_download_mode(self, text: str) -> Download | MagnetDownload:
        """Fetch a torrent's content in the background.

        ``text``: a .torrent, a magnet link, or a name or an info hash that the tracker lists. SwarmError.
        """
        self._entered()
        return self._downloads.begin(text)

    def listed_torrents(self) -> list[events.ListedTorrent]:
        """Rows of -list: the torrents that the tracker knows. TrackerUnavailable, TrackerRefused."""
        self._entered()
        return self._downloads.listed()

    def check_torrent(self, filename: str) -> None:
        """SwarmError if this torrent cannot be read or is refused. A large one is checked when used."""
        path = self._folder.find(filename, TORRENT_SUFFIX)
        if path.stat().st_size < CHECKED_EARLY:
            TorrentFile.read(path)

    def serve(self, torrent_filename: str, path: Path) -> events.FileStatus:
        """Verify a torrent's content and serve it. Blocks while it is hashed. SwarmError.

        ``path``: the content, or the folder that it is in.
        """
        parts = self._entered()
        file = TorrentFile.read(self._folder.find(torrent_filename, TORRENT_SUFFIX))
        path = content_root(file.info, path)
        content = ContentStore(file.info, path.parent, self._open_files)
        report = DownloadReporter(file.info, self._emit, self._settings.progress_interval)
        files = content.find_finished(path)
        check_existing(files, file.info, self._settings.hash_threads, report.hashed, self._left)
        content.adopt_files(files)
        torrent = Torrent(content, file, self._emit, self._trackers.withdraw)
        self._torrents.add(torrent)
        report.sharing(file.path, content.selected_size)
        self._downloads.swarm_of(file.info, ()).announce(torrent.owned())
        self._transports.call([Peer(*addr, "tcp") for addr in self._settings.peers], file.info.info_hash)
        return torrent.row(parts.uploaded(file.info.info_hash))

    def stop_file(self, name: str) -> None:
        """Cancel the download of a file, or stop sharing it; CommandError if this node does neither.

        ``name`` is the file's name or path, or that of its torrent or part file.
        """
        self._entered()
        base = Path(name).name
        names = {base, base.removesuffix(TORRENT_SUFFIX), base.removesuffix(PART_SUFFIX)}
        stopped = [torrent.stop() for torrent in self._torrents.all() if torrent.info.name in names]
        for fetch in self._downloads.waiting():
            if fetch.known.name in names:
                fetch.cancel()
                stopped.append(True)
        if not any(stopped):
            raise CommandError(f"{sanitize(base)} is neither shared nor being downloaded; try: files")

    def pause(self, name: str) -> None:
        """Fetch and serve nothing of a torrent for now. CommandError."""
        self._entered()
        torrent = self._torrents.named(name)
        was_served = torrent.content.is_satisfied
        if not torrent.pause():
            raise CommandError(
                f"{torrent.info.name} is neither shared nor being downloaded; try: files, status"
            )
        if was_served:  # else its download reports it
            info = torrent.info
            self._emit(events.SharingStopped(info.name, info.info_hash_hex, "you paused it"))

    def resume(self, name: str) -> None:
        """Go on with a paused torrent. CommandError."""
        parts, torrent = self._entered(), self._torrents.named(name)
        if torrent.resume(self._downloads.swarm_of(torrent.info, ()), parts) is None:
            self._emit(torrent.sharing())

    def select(self, name: str, numbers: Collection[int] | None) -> None:
        """Fetch these files of a torrent, numbered from 1; None: all. CommandError, DiskFull, FileFault."""
        parts, torrent = self._entered(), self._torrents.named(name)
        info, content = torrent.info, torrent.content
        is_over = torrent.select(numbers)
        count = len(info.stored_files) if numbers is None else len(numbers)
        self._emit(events.Selected(info.name, info.info_hash_hex, count, content.selected_size))
        if is_over:
            torrent.fetch(self._downloads.swarm_of(info, ()), parts)

    def status(self) -> tuple[events.DownloadStatus, ...]:
        """Rows of -status: the downloads of this run."""
        waiting = tuple(fetch.status() for fetch in self._downloads.waiting())
        rows = (torrent.status() for torrent in self._torrents.all())
        return tuple(row for row in rows if row is not None) + waiting

    def files(self) -> tuple[events.FileStatus, ...]:
        """Rows of -files: the shared files, and the files that changed while they were shared."""
        if self._parts is None:
            return ()
        uploaded = self._parts.uploaded
        shared = [torrent for torrent in self._torrents.all() if torrent.has_pieces]
        return tuple(torrent.row(uploaded(torrent.info.info_hash)) for torrent in shared)

    def peers(self) -> tuple[events.PeerStatus, ...]:
        """Rows of -peers: the owners that are fetched from (or why not), then the nodes that are served."""
        if self._parts is None:
            return ()
        fetching = [row for download in self._downloads.running() for row in download.peers()]
        fetching += [row for fetch in self._downloads.waiting() for row in fetch.peers()]
        names = {torrent.info.info_hash: torrent.info.name for torrent in self._torrents.all()}
        uploads = [row for transport in self._parts.transports.values() for row in transport.uploads()]
        clients = self._transports.clients()
        named = [replace(row, client=clients.get(row.addr, "")) for row in fetching]
        return tuple(named + upload_rows(uploads, names, fetching))

    def names(self) -> list[str]:
        """The names of this node's torrents."""
        waiting = [fetch.known.name for fetch in self._downloads.waiting()]
        return [torrent.info.name for torrent in self._torrents.all()] + waiting

    def pieces(self, name: str) -> events.PiecesStatus:
        """The answer to -pieces. CommandError if there is no such torrent."""
        return self._torrents.named(name).pieces()

    def dump(self, peer: str = "") -> events.MessagesStatus:
        """The answer to -dump: the last messages with ``peer``, a number or HOST:PORT. "": with all.

        CommandError if none with this peer is recorded.
        """
        messages = self.recorder.recent_messages(int(peer) if peer.isdecimal() else peer or None)
        if peer and all(row["peer"] is None for row in messages):
            raise CommandError(f"no messages with {sanitize(peer)} are recorded; try: dump")
        if self.report is not None:  # the page shows them, too
            self.report.dump("asked for at the prompt")
        return events.MessagesStatus(tuple(messages))

    def set_faults(self, spec: FaultSpec) -> None:
        """Do these faults to this node's messages from now on. CommandError if it began without -faults."""
        self._entered()
        if self._taps is not None:
            self._taps.set_faults(spec)
        if self.report is not None:
            self.report.add("node:faults", {"spec": spec.text})

    def trackers(self) -> tuple[events.TrackerStatus, ...]:
        """The trackers of this node, its own first."""
        return tuple(self._trackers.statuses())

    def wait_for_downloads(self, timeout: float | None = None) -> bool:
        """Wait until no download is active. False if ``timeout`` seconds were not enough."""
        deadline = None if timeout is None else time.monotonic() + timeout
        return all(
            download.done.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
            for download in self._downloads.all()
        )

    def is_sharing(self) -> bool:
        """True if peers can fetch anything here."""
        return self._torrents.is_sharing()

    # ---- TransportObserver

    def on_address_lost(self, host: str) -> None:
        """The announced address is not this machine's any more: the node leaves its trackers for now."""
        self._emit(events.AddressLost(host))
        for announcer in self._trackers:
            announcer.leave_for_now()

    def on_address_restored(self, host: str) -> None:
        """The announced address is back, and so is the node."""
        self._emit(events.AddressRestored(host))
        self._trackers.return_now()

    def on_peer(self, info_hash: bytes, found: FoundPeer) -> None:
        """A peer that no tracker named: the torrent's download may use it."""
        torrent = self._torrents.find(info_hash)
        if torrent is not None and torrent.download is not None:
            torrent.download.add_peer(found)

    def meet(self, info_hash: bytes, found: Sequence[FoundPeer]) -> None:
        """Call the leechers that a tracker named to a seed: some clients try TCP only after a while.

        Classroom nodes are not called: they ask over UDP.
        """
        torrent, tcp = self._torrents.find(info_hash), self._transports.tcp
        if self._transports.udp is not None:
            found = [each for each in found if each.peer.node_id is None]
        if tcp is not None and torrent is not None and torrent.state is TorrentState.SEEDING:
            tcp.meet(info_hash, found)

    def on_failed(self, fault: LocalFault) -> None:
        """A thread of the transport ended. Raising ends the program with one line (see node.cli)."""
        raise fault

    # ---- steps

    def _entered(self) -> NodeParts:
        if self._parts is None or self._left.is_set():
            raise CommandError("the node is not in the torrent")
        return self._parts

    def _totals(self, info_hash: bytes) -> TransferTotals:
        """The figures of a torrent for announces; one without metadata misses something."""
        torrent = self._torrents.find(info_hash)
        if torrent is None or self._parts is None:
            return TransferTotals(0, 0, 1)
        return torrent.totals(self._parts.uploaded(info_hash))

    def _share(self, filename: str) -> events.FileStatus:
        parts = self._entered()
        path = self._folder.find(filename)
        if self._trackers.secrets.holds(path):
            raise FileFault(f"{sanitize(path)} holds a node's secrets; it is not shared")
        torrent = self._maker.make(path)
        self._torrents.add(torrent)
        self._emit(torrent.sharing())
        self._trackers.own.announce(torrent.owned())
        return torrent.row(parts.uploaded(torrent.info.info_hash))

    def _check_files_periodically(self) -> None:
        while not self._left.wait(FILE_CHECK):
            self._torrents.check_files()
            if self._taps is not None:
                self._taps.flush()

    def _report_unshared_files(self) -> None:
        """Emit the files in the folder that are not shared: a new run shares nothing by itself."""
        if names := self._folder.files():
            self._emit(events.FilesNotShared(str(self._folder.path), tuple(names[:MAX_NAMED]), len(names)))
