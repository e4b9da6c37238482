"""A node: what a user drives. It ties together sharing, downloads and the trackers it belongs to."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from common.errors import CommandError, FileFault, RemoteFault
from common.filenames import TORRENT_SUFFIX
from common.messages import OwnedFile
from common.metainfo import Metainfo, single_file_only
from common.text import sanitize
from node import events
from node.chunk_udp.transport import UdpTransport
from node.content.hashing import HashPool
from node.content.part_file import PartFile
from node.content.shared_file import SharedFile
from node.content.torrent_file import create_torrent, parse_torrent_file
from node.discovery.announcer import TrackerAnnouncer
from node.discovery.base import Credit
from node.discovery.classroom import TrackerClient
from node.discovery.credentials import SecretStore, is_secrets_name
from node.discovery.tracker_url import classroom_urls, tracker_url
from node.download import MAX_DOWNLOADS, Download, Surroundings
from node.listening import listening_socket
from node.peer import Peer
from node.settings import NodeSettings
from node.sharing import Sharing, owned_file

EXIT_LIMIT = 1.0  # seconds that saying goodbye may take
ANNOUNCE_LIMIT = 5.0  # seconds that a finished download waits for the tracker to hear of it
MAX_TRACKERS = 3  # of a torrent's trackers that are asked, each by a thread of its own
FILE_CHECK = 2.0  # seconds between two looks at whether shared files are what they were


class Node:
    """One participant. ``emit`` hears all that happens, from any thread, and must return quickly."""

    def __init__(self, settings: NodeSettings, emit: events.EventSink) -> None:
        self._settings = settings
        self._emit = emit
        self._lock = threading.Lock()  # guards what follows
        self._downloads: list[Download] = []
        self._turns = threading.Semaphore(MAX_DOWNLOADS)
        self._transport: UdpTransport | None = None
        self._announcers: dict[str, TrackerAnnouncer] = {}  # by tracker URL; our own tracker's is the first
        self._threads: list[threading.Thread] = []
        self._left = threading.Event()
        self._started = False
        self._sharing: Sharing | None = None
        self._verifier: HashPool | None = None
        self._claims = SecretStore(settings.folder, settings.node_id)
        self.addr = (settings.host, 0)

    # ---- entering and leaving

    def enter_torrent(self) -> None:
        """Listen, tell the tracker, and go on telling it.

        A tracker that does not answer is no error: it is tried again. LocalFault if this machine does not let
        us; TrackerRefused if our node_id is taken, or a secret or key is wrong.
        """
        try:
            self._settings.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            where = sanitize(self._settings.folder)
            raise FileFault(f"folder {where} cannot be made: {error.strerror}") from None
        self._claims.open()
        settings = self._settings
        buffer_size = settings.transfer.socket_buffer_size
        sock = listening_socket(settings.node_id, settings.host, settings.port_range, buffer_size)
        self.addr = sock.getsockname()[:2]
        try:
            self._announcer(settings.trackers, settings.swarm_key)
        except BaseException:
            sock.close()
            raise
        self._verifier = HashPool(self._settings.hash_threads)
        self._transport = UdpTransport(settings.transfer, sock, settings.node_id)
        self._sharing = Sharing(self._transport, self._emit)
        self._sharing.start()
        self._start_thread(self._check_files_periodically, "file-check")
        self._started = True
        self._emit(events.Started(self._settings.node_id, self.addr))

    def exit_torrent(self) -> None:
        """Stop everything, tell the trackers. Downloads keep their .part. Does nothing the second time."""
        with self._lock:
            if self._left.is_set():
                return
            self._left.set()
            downloads, announcers = list(self._downloads), self._all_announcers()
        for download in downloads:
            download.cancel()
        for announcer in announcers:
            announcer.flush(EXIT_LIMIT if announcer.answers else 0)
            announcer.stop(EXIT_LIMIT if announcer.answers else 0)
        for announcer in announcers:
            self._say_exit(announcer)
        deadline = time.monotonic() + EXIT_LIMIT
        for download in downloads:
            download.done.wait(max(0.0, deadline - time.monotonic()))
        if self._sharing is not None:
            self._sharing.stop()
        if self._verifier is not None:
            self._verifier.close()
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._claims.close()
        if self._started:
            self._emit(events.Stopped(self._settings.node_id))

    def _say_exit(self, announcer: TrackerAnnouncer) -> None:
        if announcer.answers:
            client = announcer.client.with_timeout(EXIT_LIMIT)
            with contextlib.suppress(RemoteFault):
                client.register(self.addr)  # so that EXIT says from where: nobody else's node is removed
                client.leave()
            client.close()
        announcer.client.close()

    # ---- trackers

    def inform_tracker_periodically(self, announcer: TrackerAnnouncer) -> None:
        """Heartbeats and news for one tracker; the body of a thread."""
        announcer.run()

    def _announcer(
        self, addresses: Sequence[str], swarm_key: str = "", wait: bool = True
    ) -> TrackerAnnouncer:
        """The announcer for the tracker that has these addresses. TrackerRefused if the tracker refuses.

        Without ``wait`` the node registers in the background. The class's key is for the trackers that the
        user named: a torrent may name any host.
        """
        urls = [tracker_url(address) for address in addresses]
        with self._lock:
            for url in urls:
                if url in self._announcers:
                    return self._announcers[url]
        client = self._client(urls, swarm_key)
        announcer = TrackerAnnouncer(
            client, self.addr, lambda: self._owned_files(urls), self._settings.heartbeat, self._emit
        )
        if wait:
            announcer.enter()
        else:
            announcer.enter_later()
        with self._lock:
            late = self._left.is_set()  # every other announcer has sent EXIT
            if not late:
                self._announcers.update(dict.fromkeys(urls, announcer))
        if late:
            self._say_exit(announcer)
            raise CommandError("the node is not in the torrent")
        self._start_thread(lambda: self.inform_tracker_periodically(announcer), f"tracker {client.url}")
        return announcer

    def _client(self, urls: Sequence[str], swarm_key: str) -> TrackerClient:
        settings = self._settings
        return TrackerClient(
            urls,
            settings.node_id,
            settings.tracker_timeout,
            self._claims.claim(urls),
            swarm_key,
            lambda url, before, reason: self._emit(events.TrackerMoved(url, before, reason)),
        )

    def _all_announcers(self) -> list[TrackerAnnouncer]:
        return list(dict.fromkeys(self._announcers.values()))

    def _owned_files(self, urls: Sequence[str]) -> list[OwnedFile]:
        """The files that the tracker at ``urls`` should know; private ones only if they name it (BEP 27)."""
        return self._sharing.owned_files(urls) if self._sharing is not None else []

    def _start_thread(self, body: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=body, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _check_files_periodically(self) -> None:
        while not self._left.wait(FILE_CHECK):
            if self._sharing is not None:
                self._sharing.check_files()

    # ---- what the user asks for

    def set_send_mode(self, filename: str) -> events.FileStatus:
        """Share a file: write its .torrent, tell the tracker, serve it. Blocks while it is hashed."""
        (status,) = self.share_files([filename])
        return status

    def share_files(self, filenames: Sequence[str]) -> list[events.FileStatus]:
        """Share many files; the tracker hears of them together, in as few requests as their number takes."""
        rows = [self._share(filename) for filename in filenames]
        self._own_announcer().flush(self._settings.tracker_timeout)
        return rows

    def _share(self, filename: str) -> events.FileStatus:
        sharing = self._entered()
        path = self._find(filename)
        if self._claims.holds(path):
            raise FileFault(f"{sanitize(path)} holds a node's secrets; it is not shared")
        file = SharedFile.open(path)
        torrent = self._settings.folder / (path.name + TORRENT_SUFFIX)
        trackers = [f"{url}/announce" for url in self._own_announcer().client.urls]
        listed = trackers if len(trackers) > 1 else ()
        threads = self._settings.hash_threads
        try:
            metainfo = create_torrent(path, torrent, trackers[0], self._hashed(path), threads, listed)
        except BaseException:
            file.close()
            raise
        status = sharing.share(metainfo, file, torrent)
        self._own_announcer().announce(owned_file(metainfo))
        return status

    def set_download_mode(self, torrent_filename: str) -> Download:
        """Fetch what a .torrent describes, in the background."""
        sharing = self._entered()
        torrent = self._find(torrent_filename, TORRENT_SUFFIX)
        metainfo = single_file_only(parse_torrent_file(torrent))
        if is_secrets_name(metainfo.name):
            raise FileFault(f"{metainfo.name} is not downloaded: a node's secrets have such a name")
        here = sharing.serves(metainfo.info_hash)
        if here is not None:
            raise CommandError(f"{metainfo.name} is here already: {sanitize(here)}")
        trackers = self._trackers_of(metainfo)
        assert self._verifier is not None and self._transport is not None
        around = Surroundings(
            self._settings,
            Peer(*self.addr, node_id=self._settings.node_id),
            [announcer.client for announcer in trackers],
            self._verifier,
            self._emit,
            self._transport,
            lambda download, path: self._in_place(download, path, torrent, trackers),
            lambda download, part: self._part_begun(download, part, trackers),
            lambda download: self._part_ended(download, trackers),
            self._turns,
        )
        download = Download(metainfo, around)
        with self._lock:
            if any(d.info_hash == metainfo.info_hash and not d.over for d in self._downloads):
                raise CommandError(f"{metainfo.name} is being downloaded already")
            self._downloads = [d for d in self._downloads if d.info_hash != metainfo.info_hash] + [download]
        download.start()
        return download

    def stop_file(self, name: str) -> None:
        """Cancel the download of a file, or stop sharing it; CommandError if this node does neither.

        ``name`` is the file's name or path, or that of its torrent or part file.
        """
        sharing = self._entered()
        base = Path(name).name
        names = {base, base.removesuffix(TORRENT_SUFFIX), base.removesuffix(".part")}
        with self._lock:
            running = [d for d in self._downloads if d.metainfo.name in names and not d.over]
        for download in running:
            download.cancel()
        if not sharing.withdraw(names) and not running:
            raise CommandError(f"{sanitize(base)} is neither shared nor being downloaded; try: files")

    def status(self) -> tuple[events.DownloadStatus, ...]:
        """Rows of -status: the downloads of this run."""
        with self._lock:
            downloads = list(self._downloads)
        return tuple(download.status() for download in downloads)

    def files(self) -> tuple[events.FileStatus, ...]:
        """Rows of -files: what is shared, or was."""
        return tuple(self._sharing.files()) if self._sharing is not None else ()

    def peers(self) -> tuple[events.PeerStatus, ...]:
        """Rows of -peers: whom we fetch from (or why not), and whom we serve."""
        with self._lock:
            downloads = list(self._downloads)
        rows = [row for download in downloads for row in download.peers()]
        return tuple(rows + (self._sharing.peers() if self._sharing is not None else []))

    def trackers(self) -> tuple[events.TrackerStatus, ...]:
        """The trackers that this node belongs to, its own first; told with -peers."""
        with self._lock:
            return tuple(announcer.status() for announcer in self._all_announcers())

    def wait_for_downloads(self, timeout: float | None = None) -> bool:
        """Wait until no download goes on; False if ``timeout`` seconds were not enough."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            downloads = list(self._downloads)
        return all(
            download.done.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
            for download in downloads
        )

    def is_sharing(self) -> bool:
        """Whether others can fetch anything here."""
        return self._sharing is not None and self._sharing.is_sharing()

    # ---- steps of these

    def _entered(self) -> Sharing:
        if self._sharing is None or self._left.is_set():
            raise CommandError("the node is not in the torrent")
        return self._sharing

    def _own_announcer(self) -> TrackerAnnouncer:
        return next(iter(self._announcers.values()))

    def _find(self, name: str, suffix: str = "") -> Path:
        """``name`` as a path, or in the node's folder; with ``suffix`` added if only that exists."""
        folder = self._settings.folder
        for path in (Path(name), folder / name, Path(name + suffix), folder / (name + suffix)):
            if _may_be_there(path):
                return path
        raise FileFault(f"no such file: {sanitize(name)} (looked here and in {sanitize(folder)})")

    def _hashed(self, path: Path) -> Callable[[int, int], None]:
        """Tells how far hashing is, a few times a second."""
        last = 0.0

        def on_progress(done: int, size: int) -> None:
            nonlocal last
            now = time.monotonic()
            if done == size or now - last >= self._settings.progress_interval:
                last = now
                self._emit(events.Hashing(path.name, done, size))

        return on_progress

    def _trackers_of(self, metainfo: Metainfo) -> list[TrackerAnnouncer]:
        """The torrent's trackers, at most MAX_TRACKERS, then our own. None of them is waited for.

        A private torrent has no other trackers than its own (BEP 27).
        """
        own = self._own_announcer()
        urls = list(classroom_urls(metainfo.trackers))
        if any(url in own.client.urls for url in urls):
            return [own]
        trackers = [self._announcer([url], wait=False) for url in urls[:MAX_TRACKERS]]
        if not metainfo.private:
            trackers.append(own)
        if not trackers:
            raise CommandError(f"{metainfo.name} is private, and names no tracker that this node can ask")
        return trackers

    def _part_begun(self, download: Download, part: PartFile, trackers: list[TrackerAnnouncer]) -> None:
        """A download has its first verified pieces: offer them to others."""
        self._entered().share_part(download.metainfo, part, lambda: download.board.have)
        for announcer in trackers:
            announcer.announce(owned_file(download.metainfo, False))

    def _part_ended(self, download: Download, trackers: list[TrackerAnnouncer]) -> None:
        """A download was given up: its pieces are not offered any more."""
        if self._sharing is not None:
            self._sharing.withdraw_part(download.info_hash)
        for announcer in trackers:
            announcer.withdraw(owned_file(download.metainfo, False))

    def _in_place(
        self, download: Download, path: Path, torrent: Path, trackers: list[TrackerAnnouncer]
    ) -> None:
        """A download is complete: offer it to others, credit those who delivered."""
        metainfo = download.metainfo
        sharing = self._entered()
        sharing.share(metainfo, SharedFile.open(path, metainfo.size), torrent)
        for announcer in trackers:
            announcer.announce(owned_file(metainfo))
        credited = next((announcer for announcer in trackers if announcer.answers), trackers[0])
        for owner, amount in download.credits():
            credited.credit(Credit(metainfo.name, metainfo.info_hash_hex, owner, amount))
        for announcer in trackers:
            announcer.flush(ANNOUNCE_LIMIT)


def _may_be_there(path: Path) -> bool:
    """False if there is no such file; True if there is, or if opening it will say why not."""
    try:
        os.stat(path)
    except PermissionError:
        return True
    except (OSError, ValueError):  # not there; or a name that no file can have: too long, with a NUL
        return False
    return True
