"""Announces torrents to standard trackers: one thread that knows what is due, and one for each announce.

StandardTrackers     of a node: the thread, and both kinds of tracker client
StandardAnnouncer    of a torrent: its plan and its peers (node.discovery.standard_announcer)
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from common.errors import RemoteFault, TrackerRefused, TrackerUnavailable
from common.logs import log
from common.udp_tracker import AnnounceEvent
from node import events
from node.discovery.announce import AnnounceParams, AnnounceResult
from node.discovery.announce_plan import AnnounceJob
from node.discovery.announce_url import AnnounceUrl
from node.discovery.base import OnFound, TcpListener, TransferTotals
from node.discovery.standard_announcer import STOP_LIMIT, StandardAnnouncer
from node.discovery.udp_tracker import UdpTrackerClient

if TYPE_CHECKING:
    from node.discovery.http_tracker import HttpTrackerClient

MAX_BUSY = 64  # announces under way at a time, each on a thread of its own
STOP_GRACE = 0.4  # part of the time to leave that a "stopped" waits for an announce under way
MAX_STOPPED = 200  # "stopped" messages that are sent in parallel at the end


class StandardTrackers:
    """Announces all torrents of a node that have standard trackers. Thread-safe.

    ``on_found`` is called with the peers of each answer for a torrent that is complete: a seed connects to
    the leechers that it learns of.
    """

    def __init__(
        self,
        listener: TcpListener,
        emit: events.EventSink,
        on_found: OnFound = lambda info_hash, peers: None,
        http: HttpTrackerClient | None = None,
        udp: UdpTrackerClient | None = None,
    ) -> None:
        self.listener = listener
        self.changed = threading.Condition()  # guards all plans, and what follows
        self.emit = emit
        self.on_found = on_found
        self._http = http
        self._udp = udp or UdpTrackerClient(listener.host)
        self._key = secrets.randbits(32)  # tells trackers that two addresses are one peer (BEP 7)
        self._announcers: dict[bytes, StandardAnnouncer] = {}  # by info hash
        self._busy = 0
        self._lost: set[tuple[str, bytes]] = set()  # as the user was told: see ``report``
        self._closed = False
        self._thread: threading.Thread | None = None

    def announcers(self) -> list[StandardAnnouncer]:
        """The announcers of all torrents."""
        with self.changed:
            return list(self._announcers.values())

    def find(self, info_hash: bytes) -> StandardAnnouncer | None:
        """The announcer of a torrent, if it has one."""
        return self._announcers.get(info_hash)

    def announcer(
        self, info_hash: bytes, tiers: Sequence[Sequence[AnnounceUrl]], totals: Callable[[], TransferTotals]
    ) -> StandardAnnouncer:
        """The announcer of a torrent: the one that it has, if its trackers are the same."""
        with self.changed:
            before = self._announcers.get(info_hash)
            if before is not None:
                if before.tiers == tiers:
                    return before
                self.stop(before, STOP_LIMIT)
            announcer = self._announcers[info_hash] = StandardAnnouncer(info_hash, tiers, totals, self)
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="announces", daemon=True)
                self._thread.start()
            return announcer

    def hold(self, is_held: Callable[[AnnounceUrl], bool]) -> None:
        """Decide again which trackers are left out."""
        with self.changed:
            for announcer in self._announcers.values():
                announcer.hold(is_held)

    def retry_now(self) -> None:
        """Ask again the trackers that failed: this machine had no address, and has it again."""
        with self.changed:
            for announcer in self._announcers.values():
                announcer.plan.retry(time.monotonic())
            self.changed.notify_all()

    def send(
        self, announcer: StandardAnnouncer, job: AnnounceJob, limit: float | None = None
    ) -> AnnounceResult:
        """Send one announce, and return its answer. RemoteFault if there is none.

        ``limit``: max seconds, for an announce that cannot wait.
        """
        params = AnnounceParams(
            announcer.info_hash,
            self.listener.peer_id,
            self.listener.port,
            announcer.totals(),
            job.event,
            self._key,
            num_want=0 if job.event is AnnounceEvent.STOPPED else AnnounceParams.num_want,
            tracker_id=job.tracker.tracker_id,
        )
        if job.url.is_udp:
            timeout = limit if limit is not None else job.timeout or 0.0
            return self._udp.announce(job.url, params, timeout, urgent=limit is not None)
        if self._http is None:
            from node.discovery.http_tracker import HttpTrackerClient  # ``requests`` costs 7 MiB

            self._http = HttpTrackerClient(self.listener.host)
        return self._http.announce(job.url, params, limit)

    def report(self, url: AnnounceUrl, info_hash: bytes, error: RemoteFault | None) -> None:
        """Emit once that a tracker does not answer, or refuses a torrent; and that it answers again."""
        refuses = isinstance(error, TrackerRefused)
        key = url.text, info_hash if refuses else b""
        with self.changed:
            is_new = error is not None and key not in self._lost and not self._closed
            is_back = error is None and not self._lost.isdisjoint(((url.text, b""), (url.text, info_hash)))
            if error is None:
                self._lost -= {(url.text, b""), (url.text, info_hash)}
            else:
                self._lost.add(key)
        if is_new:
            self.emit(events.TrackerLost(url.text, str(error), refuses))
        elif is_back:
            self.emit(events.TrackerBack(url.text))

    def leave(self, limit: float) -> None:
        """Send every ``stopped``, all at the same time, for at most ``limit`` seconds. Ends the thread."""
        deadline = time.monotonic() + limit
        with self.changed:
            self._closed = True
            announcers = self._announcers.values()
            jobs = [(each, job) for each in announcers for job in each.plan.leave(time.monotonic())]
            self.changed.notify_all()
        threads = [
            threading.Thread(target=self._stop, args=(*job, deadline), name="stopped", daemon=True)
            for job in jobs[:MAX_STOPPED]
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._udp.close()

    def stop(self, announcer: StandardAnnouncer, limit: float) -> None:
        """Send the ``stopped`` of one torrent, in the background."""
        deadline = time.monotonic() + limit
        with self.changed:
            jobs = announcer.plan.leave(time.monotonic())
        for job in jobs:
            threading.Thread(
                target=self._stop, args=(announcer, job, deadline), name="stopped", daemon=True
            ).start()

    # ---- on threads

    def _run(self) -> None:
        while True:
            with self.changed:
                if self._closed:
                    return
                jobs = self._due()
                for announcer, job in jobs:
                    threading.Thread(
                        target=self._announce,
                        args=(announcer, job),
                        name=f"announce to {job.url.host}",
                        daemon=True,
                    ).start()
                if not jobs:
                    self.changed.wait(self._seconds_to_wait())

    def _due(self) -> list[tuple[StandardAnnouncer, AnnounceJob]]:
        now = time.monotonic()
        jobs: list[tuple[StandardAnnouncer, AnnounceJob]] = []
        for announcer in self._announcers.values():
            if self._busy + len(announcer.plan.tiers) > MAX_BUSY:
                break
            for job in announcer.plan.jobs(now):
                jobs.append((announcer, job))
                self._busy += 1
        return jobs

    def _seconds_to_wait(self) -> float | None:
        if self._busy >= MAX_BUSY - 16:
            return 1.0
        due = min((each.plan.next_due() for each in self._announcers.values()), default=float("inf"))
        return None if due == float("inf") else max(0.0, due - time.monotonic())

    def _announce(self, announcer: StandardAnnouncer, job: AnnounceJob) -> None:
        try:
            result = self.send(announcer, job)
        except RemoteFault as error:
            announcer.failed(job, error)
        except Exception as error:  # a tier whose announce never ends would be silent for ever
            announcer.failed(job, TrackerUnavailable(f"tracker {job.url.text} cannot be asked: {error!r}"))
        else:
            announcer.answered(job, result)
        finally:
            with self.changed:
                self._busy -= 1
                self.changed.notify_all()

    def _stop(self, announcer: StandardAnnouncer, job: AnnounceJob, deadline: float) -> None:
        limit = deadline - time.monotonic()
        with self.changed:  # "started" must not arrive after "stopped"
            self.changed.wait_for(lambda: job.tier.busy is not job.tracker, limit * STOP_GRACE)
        try:
            self.send(announcer, job, max(0.1, deadline - time.monotonic()))
        except RemoteFault as error:
            log(f"{announcer.name}: {error}; it will notice later that this node left")
