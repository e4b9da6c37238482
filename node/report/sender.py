"""Sends the node's events to its tracker within the budget, and acts on the answers."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any

from common.logs import log
from node.report.batches import Row
from node.report.budget import Budget
from node.report.collector import EventCollector
from node.report.post import Fate, PostAnswer

MOVING_PAUSE = 0.5  # seconds between two reports while bytes move
IDLE_PAUSE = 2.0  # seconds between two reports while nothing does
LEAST_PAUSE = 0.25  # seconds between two reports, whatever happens
TIMEOUT = 2.0  # max seconds of each step of a request
LAST_TIMEOUT = 0.5  # the same for the last report, which the node's end waits for
LAST_REPORTS = 4  # reports at the end of a run
ENVELOPE = 130  # bytes of a report besides its events, at most
FULL = 30_000  # bytes that the budget must have left for another report at once


class ReportSender:
    """Sends what ``collector`` has, within the budget. For the thread ``report`` only."""

    def __init__(
        self,
        collector: EventCollector,
        post: Callable[[bytes, float], PostAnswer],
        register: Callable[[], None],
        node_id: int,
        started: dict[str, Any],
        clock: Callable[[], float],
    ) -> None:
        """``post(body, timeout)`` sends a report. ``register`` is called if the tracker does not know the
        node. ``started``: the data of node:started.
        """
        self._collector = collector
        self._send = post
        self._register = register
        self._node_id = node_id
        self._started = started
        self._clock = clock
        self._budget = Budget(clock())
        self._run = secrets.token_hex(8)
        self._moved = 0  # bytes in and out so far
        self._is_moving = False
        self._sent_at = float("-inf")
        self._round_trip: float | None = None  # ms
        self._epoch: str | None = None  # of the tracker's log
        self._is_probing = False  # the tracker did not take the last report
        self._at_once = False  # more can be sent
        self.asked_pause = 0.0  # seconds that the tracker asks for
        self.is_wanted = True  # False: the tracker takes no reports
        self.is_answered = True  # the last report was

    @property
    def room(self) -> int:
        """Bytes that the next report may have."""
        return self._budget.left(self._clock())

    @property
    def pause(self) -> float:
        """Seconds until the next report if nothing happens."""
        hurries = self._is_moving or self._collector.waits or not self.is_answered
        pace = MOVING_PAUSE if hurries else IDLE_PAUSE
        return max(0.0 if self._at_once else pace, self.asked_pause)

    def moved(self, total: int) -> None:
        """The node received and sent ``total`` bytes so far."""
        amount, self._moved = total - self._moved, total
        self._is_moving = amount != 0
        self._budget.moved(max(0, amount), self._clock())

    def introduce(self) -> None:
        """This node is new to the tracker's log."""
        self._collector.add("node:started", self._started)

    def send(self) -> None:
        """Send what the budget allows; now and then an empty report, for the clocks and the epoch.

        While the tracker does not take reports, only empty ones are tried: a repeated batch would use up the
        budget, and a tracker that was started again may not need it.
        """
        now = self._clock()
        room = self._budget.left(now) - ENVELOPE
        rows = [] if self._is_probing else self._collector.batch(room)
        is_due = now - self._sent_at >= IDLE_PAUSE - LEAST_PAUSE or not self.is_answered
        if rows or (room >= 0 and is_due):
            self._post(rows, TIMEOUT)

    def send_last(self) -> None:
        """Send everything, also over the budget: no report follows."""
        for _ in range(LAST_REPORTS):
            rows = self._collector.batch(None)
            if not rows or not self._post(rows, LAST_TIMEOUT):
                return

    def _post(self, rows: list[Row], timeout: float) -> bool:
        """True if the tracker took the events."""
        sent_at = self._sent_at = self._clock()
        body = self._body(rows, sent_at)
        self._budget.sent(len(body) - (self._collector.uncounted if rows else 0), sent_at)
        answer = self._send(body, timeout)
        self.asked_pause, self._at_once = answer.wait, False
        self.is_answered = answer.fate is Fate.TAKEN
        if self.is_answered:
            self._round_trip = round((self._clock() - sent_at) * 1000, 3)
            self._on_taken(answer)
            return True
        self._is_probing = answer.fate in (Fate.LATER, Fate.UNKNOWN_NODE)
        if answer.fate is Fate.NEVER:
            self.is_wanted = False
        elif answer.fate is Fate.UNKNOWN_NODE:
            self._register()
        elif answer.fate is Fate.REFUSED:
            log(f"the tracker refuses a report of this node: {answer.reason}")
            self._collector.give_up()
        return False

    def _body(self, rows: list[Row], sent_at: float) -> bytes:
        """The rows are JSON already."""
        head = {
            "node_id": self._node_id,
            "run": self._run,
            "sent": round(sent_at * 1000, 3),
            "round_trip": self._round_trip,
        }
        return b'%s,"events":[%s]}' % (json.dumps(head, separators=(",", ":"))[:-1].encode(), b",".join(rows))

    def _on_taken(self, answer: PostAnswer) -> None:
        self._collector.acknowledge(answer.next_seq)
        is_new = self._epoch is not None and answer.epoch != self._epoch
        self._epoch = answer.epoch
        if is_new:
            self._collector.begin_log(self.room - ENVELOPE)
            self.introduce()
        was_probing, self._is_probing = self._is_probing, False
        self._at_once = is_new or was_probing or (self._collector.waits and self.room > FULL)
