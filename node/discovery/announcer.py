"""Keeps one classroom tracker informed: heartbeats, files, credits.

One thread for each tracker. If a tracker is down or busy, its messages wait here and nothing else waits. A
tracker that lost its records of this node receives all of them again.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from common.errors import NoClassroomTracker, TrackerBusy, TrackerRefused, TrackerUnavailable
from common.logs import log
from common.messages import OwnedFile
from node import events
from node.discovery.announced_files import AnnouncedFiles
from node.discovery.base import Credit, OnFound
from node.discovery.classroom import CONFLICT, FORBIDDEN, TrackerClient, is_named_without_credit
from node.discovery.meeting import MeetingPlan
from node.discovery.outbox import Outbox
from node.discovery.schedule import HeartbeatSchedule

T = TypeVar("T")


class TrackerAnnouncer:
    """Announces a node at ``addr`` to the tracker of ``client``. Implements Announcer.

    ``owned`` returns every file that this tracker should know. Call ``enter`` or ``enter_later``, then
    ``run`` on a thread of its own.
    """

    def __init__(
        self,
        client: TrackerClient,
        addr: tuple[str, int],
        owned: Callable[[], Sequence[OwnedFile]],
        heartbeat: float,
        emit: events.EventSink,
        on_kind: Callable[[bool], None] | None = None,
        on_found: OnFound | None = None,
    ) -> None:
        """``on_kind`` is called with True if the tracker answers as a classroom tracker does, with False if a
        server of another kind does. Without it, a server of another kind is a fault. ``on_found`` is called
        with the standard leechers of a file that is served; without it they are not asked for.
        """
        self.client = client
        self._addr = addr
        self._owned = owned
        self._heartbeat = heartbeat
        self._emit = emit
        self._on_kind = on_kind
        self._on_found = on_found
        self._changed = threading.Condition()  # guards what follows
        self._outbox = Outbox()
        self._sending = False
        self._running = False
        self._stopped = False
        self._entering = False  # the first REGISTER is still to be sent
        self._joined = False  # entered by a torrent, not by the user
        self._away = False  # this node cannot be reached: EXIT instead of heartbeats
        self._exit_due = False
        self._announced = AnnouncedFiles()
        self._meeting = MeetingPlan()
        self._failure: TrackerRefused | TrackerUnavailable | None = None  # of the last REGISTER or message
        self._answered_at: float | None = None  # monotonic seconds
        self._schedule = HeartbeatSchedule(heartbeat, random.Random())
        self._busy_answers = 0  # in a row: messages that the tracker did not take now
        self._busy_reason = ""  # of the last of them
        self._messages_due = 0.0  # when messages are sent again, monotonic seconds

    # ---- for the node, from any thread

    @property
    def answers(self) -> bool:
        """True if the tracker answered the last request."""
        return self._failure is None and not self._entering

    @property
    def counts_credit(self) -> bool:
        return True

    @property
    def is_of_another_kind(self) -> bool:
        """True if a server answers there that is no classroom tracker. It may be a standard one."""
        return self._on_kind is not None and isinstance(self._failure, NoClassroomTracker)

    @property
    def why_messages_wait(self) -> str:
        """Why messages cannot be sent now."""
        if self._failure is not None:
            return str(self._failure)
        return self._busy_reason if self._busy_answers else f"tracker {self.client.url} has not answered yet"

    def status(self) -> events.TrackerStatus:
        """A row of ``-peers``."""
        since = None if self._answered_at is None else max(0.0, time.monotonic() - self._answered_at)
        failure = self._failure
        state = "answers" if self.answers else "not asked yet"
        if failure is not None:
            state = "refuses" if isinstance(failure, TrackerRefused) else "does not answer"
        return events.TrackerStatus(
            self.client.name, self.client.urls, self.answers, state, str(failure or ""), since
        )

    def enter(self) -> None:
        """REGISTER now. TrackerRefused if the tracker refuses; no answer is no error.

        If the tracker knows the node already, an earlier run ended without EXIT, and its files may be gone.
        So that record is removed first.
        """
        try:
            if self._register():
                self.client.exit()
                self._register()
        except TrackerUnavailable as error:
            self._failed(error)

    def enter_later(self) -> None:
        """REGISTER on the thread of ``run``. A server that refuses then is not asked again.

        That one of another kind answers there is no news for the user: a torrent may name standard trackers.
        """
        self._entering = self._joined = True

    def announce(self, file: OwnedFile) -> None:
        """Send OWN soon."""
        with self._changed:
            self._outbox.add_files([file])
            self._changed.notify_all()

    def withdraw(self, file: OwnedFile) -> None:
        """This node does not serve ``file`` any more.

        An older tracker can only forget all files, and the node's upload credit with them. So a node with
        credit stays there, and is still named; peers that ask learn at once that the file is not shared.
        """
        with self._changed:
            self._outbox.remove_file(file)
            if self._announced.withdraw(file):
                self._changed.notify_all()

    def credit(self, credit: Credit) -> None:
        """Send UPDATE soon."""
        with self._changed:  # numbers grow in the order of sending
            self._outbox.add_credit(replace(credit, receipt=self.client.next_receipt()))
            self._changed.notify_all()

    def flush(self, timeout: float) -> bool:
        """Wait until every message was sent or cannot be sent now, at most ``timeout`` seconds."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._failure or self._busy_answers or self._stopped or not self._pending(), timeout
            )
            return not self._pending() or self.is_of_another_kind

    def leave_for_now(self) -> None:
        """Send EXIT, and no heartbeats until ``return_now``: peers cannot reach this node."""
        with self._changed:
            self._exit_due = self.answers
            self._away = True
            self._changed.notify_all()

    def return_now(self) -> None:
        """REGISTER and OWN again: peers can reach this node, or the tracker forgot it."""
        with self._changed:
            self._away = self._exit_due = False
            self._outbox.add_files(self._owned())
            self._schedule.due = 0.0
            self._changed.notify_all()

    def stop(self, timeout: float = 0.0) -> bool:
        """End ``run``. Waits at most ``timeout`` seconds for the request in progress; False if it goes on.

        Send EXIT afterwards: a REGISTER or OWN that arrives after EXIT would bring the node back.
        """
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._running, timeout)

    # ---- on the announcer's thread

    def run(self) -> None:
        """Send heartbeats and messages until ``stop``; the body of a thread."""
        while self._wait_for_work():
            try:
                self._step()
            except (TrackerUnavailable, TrackerRefused) as error:
                self._failed(error)
            finally:
                with self._changed:
                    self._running = False
                    self._changed.notify_all()

    def _step(self) -> None:
        if self._exit_due:
            self._exit_due = False
            self.client.exit()
        elif self._entering:
            self._enter_on_thread()
        else:
            if self._failure is not None or time.monotonic() >= self._schedule.due:
                self._register()
            if not self._stopped and time.monotonic() >= self._messages_due:
                self._send_messages()
                self._meet_leechers()

    def _enter_on_thread(self) -> None:
        try:
            if self._register():
                self.client.exit()
                self._register()
        except TrackerRefused as error:
            log(f"{error}; it is not asked again")
            with self._changed:
                self._failure, self._stopped = error, True
        except NoClassroomTracker as error:
            self._failed(error)
            with self._changed:
                self._stopped = self.is_of_another_kind
        finally:
            self._entering = False

    def _pending(self) -> bool:
        return bool(self._outbox or self._sending)

    def _wait_for_work(self) -> bool:
        with self._changed:
            while not self._stopped:
                wait = self._seconds_to_wait()
                if wait is not None and wait <= 0:
                    self._running = True
                    return True
                self._changed.wait(wait)
            return False

    def _seconds_to_wait(self) -> float | None:
        """Seconds until the next request; None: until something changes."""
        if self._exit_due:
            return 0.0
        if self._away:
            return None
        due = self._schedule.due
        if self._failure is None and (self._outbox or self._announced.has_withdrawn):
            due = min(due, self._messages_due)
        if self._failure is None:
            due = min(due, max(self._messages_due, self._meeting.next_due(time.monotonic())))
        return due - time.monotonic()

    def _register(self) -> bool:
        """REGISTER. True if the tracker knew this node."""
        answer = self.client.register(self._addr)
        with self._changed:
            was_lost = self._failure is not None
            self._failure = None
            self._answered_at = time.monotonic()
            self._schedule.answered(self._answered_at, self._interval(answer.interval))
        if was_lost:
            self._emit(events.TrackerBack(self.client.url))
        if self._on_kind is not None:
            self._on_kind(True)
        owned = self._owned()
        with self._changed:
            if self._announced.may_be_lost(answer, len(owned), self.client.connections):
                self._outbox.add_files(owned)
        return answer.known

    def _interval(self, asked: float) -> float:
        """A tracker that knows claims extends its deadline with the interval; another tracker may not."""
        return asked if self.client.knows_claims else min(asked, self._heartbeat)

    def _send_messages(self) -> None:
        try:
            if self._announced.has_withdrawn and self._failure is None:
                self._take_files_back()
            self._send_files_and_credits()
        except TrackerBusy as error:  # the tracker lives: heartbeats go on, and the messages wait
            self._busy(error)
        else:
            self._busy_answers = 0

    def _take_files_back(self) -> None:
        """OWN with ``withdraw``. At an older tracker that names this node: EXIT, REGISTER, and OWN."""
        served = self._owned()
        with self._changed:
            withdrawn = self._announced.take_withdrawn(served)
        try:
            known = self._with_secret(lambda: self.client.withdraw(withdrawn)) if withdrawn else None
            if known is not None:
                with self._changed:
                    self._announced.taken_back(withdrawn, known)
            elif any(is_named_without_credit(self.client, file) for file in withdrawn):
                self.client.exit()
                with self._changed:
                    self._announced.left()
                self._register()
        except TrackerUnavailable:
            with self._changed:
                self._announced.put_back(withdrawn)
            raise

    def _send_files_and_credits(self) -> None:
        with self._changed:
            files, credits = self._outbox.take()
            self._announced.sent(files)
            self._sending = True
        try:
            if files:
                self._send_files(files)
                files = []
            while credits:
                self._send_credit(credits[0])
                credits.pop(0)
            self._answered_at = time.monotonic()
        finally:
            with self._changed:
                self._outbox.put_back((files, credits))
                self._sending = False
                self._changed.notify_all()

    def _send_files(self, files: list[OwnedFile]) -> None:
        try:
            self._announced.counted(self._with_secret(lambda: self.client.own(files)))
            if self._on_found is not None:
                self._meeting.announced(files, time.monotonic())
        except TrackerRefused as error:
            if error.status in (CONFLICT, FORBIDDEN):
                raise
            self._emit(events.NotAnnounced(self.client.url, str(error), is_retried=False))

    def _meet_leechers(self) -> None:
        """Ask for the standard peers of a file that is served."""
        if self._on_found is None or self._meeting.next_due(now := time.monotonic()) > now:
            return
        file = self._meeting.take(self._owned(), now)
        if file is None or file.info_hash is None:
            return
        try:
            leechers = self.client.leechers(file)
        except TrackerBusy as error:
            log(f"{error} (the leechers of {file.filename!r} are asked for later)")
            return
        if leechers:
            self._on_found(bytes.fromhex(file.info_hash), leechers)

    def _send_credit(self, credit: Credit) -> None:
        def send() -> None:
            counted = self.client.update(
                credit.filename, credit.node_id, credit.info_hash, credit.amount, credit.receipt
            )
            if not counted:
                log(f"node {credit.node_id} gets no credit: not counted for {credit.filename!r}")

        try:
            self._with_secret(send)
        except TrackerRefused as error:
            log(f"node {credit.node_id} gets no credit: {error}")  # it may have left

    def _with_secret(self, send: Callable[[], T]) -> T:
        """Call ``send``. If the tracker has lost our secret, REGISTER and call it again."""
        try:
            return send()
        except TrackerRefused as error:
            if error.status != FORBIDDEN:
                raise
            self._register()
            return send()

    def _failed(self, error: TrackerUnavailable | TrackerRefused) -> None:
        retry_after = error.retry_after if isinstance(error, TrackerBusy) else 0.0
        with self._changed:
            before, self._failure = self._failure, error
            refuses = isinstance(error, TrackerRefused)
            is_new = before is None or isinstance(before, TrackerRefused) != refuses
            if isinstance(error, (TrackerRefused, TrackerBusy)):
                self._answered_at = time.monotonic()
            self._schedule.failed(time.monotonic(), retry_after)
            self._changed.notify_all()
        if is_new and not (self._joined and self.is_of_another_kind):
            self._emit(events.TrackerLost(self.client.url, str(error), refuses))
        if self.is_of_another_kind and self._on_kind is not None:
            self._on_kind(False)

    def _busy(self, error: TrackerBusy) -> None:
        with self._changed:
            is_new = not self._busy_answers
            delay = self._schedule.retry_delay(self._busy_answers, error.retry_after)
            self._messages_due = time.monotonic() + delay
            self._busy_answers += 1
            self._busy_reason = str(error)
            self._changed.notify_all()
        if is_new:
            log(f"{error} (the messages are sent again)")
