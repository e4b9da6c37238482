"""The trackers that a node belongs to: its own, and those of the torrents that it fetched."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from common.errors import CommandError, RemoteFault
from common.messages import OwnedFile
from common.metainfo import Metainfo
from node import events
from node.discovery.announcer import TrackerAnnouncer
from node.discovery.classroom import TrackerClient
from node.discovery.credentials import SecretStore
from node.discovery.tracker_url import classroom_urls, tracker_url
from node.settings import NodeSettings

EXIT_LIMIT = 1.0  # max seconds that EXIT may take
JOIN_LIMIT = 0.5  # max seconds to wait for the threads of all trackers
MAX_TRACKERS = 3  # of one torrent's trackers that are asked, each by a thread of its own

Owned = Callable[[Sequence[str]], Sequence[OwnedFile]]  # the files that the tracker at these URLs should know


class Trackers:
    """One announcer for each tracker, each with a thread. Methods may be called from any thread."""

    def __init__(self, settings: NodeSettings, owned: Owned, emit: events.EventSink) -> None:
        self.secrets = SecretStore(
            settings.folder, settings.classroom_id, lambda reason: emit(events.SecretNotSaved(reason))
        )
        self._settings = settings
        self._owned = owned
        self._emit = emit
        self._addr = (settings.host, 0)
        self._lock = threading.Lock()  # guards what follows
        self._announcers: dict[str, TrackerAnnouncer] = {}  # by URL; the node's own tracker is the first
        self._threads: list[threading.Thread] = []
        self._left = False

    @property
    def own(self) -> TrackerAnnouncer:
        """The announcer of the node's own tracker."""
        return next(iter(self._announcers.values()))

    def enter(self, addr: tuple[str, int]) -> None:
        """Register the node at ``addr`` with its own tracker. TrackerRefused if the tracker refuses.

        A tracker that does not answer is asked again later.
        """
        self._addr = addr
        self.secrets.open()
        urls = [tracker_url(url) for url in self._settings.trackers]
        announcer = self._announcer(urls, self._settings.swarm_key)
        announcer.enter()
        self._begin(urls, announcer)

    def of(self, info: Metainfo) -> list[TrackerAnnouncer]:
        """The trackers of a torrent, at most MAX_TRACKERS, then the node's own. None of them is waited for.

        If the torrent names the node's own tracker, that tracker is enough: the rest are its other addresses.
        A private torrent has no other trackers than its own (BEP 27); CommandError if none can be asked.
        """
        own = self.own
        urls = list(classroom_urls(info.trackers))
        if any(url in own.client.urls for url in urls):
            return [own]
        announcers = [self._join(url) for url in urls[:MAX_TRACKERS]]
        if not info.private:
            announcers.append(own)
        if not announcers:
            raise CommandError(f"{info.name} is private, and names no tracker that this node can ask")
        return announcers

    def all(self) -> list[TrackerAnnouncer]:
        """Every announcer once, the node's own tracker first."""
        with self._lock:
            return list(dict.fromkeys(self._announcers.values()))

    def withdraw(self, file: OwnedFile) -> None:
        """This node does not serve the file any more."""
        for announcer in self.all():
            announcer.withdraw(file)

    def leave(self) -> None:
        """Send what waits, then EXIT, to every tracker that answers. End the threads."""
        with self._lock:
            self._left = True
        announcers = self.all()
        for announcer in announcers:
            limit = EXIT_LIMIT if announcer.answers else 0.0
            announcer.flush(limit)
            announcer.stop(limit)
        for announcer in announcers:
            self._exit(announcer)
        deadline = time.monotonic() + JOIN_LIMIT
        for thread in self._threads:  # a thread that waits for a silent tracker is left behind
            thread.join(max(0.0, deadline - time.monotonic()))
        self.secrets.close()

    def _join(self, url: str) -> TrackerAnnouncer:
        """The announcer of another tracker; it registers in the background.

        The class's key is for the trackers that the user named: a torrent may name any host.
        """
        with self._lock:
            if url in self._announcers:
                return self._announcers[url]
        announcer = self._announcer([url], "")
        announcer.enter_later()
        self._begin([url], announcer)
        return announcer

    def _announcer(self, urls: Sequence[str], swarm_key: str) -> TrackerAnnouncer:
        def on_moved(url: str, before: str, reason: str) -> None:
            self._emit(events.TrackerMoved(url, before, reason))

        settings = self._settings
        claim = self.secrets.claim(urls)
        client = TrackerClient(
            urls, settings.classroom_id, settings.tracker_timeout, claim, swarm_key, on_moved
        )
        return TrackerAnnouncer(client, self._addr, lambda: self._owned(urls), settings.heartbeat, self._emit)

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

    def inform_tracker_periodically(self, announcer: TrackerAnnouncer) -> None:
        """Heartbeats and messages for one tracker; the body of a thread (a name of the course report)."""
        announcer.run()

    def _exit(self, announcer: TrackerAnnouncer) -> None:
        if announcer.answers:
            client = announcer.client.with_timeout(EXIT_LIMIT)
            with contextlib.suppress(RemoteFault):
                client.register(self._addr)  # with the address EXIT cannot remove another node of this number
                client.leave()
            client.close()
        announcer.client.close()

    def __iter__(self) -> Iterator[TrackerAnnouncer]:
        return iter(self.all())
