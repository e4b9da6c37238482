"""The announcer against a tracker that answers, is down, forgets, refuses; events are awaited."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import pytest

from common.errors import TrackerBusy, TrackerRefused, TrackerUnavailable
from common.messages import OwnedFile, OwnerEntry, RegisterAnswer
from node import events
from node.discovery.announcer import TrackerAnnouncer
from node.discovery.base import Credit

LIMIT = 10.0  # seconds until something that must happen has happened
FILE = OwnedFile("a.bin", "ab" * 20, 10)
CREDIT = Credit("a.bin", "ab" * 20, 7, 100)


class PretendTracker:
    """What a TrackerClient does, as the test wishes; ``said`` is what it heard."""

    url = name = "http://127.0.0.1:1"
    urls = (url,)
    knows_claims = False
    connections = 1
    files_after_own: int | None = None
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


class Scene:
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
        """The next thing of this kind that the tracker hears."""
        while True:
            heard, detail = self.tracker.said.get(timeout=LIMIT)
            if heard == what:
                return detail

    def event(self) -> events.Event:
        return self.events.get(timeout=LIMIT)


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.announcer.stop()
    if made.thread.ident is not None:
        made.thread.join(LIMIT)
        assert not made.thread.is_alive()


def test_it_registers_at_once_and_again_and_again(scene: Scene) -> None:
    scene.start()
    for _ in range(3):
        assert scene.hears("register") == ("127.0.0.1", 5)


def test_an_earlier_run_at_our_address_is_taken_out_first(scene: Scene) -> None:
    scene.owned = [FILE]
    scene.tracker.files = 0
    scene.start()
    assert [scene.tracker.said.get(timeout=LIMIT)[0] for _ in range(4)] == [
        "register",
        "exit",
        "register",
        "own",
    ]


def test_who_comes_anew_is_not_taken_out(scene: Scene) -> None:
    scene.owned = [FILE]
    scene.tracker.known = False
    scene.start()
    assert [scene.tracker.said.get(timeout=LIMIT)[0] for _ in range(2)] == ["register", "own"]


def test_news_is_said_without_waiting_for_the_next_heartbeat(scene: Scene) -> None:
    scene.start()
    scene.announcer.announce(FILE)
    scene.announcer.credit(CREDIT)
    assert scene.announcer.flush(LIMIT)
    assert scene.hears("own") == [FILE]
    assert scene.hears("update") == (7, 100)


def test_many_files_are_announced_together(scene: Scene) -> None:
    files = [OwnedFile(f"{n}", None, n) for n in range(1000)]
    for file in files:
        scene.announcer.announce(file)
    scene.start()
    assert scene.hears("own") == files


def test_a_tracker_that_is_down_is_told_everything_when_it_is_back(scene: Scene) -> None:
    scene.tracker.down = True
    scene.start()
    lost = scene.event()
    assert isinstance(lost, events.TrackerLost)
    scene.announcer.announce(FILE)
    scene.announcer.credit(CREDIT)
    assert not scene.announcer.flush(LIMIT)  # returns at once: nobody is there to hear it
    scene.tracker.down = False
    assert scene.hears("own") == [FILE]
    assert scene.hears("update") == (7, 100)
    assert isinstance(scene.event(), events.TrackerBack)


def test_that_it_is_down_is_said_once(scene: Scene) -> None:
    scene.tracker.down = True
    scene.start()
    assert isinstance(scene.event(), events.TrackerLost)
    with pytest.raises(queue.Empty):
        scene.events.get(timeout=1.2)  # two more tries have failed by then


def test_that_it_refuses_is_said_even_if_it_was_down_before(scene: Scene) -> None:
    scene.tracker.down = True
    scene.start()
    lost = scene.event()
    assert isinstance(lost, events.TrackerLost) and not lost.refuses
    scene.tracker.refuse["register"] = TrackerRefused("node 7 is in use", 409)
    scene.tracker.down = False
    assert scene.event() == events.TrackerLost(scene.tracker.url, "node 7 is in use", refuses=True)
    scene.announcer.announce(FILE)
    assert not scene.announcer.flush(LIMIT)
    assert scene.announcer.why_messages_wait == "node 7 is in use"


def test_files_that_a_tracker_never_takes_are_reported(scene: Scene) -> None:
    scene.start()
    scene.tracker.refuse["own"] = TrackerRefused("too many", 400)
    scene.announcer.announce(FILE)
    assert scene.event() == events.NotAnnounced(scene.tracker.url, "too many", is_retried=False)


def test_a_tracker_that_forgot_us_hears_of_all_we_own(scene: Scene) -> None:
    scene.owned = [FILE]
    scene.tracker.known = False
    scene.start()
    assert scene.hears("own") == [FILE]


def test_a_tracker_that_forgot_some_files_hears_of_all(scene: Scene) -> None:
    scene.owned = [FILE]
    scene.tracker.files = 0
    scene.start()
    assert scene.hears("own") == [FILE]


def test_a_count_with_files_that_are_not_served_any_more_hides_no_loss(scene: Scene) -> None:
    """The tracker counts a file that was stopped. It loses another: one is left, and one is owned."""
    scene.owned = [FILE]
    scene.tracker.files_after_own = scene.tracker.files = 2
    scene.start()
    assert scene.hears("own") == [FILE]
    for _ in range(3):
        assert scene.tracker.said.get(timeout=LIMIT)[0] == "register"  # the count is as it was
    scene.tracker.files = 1
    assert scene.hears("own") == [FILE]


def test_a_tracker_that_restarted_receives_all_files_whatever_it_counts(scene: Scene) -> None:
    scene.owned = [FILE]
    scene.tracker.files_after_own = scene.tracker.files = 1
    scene.start()
    assert scene.hears("own") == [FILE]
    scene.tracker.connections += 1
    assert scene.hears("own") == [FILE]
    for _ in range(3):
        assert scene.tracker.said.get(timeout=LIMIT)[0] == "register"


def test_credit_for_an_owner_that_has_left_holds_nothing_up(scene: Scene) -> None:
    scene.tracker.refuse["update"] = TrackerRefused("no such node", 400)
    scene.start()
    scene.announcer.credit(CREDIT)
    scene.announcer.announce(FILE)
    assert scene.announcer.flush(LIMIT)
    assert scene.hears("own") == [FILE]
    assert scene.events.empty()


def test_news_that_a_busy_tracker_does_not_take_is_said_again_and_it_is_not_lost(scene: Scene) -> None:
    scene.start()
    scene.tracker.refuse["own"] = TrackerBusy("the disk is full", 507, 0.05)
    scene.announcer.announce(FILE)
    assert not scene.announcer.flush(LIMIT)  # returns once it was put off
    assert scene.announcer.why_messages_wait == "the disk is full"
    for _ in range(3):
        scene.hears("register")  # heartbeats go on
    del scene.tracker.refuse["own"]
    assert scene.hears("own") == [FILE]
    scene.announcer.credit(CREDIT)
    assert scene.announcer.flush(LIMIT)
    assert scene.hears("update") == (7, 100)
    assert scene.events.empty()


def test_a_busy_tracker_at_the_door_is_no_end(scene: Scene) -> None:
    scene.tracker.refuse["register"] = TrackerBusy("too much to do", 429, 0.05)
    scene.start()
    assert isinstance(scene.event(), events.TrackerLost)
    scene.announcer.announce(FILE)
    del scene.tracker.refuse["register"]
    assert scene.hears("own") == [FILE]
    assert isinstance(scene.event(), events.TrackerBack)


def test_receipts_have_growing_numbers_and_keep_them(scene: Scene) -> None:
    scene.tracker.down = True
    for _ in range(3):
        scene.announcer.credit(CREDIT)
    scene.start()
    assert isinstance(scene.event(), events.TrackerLost)
    scene.tracker.down = False
    for _ in range(3):
        scene.hears("update")
    assert scene.tracker.receipts == [1, 2, 3]


def test_a_tracker_that_forgot_our_secret_is_told_it_again(scene: Scene) -> None:
    scene.start()
    for what in ("own", "update"):
        refused = TrackerRefused("who are you?", 403)
        scene.tracker.refuse_once[what] = refused
    scene.announcer.announce(FILE)
    scene.announcer.credit(CREDIT)
    assert scene.announcer.flush(LIMIT)
    assert scene.hears("own") == [FILE]
    assert scene.hears("update") == (7, 100)
    assert scene.events.empty()


def test_an_interval_beyond_our_own_is_for_trackers_that_stretch_their_deadline(scene: Scene) -> None:
    scene.announcer.enter()
    assert scene.announcer._schedule.interval == 0.2  # our own heartbeat
    scene.tracker.knows_claims = True
    scene.announcer.enter()
    assert scene.announcer._schedule.interval == 1000.0


def test_a_node_id_that_is_taken_is_refused_at_the_door(scene: Scene) -> None:
    scene.tracker.refuse["register"] = TrackerRefused("taken", 409)
    with pytest.raises(TrackerRefused):
        scene.announcer.enter()


def test_files_wait_while_somebody_else_has_our_id(scene: Scene) -> None:
    scene.start()
    scene.tracker.refuse["own"] = TrackerRefused("taken", 409)
    scene.announcer.announce(FILE)
    assert isinstance(scene.event(), events.TrackerLost)
    del scene.tracker.refuse["own"]
    assert scene.hears("own") == [FILE]


def test_to_stop_is_to_wait_until_what_is_under_way_is_said_and_nothing_follows(scene: Scene) -> None:
    """An OWN that overtakes EXIT would bring the node back, for as long as the tracker's patience."""
    under_way, go_on = threading.Event(), threading.Event()

    def slow(addr: tuple[str, int]) -> RegisterAnswer:
        under_way.set()
        assert go_on.wait(LIMIT)
        return RegisterAnswer(1000.0, True, 1000)

    scene.tracker.interval = 0.0
    scene.tracker.known = False
    scene.announcer.enter()
    scene.tracker.register = slow  # type: ignore[method-assign]
    scene.thread.start()
    assert under_way.wait(LIMIT)
    scene.announcer.announce(FILE)
    assert not scene.announcer.stop(0.01)
    go_on.set()
    assert scene.announcer.stop(LIMIT)
    scene.thread.join(LIMIT)
    said = [scene.tracker.said.get_nowait()[0] for _ in range(scene.tracker.said.qsize())]
    assert "own" not in said


