"""The real tracker in virtual time: its rules, its records in memory, and its HTTP, without a socket.

The student's client is driven like this, until it has nothing to send:

    request = client.next_request(now)             a dict, the JSON of one request; or None
    client.on_answer(request, status, answer, now) the answer to it
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from labs.grader.run import Run
from tracker.model import Rules
from tracker.service import TrackerService
from tracker.storage.memory import MemoryStorage
from tracker.web.app import create_app

STEP = 0.5  # seconds of virtual time between two looks at the client
MODES = {0: "REGISTER", 1: "OWN", 2: "NEED", 3: "UPDATE", 4: "EXIT"}
MAX_REQUESTS = 50  # in one step: more is a loop
Reply = tuple[int, dict[str, Any]]
Request = dict[str, Any]
ADDR = ["127.0.0.1", 4001]


class VirtualTracker:
    """A tracker whose clock is ``now``."""

    def __init__(self, interval: float = 11.0) -> None:
        self.now = 0.0
        self.rules = Rules(silence=2 * interval, interval=interval)
        self.restart()

    def restart(self) -> None:
        """Forget everything, as a tracker without its records does."""
        storage = MemoryStorage(self.rules, clock=self._clock)
        self.service = TrackerService(storage, self.rules, clock=self._clock)
        self.service.open()
        self._web = create_app(self.service).test_client()

    def ask(self, request: Request) -> Reply:
        """The status and the JSON of the answer."""
        answer = self._web.post("/tracker", json=request)
        return answer.status_code, answer.get_json()

    def _clock(self) -> float:
        return self.now + 1000.0


class Drive:
    """Connects the student's client with ``tracker``, and records every request."""

    def __init__(self, run: Run, client: Any, tracker: VirtualTracker) -> None:
        self.run, self.client, self.tracker = run, client, tracker
        self.sent: list[tuple[float, Request]] = []
        self.replace: Callable[[Request], Reply | None] = lambda request: (
            None
        )  # an answer instead of the tracker's

    def until(self, end: float) -> None:
        """Go on until ``end`` (virtual seconds)."""
        while self.tracker.now < end:
            self._turn()
            self.tracker.now += STEP

    def times(self, mode: int) -> list[float]:
        """When requests of ``mode`` were sent."""
        return [when for when, request in self.sent if request.get("mode") == mode]

    def _turn(self) -> None:
        now = self.tracker.now
        for _ in range(MAX_REQUESTS):
            request = self.client.next_request(now)
            if request is None:
                return
            if not isinstance(request, dict):
                self.run.nonsense(f"next_request() returned {request!r}; a dict or None is wanted")
            self._send(request, now)
        self.run.nonsense(f"next_request() returned {MAX_REQUESTS} requests at {now:.1f} s and does not stop")

    def _send(self, request: Request, now: float) -> None:
        self.sent.append((now, request))
        name = MODES.get(request.get("mode"), f"mode {request.get('mode')!r}")  # type: ignore[arg-type]
        rest = ", ".join(f"{key} {value!r}" for key, value in request.items() if key != "mode")
        self.run.message(now, "you", "tracker", name, text=rest[:60], call=False, **{"mode": name})
        reply = self.replace(request)
        status, answer = reply if reply is not None else self.tracker.ask(request)
        text = f"{status} {answer.get('status', answer.get('error', ''))}"
        if "search_result" in answer:
            text = f"{status}, {len(answer['search_result'])} owners"
        self.run.message(
            now, "tracker", "you", "answer", text=text[:60], mark="" if status == 200 else "wrong"
        )
        self.client.on_answer(request, status, answer, now)
