"""The thread ``report``: looks at the node a few times a second, and reports the events to its tracker."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from common.addresses import join_host_port
from common.logs import log
from node import events
from node.discovery.announcer import TrackerAnnouncer
from node.notes import ConnectionNote, RangeRepaired
from node.recorder import FlightRecorder
from node.report.collector import EventCollector
from node.report.look import NodeLook
from node.report.post import ReportClient
from node.report.sender import LEAST_PAUSE, ReportSender
from node.settings import NodeSettings
from node.torrent_table import TorrentTable
from node.transports import NodeTransports

MAX_NOTES = 1000  # of connections between two looks; the oldest go
STORY_ROOM = 4000  # bytes that it must have left for the messages around a repaired loss
STORY = 12  # messages around a repaired loss
PROGRAM = "classroom-swarm 0.1"


class Reporter:
    """Reports of one run of a node. Methods may be called from any thread."""

    def __init__(
        self,
        settings: NodeSettings,
        torrents: TorrentTable,
        recorder: FlightRecorder,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._torrents = torrents
        self._recorder = recorder
        self._clock = clock
        self._collector = EventCollector(clock)
        self._news = threading.Event()
        self._closing = threading.Event()
        self._notes: deque[ConnectionNote] = deque(maxlen=MAX_NOTES)
        self._failed: deque[str] = deque(maxlen=4)  # reasons of downloads since the last look
        self._thread: threading.Thread | None = None

    def watched(self, emit: events.EventSink) -> events.EventSink:
        """The sink that takes an event for the log, and then calls ``emit``."""

        def watch(event: events.Event) -> None:
            if self._collector.on_event(event):
                self._news.set()
            if isinstance(event, events.Failed) and not isinstance(event, events.Cancelled):
                self._failed.append(event.reason)
            emit(event)

        return watch

    def note(self, note: ConnectionNote) -> None:
        """Take a note of a connection."""
        self._notes.append(note)

    def add(self, name: str, data: dict[str, Any]) -> None:
        """An event of the log happens now."""
        self._collector.add(name, data)
        self._news.set()

    def dump(self, reason: str) -> None:
        """Report the last messages of the flight recorder."""
        self._collector.dump(reason, self._recorder.recent_messages())
        self._news.set()

    def start(self, transports: NodeTransports, announcer: TrackerAnnouncer) -> None:
        """Begin to report to the tracker of ``announcer``."""
        transfer, tcp = self._settings.transfer, transports.tcp
        started = {
            "addr": join_host_port(*transports.addr),
            "tcp_addr": None if tcp is None else join_host_port(*tcp.addr),
            "up_limit": transfer.upload_limit,
            "down_limit": transfer.download_limit,
            "slots": transfer.upload_slots,
            "transports": list(transports.by_name),
            "program": PROGRAM,
        }
        client = ReportClient(announcer.client)
        node_id = self._settings.classroom_id
        parts = self._collector, client.post, announcer.return_now, node_id, started, self._clock
        look = NodeLook(self._torrents, transports.by_name)

        def run() -> None:
            try:
                self._run(look, ReportSender(*parts))
            except Exception as error:  # any: a node works without its reports
                log(f"this node reports nothing more: {error!r}")
            finally:
                self._collector.end()
                client.close()

        self._thread = threading.Thread(target=run, name="report", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Have the last events sent. Returns at once: ``join`` waits."""
        self._closing.set()
        self._news.set()

    def join(self, timeout: float) -> None:
        """Wait for the last report, at most ``timeout`` seconds."""
        if self._thread is not None:
            self._thread.join(timeout)

    # ---- the thread

    def _run(self, look: NodeLook, sender: ReportSender) -> None:
        sender.introduce()
        while not self._closing.is_set():
            looked_at = self._clock()
            self._look(look, sender)
            sender.send()
            if not sender.is_wanted:
                return
            self._pause(sender, looked_at)
        if sender.is_answered:
            self._look(look, sender)
            self._collector.add("node:left", {})
            sender.send_last()

    def _pause(self, sender: ReportSender, looked_at: float) -> None:
        if self._news.wait(sender.pause):
            self._closing.wait(max(0.0, looked_at + max(LEAST_PAUSE, sender.asked_pause) - self._clock()))
        self._news.clear()

    def _look(self, look: NodeLook, sender: ReportSender) -> None:
        self._collector.begin_look()
        snapshots = look.snapshots()
        notes = [self._notes.popleft() for _ in range(len(self._notes))]
        self._collector.looked(snapshots, list(look.samples()), notes, look.held, look.name)
        sender.moved(sum(snapshot.down + snapshot.up for snapshot in snapshots))
        while self._failed:
            self.dump(f"a download failed: {self._failed.popleft()}")
        repaired = [note for note in notes if isinstance(note, RangeRepaired)]
        if repaired and sender.room > STORY_ROOM:
            lost = repaired[-1].lost
            peer, length = look.name(lost.peer), lost.end - lost.start
            rows = self._recorder.messages_around(peer, lost.start, length, STORY)
            self._collector.dump("bytes were lost and asked for again", rows, is_sample=True)