def test_what_is_withdrawn_before_it_was_said_is_not_said(scene: Scene) -> None:
    scene.announcer.announce(FILE)
    scene.announcer.withdraw(FILE)
    scene.tracker.known = False
    scene.start()
    scene.announcer.credit(CREDIT)
    assert scene.hears("update") == (7, 100)
    assert scene.announcer.flush(LIMIT)
    assert not any(what == "own" for what, _ in scene.tracker.said.queue)


# ---- what -peers shows, entering on the thread, and a node that cannot be reached


def states(scene: Scene) -> tuple[str, bool]:
    status = scene.announcer.status()
    return status.state, status.silent_for is not None


def test_the_status_tells_a_refusal_from_silence_and_when_the_tracker_answered_last(scene: Scene) -> None:
    assert states(scene)[1] is False
    scene.start()
    assert states(scene) == ("answers", True)
    scene.tracker.refuse["register"] = TrackerRefused("tracker http://h:1 refuses: taken", 409)
    assert isinstance(scene.event(), events.TrackerLost)
    assert states(scene) == ("refuses", True)
    assert "taken" in scene.announcer.status().reason
    scene.tracker.refuse.clear()
    assert isinstance(scene.event(), events.TrackerBack)
    scene.tracker.down = True
    assert isinstance(scene.event(), events.TrackerLost)
    assert states(scene) == ("does not answer", True)


