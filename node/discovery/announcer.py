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
from common.messages import OwnedFile, RegisterAnswer
from node import events
from node.discovery.base import Credit
from node.discovery.classroom import CONFLICT, FORBIDDEN, TrackerClient
from node.discovery.outbox import FileKey, Outbox, file_key
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
    ) -> None:
        """``on_kind`` is called with True if the tracker answers as a classroom tracker does, with False if a
        server of another kind does. Without it, a server of another kind is a fault.
        """
        self.client = client
        self._addr = addr
        self._owned = owned
        self._heartbeat = heartbeat
        self._emit = emit
        self._on_kind = on_kind
        self._changed = threading.Condition()  # guards what follows
        self._outbox = Outbox()
        self._sending = False
        self._running = False
        self._stopped = False
        self._entering = False  # the first REGISTER is still to be sent
        self._joined = False  # entered by a torrent, not by the user
        self._away = False  # this node cannot be reached: EXIT instead of heartbeats
        self._exit_due = False
        self._announced: set[FileKey] = set()  # sent with OWN since the last EXIT
        self._withdrawn: dict[FileKey, OwnedFile] = {}  # announced, and not served any more
        self._failure: TrackerRefused | TrackerUnavailable | None = None  # of the last REGISTER or message
        self._answered_at: float | None = None  # monotonic seconds
        self._schedule = HeartbeatSchedule(heartbeat, random.Random())
        self._connections = 0  # of the client, at the last REGISTER
        self._files_known: int | None = None  # as the tracker answered to the last OWN, if it said so
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

        The protocol has no request to take an OWN back. EXIT, REGISTER and OWN of the other files do it, but
        EXIT also deletes the node's upload credit. So a node with credit stays, and the tracker goes on
        naming it; peers that ask learn at once that the file is not shared.
        """
        with self._changed:
            self._outbox.remove_file(file)
            if file_key(file) in self._announced:
                self._withdrawn[file_key(file)] = file
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
        """REGISTER and OWN again."""
        with self._changed:
            if self._away:
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
        if self._failure is None and (self._outbox or self._withdrawn):
            due = min(due, self._messages_due)
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
        if self._may_have_lost_files(answer, len(owned)):
            with self._changed:
                self._outbox.add_files(owned)
        return answer.known

    def _may_have_lost_files(self, answer: RegisterAnswer, owned: int) -> bool:
        """True if the tracker may lack files that were announced to it.

        It may also count files that are not served any more. So its count is compared with its answer to the
        last OWN. A tracker that restarted with other records may have the same count by chance. Its
        connections are new then. OWN of files that it knows changes nothing.
        """
        before, self._connections = self._connections, self.client.connections
        if not answer.known or self._connections != before:
            return True
        if self._files_known is None:
            return answer.files < owned
        return answer.files != self._files_known

    def _interval(self, asked: float) -> float:
        """A tracker that knows claims extends its deadline with the interval; another tracker may not."""
        return asked if self.client.knows_claims else min(asked, self._heartbeat)

    def _send_messages(self) -> None:
        try:
            if self._withdrawn and self._failure is None:
                self._take_files_back()
            self._send_files_and_credits()
        except TrackerBusy as error:  # the tracker lives: heartbeats go on, and the messages wait
            self._busy(error)
        else:
            self._busy_answers = 0

    def _take_files_back(self) -> None:
        """EXIT and REGISTER, if the tracker names this node for a withdrawn file. OWN follows at once."""
        with self._changed:
            withdrawn, self._withdrawn = self._withdrawn, {}
        for file in self._owned():  # stopped, and shared again
            withdrawn.pop(file_key(file), None)
        try:
            if any(self._is_named_without_credit(file) for file in withdrawn.values()):
                self.client.exit()
                self._announced.clear()
                self._files_known = 0
                self._register()
        except TrackerUnavailable:
            with self._changed:
                self._withdrawn = {**withdrawn, **self._withdrawn}
            raise

    def _is_named_without_credit(self, file: OwnedFile) -> bool:
        owners = self.client.need(file.filename, file.info_hash)
        return any(
            owner.node_id == self.client.node_id
            and owner.info_hash in (None, file.info_hash)
            and not owner.uploads
            for owner in owners
        )

    def _send_files_and_credits(self) -> None:
        with self._changed:
            files, credits = self._outbox.take()
            self._announced.update(map(file_key, files))
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
            self._files_known = self._with_secret(lambda: self.client.own(files))
        except TrackerRefused as error:
            if error.status in (CONFLICT, FORBIDDEN):
                raise
            self._emit(events.NotAnnounced(self.client.url, str(error), is_retried=False))

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
