"""The live log with a lock, a clock and a thread: the service notes, nodes report, viewers read.

The five requests of a node only leave a notice in a queue. Events are made of notices by the thread, every
PUBLISH_SECONDS; if they come faster than that, further ones are dropped and counted as a gap. All viewers see
what was published last, until the next time, so their answers are rendered once.
"""

from __future__ import annotations

import gzip
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from common.addresses import Addr
from common.messages import OwnedFile, OwnerEntry, PeerEntry
from common.swarm_shape import MAX_NODES
from tracker.see.live_log import DroppedState, LiveLog
from tracker.see.notices import (
    AnnounceNotice,
    ExitNotice,
    NeedNotice,
    Notice,
    OwnNotice,
    RegisterNotice,
    RemovedNotice,
    UpdateNotice,
)
from tracker.see.report import NodeReport, ReportAnswer
from tracker.see.tracker_events import address

PUBLISH_SECONDS = 0.25  # between two moments at which viewers get new events
MAX_NOTICES = 1000  # that wait for the thread; further ones are dropped and counted
MAX_ANNOUNCES = 20  # of standard peers in that time; further ones are counted
STOP_SECONDS = 1.0  # for the thread to end
PACKING_LEVEL = 1  # of gzip: the fastest
EPOCH_BYTES = 8  # of randomness in an epoch

LineSink = Callable[[list[bytes]], None]
"""Takes new lines of the log without waiting."""


@dataclass
class SwarmAnswer:
    """The answer to ``GET /swarm``."""

    body: bytes
    tag: str  # the same tag: nothing is new

    @cached_property
    def packed(self) -> bytes:
        """The body as gzip, made once for all viewers."""
        return gzip.compress(self.body, PACKING_LEVEL)