def test_entering_later_does_not_wait_for_the_tracker(scene: Scene) -> None:
    scene.announcer.enter_later()
    assert not scene.announcer.answers and states(scene) == ("not asked yet", False)
    scene.announcer.announce(FILE)
    scene.thread.start()
    assert scene.hears("own") == [FILE]
    assert scene.announcer.answers


def test_a_tracker_that_refuses_at_the_door_is_not_asked_again(scene: Scene) -> None:
    """A torrent may name trackers of another kind: they answer 404, and nobody need hear of it."""
    scene.tracker.refuse["register"] = TrackerRefused("tracker http://h:1 refuses: HTTP status 404", 404)
    scene.announcer.enter_later()
    scene.thread.start()
    scene.thread.join(LIMIT)
    assert not scene.thread.is_alive() and scene.events.empty()
    assert states(scene) == ("refuses", False)


def test_a_node_that_cannot_be_reached_leaves_and_comes_back(scene: Scene) -> None:
    scene.owned = [FILE]
    scene.tracker.known, scene.tracker.knows_claims = False, True  # so no heartbeat for 1,000 s
    scene.start()

    def heard(count: int) -> list[str]:
        return [scene.tracker.said.get(timeout=LIMIT)[0] for _ in range(count)]

    assert heard(2) == ["register", "own"]
    scene.announcer.leave_for_now()
    assert heard(1) == ["exit"]
    scene.announcer.credit(CREDIT)
    scene.announcer.return_now()
    assert heard(3) == ["register", "own", "update"]


