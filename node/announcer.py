"""Keeping one tracker informed: that we live, what we own, who delivered to us.

One thread for each tracker. A tracker that is down or busy holds nobody up: what it must hear waits here,
and is said when it takes it. A tracker that forgot us is told everything anew.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from common.errors import TrackerBusy, TrackerRefused, TrackerUnavailable
from common.logs import log
from common.messages import OwnedFile
from node import events
from node.discovery.classroom import CONFLICT, FORBIDDEN, TrackerClient
from node.discovery.schedule import Schedule

MAX_CREDITS = 10_000  # that wait for a tracker; the oldest are forgotten


@dataclass(frozen=True)
class Credit:
    """``owner`` delivered ``amount`` verified bytes of a torrent to us."""

    filename: str
    info_hash: str
    owner: int
    amount: int
    receipt: int | None = None  # its number, by which it counts once, however often it is said


class Announcer:
    """Speaks to one tracker for a node at ``addr``; ``owned`` says all that it serves."""

    def __init__(
        self,
        client: TrackerClient,
        addr: tuple[str, int],
        owned: Callable[[], Sequence[OwnedFile]],
        heartbeat: float,
        emit: events.EventSink,
    ) -> None:
        self.client = client
        self._addr = addr
        self._owned = owned
        self._heartbeat = heartbeat
        self._emit = emit
        self._changed = threading.Condition()  # guards what follows
        self._files: dict[tuple[str, str | None], OwnedFile] = {}  # to be announced
        self._credits: deque[Credit] = deque(maxlen=MAX_CREDITS)
        self._busy = False
        self._running = False
        self._stopped = False
        self._lost = False
        self._schedule = Schedule(heartbeat, random.Random())
        self._put_offs = 0  # in a row: news that the tracker did not take, though it answers
        self._news_due = 0.0  # when news is said again, monotonic seconds

    @property
    def answers(self) -> bool:
        """Whether the tracker answered last time."""
        return not self._lost

    def status(self) -> events.TrackerStatus:
        """Which tracker this is, and whether it answers."""
        return events.TrackerStatus(self.client.answering, self.client.urls, self.answers)

    def enter(self) -> None:
        """REGISTER now. TrackerRefused if the tracker will not have us; no answer is no error.

        Whoever it knows at our address ended without a word: an earlier run of ours, whose files we may not
        have any more.
        """
        try:
            if self._register():
                self.client.exit()
                self._register()
        except TrackerUnavailable as error:
            self._unavailable(error)

    def announce(self, file: OwnedFile) -> None:
        """Have OWN said, soon."""
        with self._changed:
            self._files[file.filename, file.info_hash] = file
            self._changed.notify_all()

    def withdraw(self, file: OwnedFile) -> None:
        """Have OWN not said of ``file``, if it was not said yet."""
        with self._changed:
            if self._files.get((file.filename, file.info_hash)) == file:
                del self._files[file.filename, file.info_hash]

    def credit(self, credit: Credit) -> None:
        """Have UPDATE said, soon."""
        with self._changed:  # numbers in the order in which they are said
            self._credits.append(replace(credit, receipt=self.client.receipt()))
            self._changed.notify_all()

    def flush(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds until all is said or cannot be said now; whether all is said."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._lost or self._put_offs or self._stopped or not self._pending(), timeout
            )
            return not self._pending()

    def stop(self, timeout: float = 0.0) -> bool:
        """End ``run``; wait at most ``timeout`` seconds until nothing is being said. Whether it is so.

        EXIT is said after that: a REGISTER or OWN that overtakes it would bring us back as a ghost.
        """
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._running, timeout)

    def run(self) -> None:
        """Heartbeats and news until ``stop``; the body of a thread."""
        while self._wait_for_something():
            try:
                if self._lost or time.monotonic() >= self._schedule.due:
                    self._register()
                if not self._stopped and time.monotonic() >= self._news_due:
                    self._say_news()
            except (TrackerUnavailable, TrackerRefused) as error:
                self._unavailable(error)
            finally:
                with self._changed:
                    self._running = False
                    self._changed.notify_all()

    def _pending(self) -> bool:
        return bool(self._files or self._credits or self._busy)

    def _wait_for_something(self) -> bool:
        with self._changed:
            while not self._stopped:
                due = self._schedule.due
                if not self._lost and (self._files or self._credits):
                    due = min(due, self._news_due)
                wait = due - time.monotonic()
                if wait <= 0:
                    self._running = True
                    return True
                self._changed.wait(wait)
            return False

    def _register(self) -> bool:
        """REGISTER; whether the tracker knew us."""
        answer = self.client.register(self._addr)
        with self._changed:
            was_lost, self._lost = self._lost, False
            self._schedule.answered(time.monotonic(), self._interval(answer.interval))
        if was_lost:
            self._emit(events.TrackerBack(self.client.url))
        owned = self._owned()
        if not answer.known or answer.files < len(owned):  # it forgot us, or some of what we have
            with self._changed:
                self._files.update(((file.filename, file.info_hash), file) for file in owned)
        return answer.known

    def _interval(self, told: float) -> float:
        """Who knows claims stretches its deadline with the intervals that it asks for; others may not."""
        return told if self.client.knows_claims else min(told, self._heartbeat)

    def _say_news(self) -> None:
        try:
            self._say_what_waits()
        except TrackerBusy as error:  # it lives, so heartbeats go on, and what was not said waits here
            self._put_off(error)
        else:
            self._put_offs = 0

    def _say_what_waits(self) -> None:
        with self._changed:
            files, self._files = self._files, {}
            credits = list(self._credits)
            self._credits.clear()
            self._busy = True
        try:
            if files:
                self._say_files(list(files.values()))
                files = {}
            while credits:
                self._say_credit(credits[0])
                credits.pop(0)
        finally:
            with self._changed:
                self._files = {**files, **self._files}
                self._credits.extendleft(reversed(credits))
                self._busy = False
                self._changed.notify_all()

    def _say_files(self, files: list[OwnedFile]) -> None:
        try:
            self._as_one_of_its_own(lambda: self.client.own(files))
        except TrackerRefused as error:
            if error.status in (CONFLICT, FORBIDDEN):
                raise
            log(f"the tracker refused our files: {error}")  # and will refuse them next time: not said again

    def _say_credit(self, credit: Credit) -> None:
        def say() -> None:
            if not self.client.update(
                credit.filename, credit.owner, credit.info_hash, credit.amount, credit.receipt
            ):
                log(f"node {credit.owner} gets no credit: not counted for {credit.filename!r}")

        try:
            self._as_one_of_its_own(say)
        except TrackerRefused as error:
            log(f"node {credit.owner} gets no credit: {error}")  # it has left meanwhile

    def _as_one_of_its_own(self, say: Callable[[], None]) -> None:
        """Say it; if the tracker does not know our secret any more, REGISTER it anew and say it again."""
        try:
            say()
        except TrackerRefused as error:
            if error.status != FORBIDDEN:
                raise
            self._register()
            say()

    def _unavailable(self, error: TrackerUnavailable | TrackerRefused) -> None:
        put_off = error.retry_after if isinstance(error, TrackerBusy) else 0.0
        with self._changed:
            was_lost, self._lost = self._lost, True
            self._schedule.failed(time.monotonic(), put_off)
            self._changed.notify_all()
        if not was_lost:
            self._emit(events.TrackerLost(self.client.url, str(error)))

    def _put_off(self, error: TrackerBusy) -> None:
        with self._changed:
            first = not self._put_offs
            self._news_due = time.monotonic() + self._schedule.wait(self._put_offs, error.retry_after)
            self._put_offs += 1
            self._changed.notify_all()
        if first:
            log(f"{error} (what it did not take is said again)")
