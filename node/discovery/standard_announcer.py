"""Announces one torrent to standard trackers: its plan, its peers, and the user's messages about them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from common.errors import RemoteFault, TrackerRefused, TrackerUnavailable
from common.logs import log
from common.messages import OwnedFile
from common.metainfo import Metainfo
from node import events
from node.discovery.announce import AnnounceResult
from node.discovery.announce_plan import AnnounceJob, AnnouncePlan, TierTracker
from node.discovery.announce_url import AnnounceUrl
from node.discovery.base import Credit, TransferTotals
from node.peer import FoundPeer, Peer

if TYPE_CHECKING:
    from node.discovery.standard import StandardTrackers

FIND_LIMIT = 20.0  # max seconds that ``find`` waits for a tracker
STOP_LIMIT = 10.0  # max seconds for the "stopped" of a torrent while the node goes on


class StandardAnnouncer:
    """Announces one torrent to its standard trackers. Implements Announcer and PeerSource."""

    def __init__(
        self,
        info_hash: bytes,
        tiers: Sequence[Sequence[AnnounceUrl]],
        totals: Callable[[], TransferTotals],
        trackers: StandardTrackers,
    ) -> None:
        """``totals`` is called at each announce, from any thread."""
        self.info_hash = info_hash
        self.tiers = tiers
        self.totals = totals
        self.plan = AnnouncePlan(tiers, random.Random())
        self._trackers = trackers
        self._changed = trackers.changed  # guards the plan, and what follows
        self._was_incomplete = False
        self._found: Callable[[Sequence[FoundPeer]], None] | None = None
        self._answers = 0  # so far

    @property
    def client(self) -> StandardAnnouncer:
        """The PeerSource: itself."""
        return self

    def hold(self, is_held: Callable[[AnnounceUrl], bool]) -> None:
        """Decide again which trackers are left out."""
        with self._changed:
            self.plan.hold(is_held, time.monotonic())
            self._changed.notify_all()

    # ---- PeerSource

    @property
    def name(self) -> str:
        """The trackers that are announced to, as messages name them."""
        return ", ".join(tier.trackers[0].url.text for tier in self.plan.tiers)

    def find(self, info: Metainfo, found: Callable[[Sequence[FoundPeer]], None]) -> None:
        """Announce, as soon as the trackers' intervals allow, and call ``found``.

        Later answers call it again. Returns within FIND_LIMIT. RemoteFault if no tracker has ever answered.
        """
        is_incomplete = self.totals().left > 0
        with self._changed:
            self._found = found
            self._was_incomplete = self._was_incomplete or is_incomplete
            before = self._answers
            self._enter()
            self.plan.want_peers(time.monotonic())
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: self._answers > before or not self.plan.is_sending(time.monotonic()), FIND_LIMIT
            )
            if self._answers > before:
                return
            peers = self._peers()
            if not any(tracker.result is not None for tracker in self.plan.trackers()):
                raise TrackerUnavailable(self._why_no_answer())
        found(peers)

    # ---- Announcer

    @property
    def answers(self) -> bool:
        return any(self._is_working(tracker) for tracker in self.plan.trackers())

    @property
    def counts_credit(self) -> bool:
        return False

    def announce(self, file: OwnedFile) -> None:
        with self._changed:
            self._enter()
            if file.complete and self._was_incomplete:
                self._was_incomplete = False
                self.plan.complete(time.monotonic())
            elif not file.complete:
                self._was_incomplete = True
            self._changed.notify_all()

    def withdraw(self, file: OwnedFile) -> None:
        self._found = None
        self._trackers.stop(self, STOP_LIMIT)

    def credit(self, credit: Credit) -> None:
        """Standard trackers count no uploads of others."""

    def flush(self, timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(
                lambda: not self.plan.is_active or not self.plan.is_sending(time.monotonic()), timeout
            )

    def statuses(self) -> list[events.TrackerStatus]:
        """A row of ``-peers`` for each tier."""
        with self._changed:
            return [
                self._status(tier.trackers[0], tuple(each.url.text for each in tier.trackers))
                for tier in self.plan.tiers
                if not all(each.is_held for each in tier.trackers)
            ]

    # ---- results, from the threads of StandardTrackers

    def answered(self, job: AnnounceJob, result: AnnounceResult) -> None:
        """A tracker took an announce."""
        url = job.url
        with self._changed:
            warned = job.tracker.result.warning if job.tracker.result is not None else ""
            self.plan.answered(job, result, time.monotonic())
            peers, found = self._peers(), self._found
        is_seed = self.totals().left == 0
        if result.warning and result.warning != warned:
            log(f"tracker {url.text} warns: {result.warning}")
        self._trackers.report(url, self.info_hash, None)
        if found is not None:
            found(peers)
        if is_seed and result.leechers != 0:  # which of them are leechers is not known
            self._trackers.on_found(self.info_hash, [replace(each, complete=False) for each in peers])
        with self._changed:
            self._answers += 1
            self._changed.notify_all()

    def failed(self, job: AnnounceJob, error: RemoteFault) -> None:
        """An announce ended without a usable answer."""
        refuses = isinstance(error, TrackerRefused)
        with self._changed:
            retry_in = error.retry_in if isinstance(error, TrackerRefused) else None
            self.plan.failed(job, str(error), time.monotonic(), refuses, retry_in)
            is_active = self.plan.is_active
            self._changed.notify_all()
        if is_active:
            self._trackers.report(job.url, self.info_hash, error)

    # ---- steps; the lock is held

    def _enter(self) -> None:
        if not self.plan.is_active:
            self.plan.enter()

    def _peers(self) -> list[FoundPeer]:
        """The peers of the last answers, without this node."""
        listener = self._trackers.listener
        own = (listener.host, listener.port)
        return [FoundPeer(Peer(*addr, transport="tcp")) for addr in self.plan.peers() if addr != own]

    def _why_no_answer(self) -> str:
        reasons = [tracker.reason for tracker in self.plan.trackers() if tracker.reason]
        if all(tracker.is_held for tracker in self.plan.trackers()):
            return f"{self.name}: it is not known yet which protocol is spoken there"
        return "; ".join(reasons) or f"{self.name or 'the torrent'}: no tracker has answered yet"

    @staticmethod
    def _is_working(tracker: TierTracker) -> bool:
        return tracker.result is not None and not tracker.failures

    def _status(self, tracker: TierTracker, urls: tuple[str, ...]) -> events.TrackerStatus:
        working = self._is_working(tracker)
        state = "answers" if working else "not asked yet"
        if tracker.failures:
            state = "refuses" if tracker.refuses else "does not answer"
        since = None if tracker.answered_at is None else max(0.0, time.monotonic() - tracker.answered_at)
        return events.TrackerStatus(tracker.url.text, urls, working, state, tracker.reason, since)