OTHER = OwnedFile("b.bin", "cd" * 20, 1)


def withdraw(scene: Scene, others: list[OwnedFile]) -> list[str]:
    """Announce ``others`` and FILE, withdraw FILE; what the tracker hears then, up to an UPDATE."""
    scene.tracker.known, scene.tracker.knows_claims = False, True  # so no heartbeat for 1,000 s
    scene.owned = [*others, FILE]
    scene.start()
    assert scene.hears("own") == scene.owned
    scene.owned = others
    scene.announcer.withdraw(FILE)
    heard = [scene.tracker.said.get(timeout=LIMIT)[0]]
    scene.announcer.credit(CREDIT)
    while heard[-1] != "update":
        heard.append(scene.tracker.said.get(timeout=LIMIT)[0])
    return heard


@pytest.mark.parametrize("others", [[], [OTHER]], ids=["the last", "one of two"])
def test_a_file_is_taken_back_by_a_node_without_credit(scene: Scene, others: list[OwnedFile]) -> None:
    """It leaves, comes back, and announces what it still owns."""
    scene.tracker.owners = [OwnerEntry(8, ("127.0.0.1", 6), 3), OwnerEntry(7, ("127.0.0.1", 5), 0)]
    assert withdraw(scene, others) == ["need", "exit", "register", *["own" for _ in others], "update"]


@pytest.mark.parametrize("uploads", [1, None], ids=["credit", "not named"])
def test_a_node_stays_if_it_has_credit_or_is_not_named(scene: Scene, uploads: int | None) -> None:
    """EXIT would delete the credit. A tracker that does not name the node need not be told."""
    scene.tracker.owners = [] if uploads is None else [OwnerEntry(7, ("127.0.0.1", 5), uploads)]
    assert withdraw(scene, [OTHER]) == ["need", "update"]


def test_a_file_that_was_never_announced_is_not_taken_back(scene: Scene) -> None:
    scene.start()
    scene.announcer.withdraw(FILE)
    scene.announcer.credit(CREDIT)
    scene.hears("update")
    assert not any(what == "need" for what, _ in scene.tracker.said.queue)


def test_taking_back_waits_for_a_busy_tracker(scene: Scene) -> None:
    scene.tracker.owners = [OwnerEntry(7, ("127.0.0.1", 5), 0)]
    scene.owned = [FILE]
    scene.tracker.known = False
    scene.start()
    scene.hears("own")
    scene.tracker.known = True
    scene.tracker.refuse["need"] = TrackerBusy("too much to do", 429, 0.05)
    scene.owned = []
    scene.announcer.withdraw(FILE)
    for _ in range(2):
        scene.hears("register")  # heartbeats go on
    del scene.tracker.refuse["need"]
    scene.hears("exit")
    assert scene.events.empty()
