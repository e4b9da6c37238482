"""One fetcher and one owner in virtual time: the student's Sender decides when to request.

    fetcher ── REQUEST n, 72 bytes ──▶ owner          the fetcher drives: a REQUEST is the permission to send,
    fetcher ◀── DATA n, SEGMENT bytes ── owner        a DATA is the data and the acknowledgement at once

The Sender has three methods:

    may_send(now) -> bool            may one more segment be requested now? If True, it is
    on_answer(answer, now) -> list   DATA came; returns the numbers that count as lost now (or None)
    timeout(now, again) -> seconds   from now until the oldest outstanding request is repeated; ``again``: how
                                     often in a row it was, without an answer since
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from faults.link import Link, LinkFaults
from labs.grader.run import Run
from simulator.clock import Clock, Deadlock

SEGMENT = 1440  # bytes of file in one DATA
REQUEST_BYTES = 72
MAX_EVENTS = 50_000
LEAST_TIMEOUT = 0.001  # seconds; a shorter one would repeat for ever


@dataclass(frozen=True)
class Answer:
    """A DATA as the Sender sees it."""

    number: int  # of the segment, from 1
    sent_at: float  # when it was requested last
    times_sent: int  # how often it was requested


@dataclass
class Outstanding:
    """A segment that was requested and has not come."""

    sent_at: float
    times: int = 1


@dataclass(frozen=True)
class Plan:
    """``segments`` to fetch; ``drop``: the n-th DATA that the owner sends is lost (from 1)."""

    segments: int
    delay: float = 0.05  # seconds each way
    rate: float | None = None  # bytes a second of the link back; None: no limit
    drop: frozenset[int] = frozenset()
    drop_requests: frozenset[int] = frozenset()
    late: frozenset[int] = frozenset()  # the n-th DATA comes ``late_by`` seconds later
    late_by: float = 0.0
    seconds: float = 120.0  # of virtual time, after which a run counts as hanging
    jitter: float = 0.0  # seconds
    queue: int = 1 << 20  # bytes before the link back


class Exchange:
    """Runs ``plan``; ``on_request(number, now, outstanding)`` may judge each request as it is sent."""

    def __init__(self, run: Run, sender: object, plan: Plan) -> None:
        self.run_, self.plan, self.sender = run, plan, sender
        self.clock = Clock()
        seed = run.rng.getrandbits(30)
        back = LinkFaults(delay=plan.delay, rate=plan.rate, jitter=plan.jitter, queue=plan.queue)
        self._there = Link(LinkFaults(delay=plan.delay), seed)
        self._back = Link(back, seed + 1)
        self.outstanding: dict[int, Outstanding] = {}
        self.arrived: dict[int, float] = {}  # segment -> when it came
        self.requests: list[tuple[float, int]] = []  # (when, segment), each
        self.repeated: list[tuple[float, int]] = []  # of these, the second and later ones
        self.timeouts: list[float] = []  # that the Sender returned, but those of a timer that ran out before
        self.most = 0  # requests that were outstanding at once
        self.on_request: Callable[[int, float], None] = lambda number, now: None
        self._next = 1
        self._sent_data = 0
        self._again = 0  # times in a row that the timer fired
        self._timer = 0  # number of the timer that counts

    @property
    def is_done(self) -> bool:
        """True once each segment has come."""
        return len(self.arrived) == self.plan.segments

    def run(self) -> float:
        """Fetch every segment; returns the seconds. Fails the stage if that does not happen."""
        self._fill()
        self._set_timer()
        try:
            self.clock.run_until(lambda: self.is_done, self.plan.seconds, MAX_EVENTS)
        except Deadlock:
            self._hangs()
        return self.clock.now

    def _hangs(self) -> None:
        missing = [n for n in range(1, self.plan.segments + 1) if n not in self.arrived]
        asked = "it was requested and lost" if missing[0] in self.outstanding else "it was never requested"
        self.run_.fail(
            f"all {self.plan.segments} segments within {self.plan.seconds:g} s",
            f"segment {missing[0]} has not come ({asked}); {len(missing)} are missing",
            at=self.clock.now,
            likely="may_send() returns False though nothing is outstanding: is each answer counted?",
        )

    # ---- requests

    def _fill(self) -> None:
        """Request new segments as long as the Sender allows it."""
        while self._next <= self.plan.segments and self._may_send():
            number, self._next = self._next, self._next + 1
            self.outstanding[number] = Outstanding(self.clock.now)
            self.most = max(self.most, len(self.outstanding))
            self._request(number, call=True)

    def _may_send(self) -> bool:
        allowed = self.sender.may_send(self.clock.now)  # type: ignore[attr-defined]
        if not isinstance(allowed, bool):
            self.run_.nonsense(f"may_send() returned {allowed!r}; True or False is wanted")
        if allowed and len(self.outstanding) > 10_000:
            self.run_.nonsense("may_send() allowed 10,000 requests without an answer")
        return allowed

    def _request(self, number: int, *, call: bool) -> None:
        now = self.clock.now
        self.requests.append((now, number))
        start = (number - 1) * SEGMENT
        span = f"[{start:,}, {start + SEGMENT:,})"
        self.run_.message(now, "fetcher", "owner", f"REQUEST {number}", text=span, call=call, offset=start)
        self.on_request(number, now)
        if len(self.requests) in self.plan.drop_requests:
            self.run_.message(now, "fetcher", "owner", f"REQUEST {number}", text="is lost", mark="lost")
            return
        self._carry(self._there, REQUEST_BYTES, number, self._serve)

    def _repeat(self, number: int) -> None:
        waiting = self.outstanding[number]
        waiting.sent_at, waiting.times = self.clock.now, waiting.times + 1
        self.repeated.append((self.clock.now, number))
        self._request(number, call=False)

    # ---- the owner, and its answers

    def _serve(self, number: int) -> None:
        self._sent_data += 1
        now = self.clock.now
        if self._sent_data in self.plan.drop:
            self.run_.message(
                now, "owner", "fetcher", f"DATA {number}", text="is dropped by the script", mark="lost"
            )
            return
        later = self.plan.late_by if self._sent_data in self.plan.late else 0.0
        self._carry(self._back, SEGMENT, number, self._arrive, later)

    def _carry(
        self, link: Link, size: int, number: int, take: Callable[[int], None], later: float = 0.0
    ) -> None:
        """Carry a datagram of ``size`` bytes over ``link``, and ``take(number)`` when it comes."""
        for when, _ in link.send(bytes(size), self.clock.now):
            self.clock.at(when + later, lambda: take(number))

    def _arrive(self, number: int) -> None:
        now = self.clock.now
        waiting = self.outstanding.pop(number, None)
        if waiting is None:
            self.run_.message(now, "owner", "fetcher", f"DATA {number}", text="a second time")
            return
        self.arrived[number] = now
        self._again = 0
        answer = Answer(number, waiting.sent_at, waiting.times)
        lost = self.sender.on_answer(answer, now)  # type: ignore[attr-defined]
        text = f"round trip {1000 * (now - waiting.sent_at):.0f} ms" if waiting.times == 1 else ""
        self.run_.message(now, "owner", "fetcher", f"DATA {number}", text=text, call=True, number=number)
        for each in lost or []:
            if each not in self.outstanding:
                self.run_.nonsense(f"on_answer() returned {each!r}, which is not outstanding")
            self._repeat(each)
        if not self.is_done:
            self._fill()
            self._set_timer()

    # ---- the timer

    def _set_timer(self) -> None:
        self._timer += 1
        if not self.outstanding:
            return
        seconds = self.sender.timeout(self.clock.now, self._again)  # type: ignore[attr-defined]
        if not isinstance(seconds, (int, float)) or not math.isfinite(seconds):
            self.run_.nonsense(f"timeout() returned {seconds!r}; seconds are wanted")
        if not self._again:
            self.timeouts.append(seconds)
        mine = self._timer
        self.clock.at(self.clock.now + max(seconds, LEAST_TIMEOUT), lambda: self._fire(mine))

    def _fire(self, timer: int) -> None:
        if timer != self._timer or not self.outstanding:
            return
        self._again += 1
        oldest = min(self.outstanding, key=lambda number: (self.outstanding[number].sent_at, number))
        self.run_.note(self.clock.now, f"timeout: REQUEST {oldest} is repeated", call=True)
        self._repeat(oldest)
        self._set_timer()
