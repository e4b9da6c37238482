"""The trackers that a node belongs to: its own, and those of the torrents that it fetches and serves."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from common.errors import CommandError, MessageError, RemoteFault
from common.messages import OwnedFile
from common.metainfo import Metainfo
from node import events
from node.discovery.announce_url import AnnounceUrl, parse_announce_url
from node.discovery.announcer import TrackerAnnouncer
from node.discovery.base import OnFound, TcpListener, TransferTotals
from node.discovery.classroom import TrackerClient
from node.discovery.credentials import SecretStore
from node.discovery.standard import StandardTrackers
from node.discovery.standard_announcer import StandardAnnouncer
from node.discovery.tracker_kinds import TrackerKinds
from node.discovery.tracker_url import classroom_urls, tracker_url
from node.settings import NodeSettings

EXIT_LIMIT = 1.0  # max seconds that EXIT, or all "stopped" together, may take
JOIN_LIMIT = 0.5  # max seconds to wait for the threads of all trackers
MAX_TRACKERS = 3  # of one torrent's trackers that are asked as classroom trackers, each by its own thread

Owned = Callable[[Sequence[str]], Sequence[OwnedFile]]  # the files that the tracker at these URLs should know
Totals = Callable[[bytes], TransferTotals]  # of the torrent with this info hash


class Trackers:
    """One announcer for each classroom tracker, and one for each torrent that has standard trackers.

    Methods may be called from any thread. A node without a node_id asks standard trackers only.
    """

    def __init__(
        self,
        settings: NodeSettings,
        owned: Owned,
        emit: events.EventSink,
        totals: Totals = lambda info_hash: TransferTotals(0, 0, 1),
        on_found: OnFound = lambda info_hash, peers: None,
    ) -> None:
        """``totals`` and ``on_found`` are for standard trackers: what their announces report, and which peers
        a torrent that is served should connect to.
        """
        self.secrets = SecretStore(
            settings.folder, settings.node_id or 0, lambda reason: emit(events.SecretNotSaved(reason))
        )
        self._settings = settings
        self._owned = owned
        self._emit = emit
        self._totals = totals
        self._on_found = on_found
        self._addr = (settings.host, 0)
        self._tcp: TcpListener | None = None
        self._lock = threading.RLock()  # guards what follows
        self._announcers: dict[str, TrackerAnnouncer] = {}  # by URL; the node's own tracker is the first
        self._kinds = TrackerKinds()
        self._standard: StandardTrackers | None = None
        self._threads: list[threading.Thread] = []
        self._left = False

    @property
    def own(self) -> TrackerAnnouncer:
        """The announcer of the node's own tracker. CommandError of a standard peer, which has none."""
        try:
            return next(iter(self._announcers.values()))
        except StopIteration:
            raise CommandError("a standard peer has no tracker of its own") from None

    def enter(self, addr: tuple[str, int], tcp: TcpListener | None = None) -> None:
        """Register the node at ``addr`` with its own tracker. TrackerRefused if the tracker refuses.

        A tracker that does not answer is asked again later. ``tcp``: how standard peers reach this node;
        without it, no standard tracker is asked.
        """
        self._addr, self._tcp = addr, tcp
        if tcp is not None:
            self._standard = StandardTrackers(tcp, self._emit, self._on_found)
        if self._settings.node_id is None:
            return
        self.secrets.open()
        urls = [tracker_url(url) for url in self._settings.trackers]
        self._kinds.asked(urls, is_classroom=True)
        announcer = self._announcer(urls, self._settings.swarm_key)
        announcer.enter()
        self._begin(urls, announcer)

    def of(self, info: Metainfo) -> list[TrackerAnnouncer | StandardAnnouncer]:
        """The trackers of a torrent, then the node's own. None of them is waited for.

        A private torrent has no other trackers than its own (BEP 27); CommandError if none can be asked.
        """
        announcers: list[TrackerAnnouncer | StandardAnnouncer] = []
        if self._settings.node_id is not None:
            announcers += self._classroom_trackers(info)
        if (standard := self._standard_announcer(info)) is not None:
            announcers.append(standard)
        if not announcers and info.private:
            raise CommandError(f"{info.name} is private, and names no tracker that this node can ask")
        return announcers

    def all(self) -> list[TrackerAnnouncer]:
        """The announcer of each classroom tracker, the node's own first."""
        with self._lock:
            return list(dict.fromkeys(self._announcers.values()))

    def __iter__(self) -> Iterator[TrackerAnnouncer]:
        return iter(self.all())

    def statuses(self) -> list[events.TrackerStatus]:
        """The rows of ``-peers`` about trackers, the node's own first."""
        rows = [each.status() for each in self.all() if not each.is_of_another_kind]
        standard = self._standard.announcers() if self._standard is not None else []
        found = {row.url: row for announcer in standard for row in announcer.statuses()}
        return [*rows, *found.values()]

    def withdraw(self, file: OwnedFile) -> None:
        """This node does not serve the file any more."""
        for announcer in self.all():
            announcer.withdraw(file)
        if self._standard is not None and file.info_hash is not None:
            standard = self._standard.find(bytes.fromhex(file.info_hash))
            if standard is not None:
                standard.withdraw(file)

    def return_now(self) -> None:
        """The address of this node is back: enter all trackers again."""
        for announcer in self.all():
            announcer.return_now()
        if self._standard is not None:
            self._standard.retry_now()

    def leave(self) -> None:
        """Send what waits, then EXIT and "stopped", to every tracker that answers. End the threads."""
        with self._lock:
            self._left = True
        standard = threading.Thread(target=self._leave_standard, name="leave-trackers", daemon=True)
        standard.start()
        announcers = self.all()
        for announcer in announcers:
            limit = EXIT_LIMIT if announcer.answers else 0.0
            announcer.flush(limit)
            announcer.stop(limit)
        for announcer in announcers:
            self._exit(announcer)
        standard.join(EXIT_LIMIT + JOIN_LIMIT)
        deadline = time.monotonic() + JOIN_LIMIT
        for thread in self._threads:  # a thread that waits for a silent tracker is left behind
            thread.join(max(0.0, deadline - time.monotonic()))
        self.secrets.close()

    def inform_tracker_periodically(self, announcer: TrackerAnnouncer) -> None:
        """Heartbeats and messages for one tracker; the body of a thread (a name of the course report)."""
        announcer.run()

    # ---- classroom trackers

    def _classroom_trackers(self, info: Metainfo) -> list[TrackerAnnouncer]:
        """At most MAX_TRACKERS of the torrent's trackers, then the node's own.

        If the torrent names the node's own tracker, that tracker is enough: others may be other addresses of
        it. Those of other tiers are asked all the same if they can turn out to be standard trackers.
        """
        own = self.own
        tiers = [list(classroom_urls(tier)) for tier in info.tiers]
        is_own = [not set(own.client.urls).isdisjoint(tier) for tier in tiers]
        others = [url for tier, own_one in zip(tiers, is_own, strict=True) for url in tier if not own_one]
        if any(is_own):
            with self._lock:
                same = [url for tier, own_one in zip(tiers, is_own, strict=True) for url in tier if own_one]
                self._kinds.asked(same, is_classroom=True)
            return [own, *(self._join(url) for url in others[:MAX_TRACKERS] if self._standard is not None)]
        announcers = [self._join(url) for url in others[:MAX_TRACKERS]]
        return announcers if info.private else [*announcers, own]

    def _join(self, url: str) -> TrackerAnnouncer:
        """The announcer of another tracker; it registers in the background.

        The class's key is for the trackers that the user named: a torrent may name any host.
        """
        with self._lock:
            if url in self._announcers:
                return self._announcers[url]
            self._kinds.asked([url])
        announcer = self._announcer([url], "")
        announcer.enter_later()
        self._begin([url], announcer)
        return announcer

    def _announcer(self, urls: Sequence[str], swarm_key: str) -> TrackerAnnouncer:
        def on_moved(url: str, before: str, reason: str) -> None:
            self._emit(events.TrackerMoved(url, before, reason))

        settings, tcp = self._settings, self._tcp
        client = TrackerClient(
            urls,
            settings.classroom_id,
            settings.tracker_timeout,
            self.secrets.claim(urls),
            swarm_key,
            on_moved,
            tcp.port if tcp is not None else None,
        )
        on_kind = None if tcp is None else lambda is_classroom: self._on_kind(urls, is_classroom)
        on_found = None if tcp is None else self._on_found
        return TrackerAnnouncer(
            client, self._addr, lambda: self._owned(urls), settings.heartbeat, self._emit, on_kind, on_found
        )

    def _on_kind(self, urls: Sequence[str], is_classroom: bool) -> None:
        """A server at ``urls`` has answered, on the thread of its announcer."""
        with self._lock:
            is_news = self._kinds.answered(urls, is_classroom)
        if is_news and self._standard is not None:
            self._standard.hold(self._is_held)

    def _begin(self, urls: Sequence[str], announcer: TrackerAnnouncer) -> None:
        with self._lock:
            left = self._left
            if not left:
                self._announcers.update(dict.fromkeys(urls, announcer))
                thread = threading.Thread(
                    target=self.inform_tracker_periodically,
                    args=(announcer,),
                    name=f"tracker {announcer.client.url}",
                    daemon=True,
                )
                self._threads.append(thread)
        if left:
            self._exit(announcer)
            raise CommandError("the node is not in the torrent")
        thread.start()

    def _exit(self, announcer: TrackerAnnouncer) -> None:
        if announcer.answers:
            client = announcer.client.with_timeout(EXIT_LIMIT)
            with contextlib.suppress(RemoteFault):
                client.register(self._addr)  # with the address EXIT cannot remove another node of this number
                client.leave()
            client.close()
        announcer.client.close()

    # ---- standard trackers

    def _standard_announcer(self, info: Metainfo) -> StandardAnnouncer | None:
        """The announcer of the torrent's standard trackers; None if it has none that this node may ask."""
        if self._standard is None:
            return None
        tiers = [list(_announce_urls(tier)) for tier in info.tiers]
        with self._lock:
            if all(self._kinds.is_classroom(url) for tier in tiers for url in tier):
                return None
        info_hash = info.info_hash
        announcer = self._standard.announcer(info_hash, tiers, lambda: self._totals(info_hash))
        announcer.hold(self._is_held)
        return announcer

    def _is_held(self, url: AnnounceUrl) -> bool:
        with self._lock:
            return self._kinds.is_held(url)

    def _leave_standard(self) -> None:
        if self._standard is not None:
            self._standard.leave(EXIT_LIMIT)


def _announce_urls(tier: Sequence[str]) -> Iterator[AnnounceUrl]:
    """The trackers of a tier that can be asked; others (wss) are left out."""
    for url in tier:
        with contextlib.suppress(MessageError):
            yield parse_announce_url(url)
