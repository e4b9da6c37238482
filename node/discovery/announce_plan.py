"""Which tracker of a torrent is announced to, when, and with which event (BEP 3, BEP 12, BEP 15). Pure.

A torrent has tiers of trackers. Every tier has one announce at a time, at its first tracker that works. The
order within a tier is random, chosen once, so that the members of a swarm spread over the trackers. A tracker
that answers moves to the front: members that failed over meet there. (BEP 12 asks the second tier only if the
first fails. Most torrents today have one tier for each tracker, and clients that ask one of them miss peers.)

    a tracker fails       the next one of the tier that may be asked is asked at once
    all have failed       each is asked again after its own delay
    over UDP              try n = 0, 1, 2 ... waits 15 * 2**n seconds, with n at most 8 (BEP 15)
    over HTTP             the delay grows from 15 s to half an hour

Each tracker gets ``started`` first and ``stopped`` last. ``completed`` goes to the one tracker of each tier
that is announced to, once, and only if the content became complete in this run.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from common.addresses import Addr
from common.backoff import Backoff
from common.udp_tracker import AnnounceEvent
from node.discovery.announce import AnnounceResult
from node.discovery.announce_url import AnnounceUrl

UDP_FIRST_TRY = 15.0  # seconds; doubled with each further try
UDP_MAX_DOUBLINGS = 8  # 15 * 2**8 = 3,840 seconds
UDP_WAIT = 60.0  # max seconds that a try listens for its answer
HTTP_RETRY = Backoff(first=15.0, limit=1800.0, jitter=0.2)
REFUSED_RETRY = Backoff(first=60.0, limit=1800.0, jitter=0.2)  # the tracker answered that it will not
INTERVAL_JITTER = 0.05  # part of an interval: peers that started together drift apart


def udp_try_seconds(failures: int) -> float:
    """Seconds from the try that follows ``failures`` failed ones to the next (BEP 15)."""
    return float(UDP_FIRST_TRY * 2 ** min(failures, UDP_MAX_DOUBLINGS))


@dataclass(eq=False)
class TierTracker:
    """The facts about one tracker of a torrent. Times are monotonic seconds."""

    url: AnnounceUrl
    is_held: bool = False  # not asked at present: it may speak the classroom's protocol
    failures: int = 0  # in a row
    retry_at: float = -math.inf  # not asked before
    reason: str = ""  # why it failed the last time; "": it did not
    refuses: bool = False  # it answered, and refused
    answered_at: float | None = None
    entered: bool = False  # it took an announce since the last "stopped"
    result: AnnounceResult | None = None  # its last answer

    @property
    def tracker_id(self) -> bytes:
        return self.result.tracker_id if self.result is not None else b""


@dataclass(eq=False)
class Tier:
    """The trackers of one tier, the one to ask first in front."""

    trackers: list[TierTracker]
    due: float = -math.inf
    busy: TierTracker | None = None  # an announce to it is under way
    completed_due: bool = False  # "completed" was not taken yet
    peers: Sequence[Addr] = field(default_factory=tuple)  # of the last answer


@dataclass(frozen=True)
class AnnounceJob:
    """One announce to be sent."""

    tier: Tier
    tracker: TierTracker
    event: AnnounceEvent
    began: float
    timeout: float | None  # max seconds to listen for a UDP answer; None: HTTP has its own

    @property
    def url(self) -> AnnounceUrl:
        return self.tracker.url


class AnnouncePlan:
    """The announces of one torrent. The caller locks, and reports how each job ended."""

    def __init__(self, tiers: Sequence[Sequence[AnnounceUrl]], rng: random.Random) -> None:
        self._rng = rng
        self.tiers = [
            Tier([TierTracker(url) for url in rng.sample(tier, len(tier))]) for tier in tiers if tier
        ]
        self.is_active = False

    # ---- what the torrent does

    def enter(self) -> None:
        """The torrent takes part in its swarm from now on."""
        if not self.is_active:
            self.is_active = True
            for tier in self.tiers:
                tier.due, tier.completed_due = -math.inf, False

    def complete(self, now: float) -> None:
        """The content became complete now."""
        for tier in self.tiers:
            tier.completed_due = True
            tier.due = min(tier.due, now)

    def want_peers(self, now: float) -> None:
        """Ask for more peers as soon as the trackers' minimum intervals allow."""
        for tier in self.tiers:
            front = tier.trackers[0]
            if front.result is not None and front.answered_at is not None and not front.failures:
                tier.due = min(tier.due, max(now, front.answered_at + front.result.min_interval))

    def leave(self, now: float) -> list[AnnounceJob]:
        """The torrent leaves its swarm; returns the "stopped" for each tracker that may list it."""
        self.is_active = False
        jobs = []
        for tier in self.tiers:
            for tracker in tier.trackers:
                if tracker.entered or tracker is tier.busy:
                    jobs.append(AnnounceJob(tier, tracker, AnnounceEvent.STOPPED, now, None))
                tracker.entered = False
        return jobs

    def retry(self, now: float) -> None:
        """Ask the trackers that did not answer again now: the fault was on this side."""
        for tier in self.tiers:
            silent = [each for each in tier.trackers if each.failures and not each.refuses]
            for tracker in silent:
                tracker.failures, tracker.retry_at = 0, -math.inf
            if silent and tier.busy is None:
                tier.due = min(tier.due, now)

    def hold(self, is_held: Callable[[AnnounceUrl], bool], now: float) -> None:
        """Decide again which trackers are left out. A tier whose tracker is let in is due at once."""
        for tier in self.tiers:
            for tracker in tier.trackers:
                before, tracker.is_held = tracker.is_held, is_held(tracker.url)
                if before and not tracker.is_held and tier.busy is None:
                    tier.due = min(tier.due, now)

    # ---- announces

    def jobs(self, now: float) -> list[AnnounceJob]:
        """The announces to send now. Each must end with ``answered`` or ``failed``."""
        if not self.is_active:
            return []
        due = [tier for tier in self.tiers if tier.busy is None and tier.due <= now]
        return [job for tier in due for job in self._job(tier, now)]

    def next_due(self) -> float:
        """When ``jobs`` has something, monotonic seconds; infinite if only an event changes that."""
        idle = [tier.due for tier in self.tiers if tier.busy is None] if self.is_active else []
        return min(idle, default=math.inf)

    def answered(self, job: AnnounceJob, result: AnnounceResult, now: float) -> None:
        """The tracker took the announce."""
        tier, tracker = job.tier, job.tracker
        tracker.failures, tracker.reason, tracker.refuses = 0, "", False
        tracker.retry_at, tracker.answered_at = -math.inf, now
        tracker.result, tracker.entered = result, self.is_active
        tier.trackers.remove(tracker)
        tier.trackers.insert(0, tracker)
        tier.peers, tier.busy = result.peers, None
        if job.event is AnnounceEvent.COMPLETED:
            tier.completed_due = False
        later = now + result.interval * self._rng.uniform(1.0, 1.0 + INTERVAL_JITTER)
        tier.due = now if tier.completed_due else later

    def failed(
        self, job: AnnounceJob, reason: str, now: float, refuses: bool = False, retry_in: float | None = None
    ) -> None:
        """The announce ended without a usable answer. ``retry_in``: seconds, if the tracker named a time."""
        tracker = job.tracker
        tracker.reason, tracker.refuses = reason, refuses
        if refuses:
            tracker.answered_at = now
            delay = REFUSED_RETRY.delay(tracker.failures, self._rng)
            tracker.retry_at = now + (delay if retry_in is None else retry_in)
        elif tracker.url.is_udp:
            tracker.retry_at = job.began + udp_try_seconds(tracker.failures)
        else:
            tracker.retry_at = now + HTTP_RETRY.delay(tracker.failures, self._rng)
        tracker.failures += 1
        job.tier.busy = None
        job.tier.due = now

    # ---- for the user and the download

    def peers(self) -> list[Addr]:
        """The peers of all tiers' last answers, each once."""
        return list(dict.fromkeys(addr for tier in self.tiers for addr in tier.peers))

    def trackers(self) -> Iterator[TierTracker]:
        """Every tracker, by tier."""
        return (tracker for tier in self.tiers for tracker in tier.trackers)

    def is_sending(self, now: float) -> bool:
        """True while an announce is under way or due."""
        return self.is_active and any(
            tier.busy is not None
            or (tier.due <= now and any(not each.is_held and each.retry_at <= now for each in tier.trackers))
            for tier in self.tiers
        )

    # ---- steps

    def _job(self, tier: Tier, now: float) -> Iterator[AnnounceJob]:
        candidates = [tracker for tracker in tier.trackers if not tracker.is_held]
        tracker = next((each for each in candidates if each.retry_at <= now), None)
        if tracker is None:
            tier.due = min((each.retry_at for each in candidates), default=math.inf)
            return
        tier.busy = tracker
        event = AnnounceEvent.NONE if tracker.entered else AnnounceEvent.STARTED
        if tier.completed_due:
            event = AnnounceEvent.COMPLETED
        timeout = min(udp_try_seconds(tracker.failures), UDP_WAIT) if tracker.url.is_udp else None
        yield AnnounceJob(tier, tracker, event, now, timeout)
