"""An announcer at work, and the classroom tracker that it speaks to."""

from __future__ import annotations

import queue
import threading

from common.errors import TrackerRefused, TrackerUnavailable
from common.messages import OwnedFile, OwnerEntry, RegisterAnswer
from node import events
from node.discovery.announcer import TrackerAnnouncer
from node.discovery.base import Credit

LIMIT = 10.0  # seconds until something that must happen has happened
FILE = OwnedFile("a.bin", "ab" * 20, 10)
CREDIT = Credit("a.bin", "ab" * 20, 7, 100)


class PretendTracker:
    """A TrackerClient's replacement with answers of the test; ``said`` queues its calls."""

    url = name = "http://127.0.0.1:1"
    urls = (url,)
    knows_claims = False
    connections = 1
    files_after_own: int | None = None
    files_after_withdraw: int | None = None  # None: a tracker that cannot take files back
    node_id = 7

    def __init__(self) -> None:
        self.said: queue.Queue[tuple[str, object]] = queue.Queue()
        self.down = False
        self.interval = 1000.0
        self.known = True
        self.files = 1000
        self.refuse: dict[str, TrackerRefused | TrackerUnavailable] = {}
        self.refuse_once: dict[str, TrackerRefused] = {}
        self.owners: list[OwnerEntry] = []
        self.given = 0
        self.receipts: list[int] = []

    def _hear(self, what: str, detail: object) -> None:
        if self.down:
            raise TrackerUnavailable("tracker does not answer")
        if what in self.refuse_once:
            raise self.refuse_once.pop(what)
        if what in self.refuse:
            raise self.refuse[what]
        self.said.put((what, detail))

    def register(self, addr: tuple[str, int]) -> RegisterAnswer:
        self._hear("register", addr)
        return RegisterAnswer(self.interval, self.known, self.files)

    def exit(self) -> None:
        self._hear("exit", None)

    def own(self, files: list[OwnedFile]) -> int | None:
        self._hear("own", files)
        return self.files_after_own

    def withdraw(self, files: list[OwnedFile]) -> int | None:
        if self.files_after_withdraw is not None:
            self._hear("withdraw", files)
        return self.files_after_withdraw

    def need(self, filename: str, info_hash: str | None) -> list[OwnerEntry]:
        self._hear("need", filename)
        return self.owners

    def update(self, filename: str, owner: int, info_hash: str, amount: int, receipt: int) -> bool:
        self._hear("update", (owner, amount))
        self.receipts.append(receipt)
        return True

    def next_receipt(self) -> int:
        self.given += 1
        return self.given


class AnnouncerScene:
    """An announcer at work."""

    def __init__(self) -> None:
        self.tracker = PretendTracker()
        self.owned: list[OwnedFile] = []
        self.events: queue.Queue[events.Event] = queue.Queue()
        self.announcer = TrackerAnnouncer(
            self.tracker,  # type: ignore[arg-type]  # it does what is used of one
            ("127.0.0.1", 5),
            lambda: self.owned,
            0.2,
            self.events.put,
        )
        self.thread = threading.Thread(target=self.announcer.run)

    def start(self) -> None:
        self.announcer.enter()
        self.thread.start()

    def hears(self, what: str) -> object:
        """The next call of this kind."""
        while True:
            heard, detail = self.tracker.said.get(timeout=LIMIT)
            if heard == what:
                return detail

    def event(self) -> events.Event:
        return self.events.get(timeout=LIMIT)