class LogKeeper:
    """Thread-safe. Without ``start`` it publishes when a viewer asks."""

    def __init__(self, ranking: str = "uploads", clock: Callable[[], float] = time.monotonic) -> None:
        """``ranking``: a name in ``tracker.ranking.STRATEGIES``; ``clock``: seconds."""
        self.epoch = secrets.token_hex(EPOCH_BYTES)
        """Names this log. It differs after each start of a tracker."""
        self._clock = clock
        self._begun = clock()
        self._header: dict[str, Any] = {}
        self._addrs: dict[int, Addr] = {}  # of the nodes in the log
        self._notices: deque[tuple[float, Notice]] = deque()
        self._dropped = 0  # notices
        self._announces = self._more_announces = 0  # since the last notices were written; not noted
        self._dropped_lock = threading.Lock()
        self._lock = threading.Lock()  # guards what follows
        self._log = LiveLog(ranking)
        self._published = 0  # position up to which viewers may read
        self._published_at = clock()
        self._answers: dict[int | None, SwarmAnswer] = {}  # since the last time, by ``since``
        self._sink: LineSink | None = None
        self._ticking = threading.Lock()  # held by the thread that publishes; guards ``_dropped_state``
        self._dropped_state = DroppedState()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live log", daemon=True)

    # ---- its life

    def begin(
        self, header: dict[str, Any], addr: Addr | None, *, at_ms: float = 0.0, sink: LineSink | None = None
    ) -> None:
        """Write the first event. ``header``: line 1 of the log; ``addr``: where the tracker listens.

        ``at_ms``: the log's time now, later than 0 if a recording goes on. ``sink`` gets every line.
        """
        with self._lock:
            self._header, self._sink = header, sink
            self._begun = self._clock() - at_ms / 1000
            if sink is not None:
                self._log.unrecorded = []
            shown = None if addr is None else address(addr)
            self._log.write("tracker:started", {"epoch": self.epoch, "addr": shown}, at_ms)

    def start(self) -> None:
        """Publish from now on in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and publish what is left."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)
        self.publish()

    def now_ms(self) -> float:
        """The log's clock."""
        return (self._clock() - self._begun) * 1000

    def _run(self) -> None:
        while not self._stop.wait(PUBLISH_SECONDS):
            self.publish()

    # ---- notices of the service

    def on_register(self, node_id: int, addr: Addr) -> None:
        """REGISTER or OWN of a node: mostly it is in the log already, at this address."""
        if self._addrs.get(node_id) == addr or (len(self._addrs) >= MAX_NODES and node_id not in self._addrs):
            return
        self._addrs[node_id] = addr
        self._note(RegisterNotice(node_id, addr))

    def on_own(self, node_id: int, files: Sequence[OwnedFile]) -> None:
        """OWN that changed the records."""
        if node_id in self._addrs:
            self._note(OwnNotice(node_id, files))

    def on_need(
        self,
        node_id: int,
        filename: str | None,
        info_hash: str | None,
        owners: Sequence[OwnerEntry],
        peers: Sequence[PeerEntry],
    ) -> None:
        """NEED and its answer."""
        if node_id in self._addrs:
            self._note(NeedNotice(node_id, filename, info_hash, owners, peers))

    def on_update(self, node_id: int, uploads: int, by: int) -> None:
        """UPDATE that was counted: ``node_id`` has so many uploads now."""
        if node_id in self._addrs:
            self._note(UpdateNotice(node_id, uploads, by))

    def on_exit(self, node_id: int) -> None:
        """EXIT of a node that was in."""
        if self._addrs.pop(node_id, None) is not None:
            self._note(ExitNotice(node_id))

    def on_removed(self, node_id: int, silent_seconds: float) -> None:
        """The tracker removed a silent node."""
        if self._addrs.pop(node_id, None) is not None:
            self._note(RemovedNotice(node_id, silent_seconds * 1000))

    def on_announce(self, info_hash: str, addr: Addr, event: str, complete: bool) -> None:
        """A standard peer came, completed its download, or left (``event`` in BEP 3's words)."""
        self._announces += 1
        if self._announces > MAX_ANNOUNCES:
            with self._dropped_lock:
                self._more_announces += 1
            return
        with self._dropped_lock:
            others, self._more_announces = self._more_announces, 0
        self._note(AnnounceNotice(info_hash, addr, event, complete, others))

    def _note(self, notice: Notice) -> None:
        if len(self._notices) < MAX_NOTICES:
            self._notices.append((self.now_ms(), notice))
        else:
            with self._dropped_lock:
                self._dropped += 1

    # ---- reports of nodes

    def take_report(self, report: NodeReport, received_ms: float) -> ReportAnswer:
        """Write the events of a report that came in at ``received_ms``.

        MessageError: an event is wrong. TrackerFull: no room for the node.
        """
        events = report.checked_events()
        with self._lock:
            self._write_notices()
            next_seq = self._log.take_report(report, events, received_ms)
            return ReportAnswer("Report taken", next_seq, self._log.interval_ms, self.epoch)

    # ---- viewers

    def answer(self, epoch: str | None, since: int | None) -> SwarmAnswer:
        """What is new after position ``since`` of the log ``epoch``; from a keyframe on if that is gone."""
        if not self._thread.is_alive() and self._clock() - self._published_at >= PUBLISH_SECONDS:
            self.publish()
        wanted = since if epoch == self.epoch else None
        with self._lock:
            found = self._answers.get(wanted)
            if found is None:
                found = self._answers[wanted] = self._rendered(wanted)
            return found

    def _rendered(self, since: int | None) -> SwarmAnswer:
        step = self._log.step(since if since is None or since <= self._published else None)
        first = step.first if since is None or step.first is not None else None
        lines, last = step.lines, step.last
        if last > self._published:
            lines, last = lines[: len(lines) - (last - self._published)], self._published
        fields: dict[str, Any] = {"epoch": self.epoch, "seq": last, "end": self._published}
        fields |= {"now": round(self.now_ms(), 3), "more": last < self._published}
        if first is not None:
            fields["first"] = first
        if first is not None or not since:
            fields["header"] = self._header
        head = msgspec.json.encode(fields)
        body = b'%s,"events":[%s]}' % (head[:-1], b",".join(lines))
        return SwarmAnswer(body, f"{self.epoch}-{'' if since is None else since}-{last}")

    # ---- publishing

    def publish(self) -> None:
        """Make events of the notices, note silent nodes, and let viewers read up to here."""
        if not self._ticking.acquire(blocking=False):
            return  # another thread does it
        try:
            with self._lock:
                self._write_notices()
                self._log.note_silent_nodes(self.now_ms())
                self._published, self._published_at = self._log.last, self._clock()
                self._answers.clear()
                lines, self._log.unrecorded = self._log.unrecorded, None if self._sink is None else []
            if lines and self._sink is not None:
                self._sink(lines)
            self._drop_oldest()
        finally:
            self._ticking.release()

    def _write_notices(self) -> None:
        self._announces = 0
        while self._notices:
            at, notice = self._notices.popleft()
            self._log.take_notice(notice, at)
        if self._dropped:
            with self._dropped_lock:
                dropped, self._dropped = self._dropped, 0
            span = round((self._clock() - self._published_at) * 1000, 3)
            self._log.write("gap", {"events": dropped, "span_ms": span}, self.now_ms())

    def _drop_oldest(self) -> None:
        """Replace the oldest events by a keyframe. It is computed without the lock."""
        while True:
            with self._lock:
                block = self._log.oldest_block()
            if block is None:
                return
            keyframe = self._dropped_state.keyframe_after(block)
            with self._lock:
                self._log.drop_oldest(keyframe)
                self._answers.clear()
