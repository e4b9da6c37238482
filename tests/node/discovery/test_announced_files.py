"""Files and credits on their way to a tracker, and files that are taken back."""

from __future__ import annotations

import pytest

from common.errors import TrackerBusy, TrackerRefused
from common.messages import OwnedFile, OwnerEntry
from node import events
from tests.node.discovery.announcer_scene import CREDIT, FILE, LIMIT, AnnouncerScene

OTHER = OwnedFile("b.bin", "cd" * 20, 1)


def withdraw(scene: AnnouncerScene, others: list[OwnedFile]) -> list[str]:
    """Announce ``others`` and FILE, then withdraw FILE; returns the tracker's calls from then, up to an
    UPDATE."""
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


def test_news_is_said_without_waiting_for_the_next_heartbeat(scene: AnnouncerScene) -> None:
    scene.start()
    scene.announcer.announce(FILE)
    scene.announcer.credit(CREDIT)
    assert scene.announcer.flush(LIMIT)
    assert scene.hears("own") == [FILE]
    assert scene.hears("update") == (7, 100)


def test_many_files_are_announced_together(scene: AnnouncerScene) -> None:
    files = [OwnedFile(f"{n}", None, n) for n in range(1000)]
    for file in files:
        scene.announcer.announce(file)
    scene.start()
    assert scene.hears("own") == files


def test_files_that_a_tracker_never_takes_are_reported(scene: AnnouncerScene) -> None:
    scene.start()
    scene.tracker.refuse["own"] = TrackerRefused("too many", 400)
    scene.announcer.announce(FILE)
    assert scene.event() == events.NotAnnounced(scene.tracker.url, "too many", is_retried=False)


def test_a_tracker_that_forgot_us_hears_of_all_we_own(scene: AnnouncerScene) -> None:
    scene.owned = [FILE]
    scene.tracker.known = False
    scene.start()
    assert scene.hears("own") == [FILE]


def test_a_tracker_that_forgot_some_files_hears_of_all(scene: AnnouncerScene) -> None:
    scene.owned = [FILE]
    scene.tracker.files = 0
    scene.start()
    assert scene.hears("own") == [FILE]


def test_a_count_with_files_that_are_not_served_any_more_hides_no_loss(scene: AnnouncerScene) -> None:
    """The tracker counts a file that was stopped. It loses another: one is left, and one is owned."""
    scene.owned = [FILE]
    scene.tracker.files_after_own = scene.tracker.files = 2
    scene.start()
    assert scene.hears("own") == [FILE]
    for _ in range(3):
        assert scene.tracker.said.get(timeout=LIMIT)[0] == "register"  # the count is as it was
    scene.tracker.files = 1
    assert scene.hears("own") == [FILE]


def test_a_tracker_that_restarted_receives_all_files_whatever_it_counts(scene: AnnouncerScene) -> None:
    scene.owned = [FILE]
    scene.tracker.files_after_own = scene.tracker.files = 1
    scene.start()
    assert scene.hears("own") == [FILE]
    scene.tracker.connections += 1
    assert scene.hears("own") == [FILE]
    for _ in range(3):
        assert scene.tracker.said.get(timeout=LIMIT)[0] == "register"


def test_credit_for_an_owner_that_has_left_holds_nothing_up(scene: AnnouncerScene) -> None:
    scene.tracker.refuse["update"] = TrackerRefused("no such node", 400)
    scene.start()
    scene.announcer.credit(CREDIT)
    scene.announcer.announce(FILE)
    assert scene.announcer.flush(LIMIT)
    assert scene.hears("own") == [FILE]
    assert scene.events.empty()


def test_news_that_a_busy_tracker_does_not_take_is_said_again_and_it_is_not_lost(
    scene: AnnouncerScene,
) -> None:
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


def test_receipts_have_growing_numbers_and_keep_them(scene: AnnouncerScene) -> None:
    scene.tracker.down = True
    for _ in range(3):
        scene.announcer.credit(CREDIT)
    scene.start()
    assert isinstance(scene.event(), events.TrackerLost)
    scene.tracker.down = False
    for _ in range(3):
        scene.hears("update")
    assert scene.tracker.receipts == [1, 2, 3]


def test_a_tracker_that_forgot_our_secret_is_told_it_again(scene: AnnouncerScene) -> None:
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


def test_files_wait_while_somebody_else_has_our_id(scene: AnnouncerScene) -> None:
    scene.start()
    scene.tracker.refuse["own"] = TrackerRefused("taken", 409)
    scene.announcer.announce(FILE)
    assert isinstance(scene.event(), events.TrackerLost)
    del scene.tracker.refuse["own"]
    assert scene.hears("own") == [FILE]


def test_what_is_withdrawn_before_it_was_said_is_not_said(scene: AnnouncerScene) -> None:
    scene.announcer.announce(FILE)
    scene.announcer.withdraw(FILE)
    scene.tracker.known = False
    scene.start()
    scene.announcer.credit(CREDIT)
    assert scene.hears("update") == (7, 100)
    assert scene.announcer.flush(LIMIT)
    assert not any(what == "own" for what, _ in scene.tracker.said.queue)


@pytest.mark.parametrize("others", [[], [OTHER]], ids=["the last", "one of two"])
def test_a_file_is_taken_back_by_a_node_without_credit(
    scene: AnnouncerScene, others: list[OwnedFile]
) -> None:
    """It leaves, comes back, and announces what it still owns."""
    scene.tracker.owners = [OwnerEntry(8, ("127.0.0.1", 6), 3), OwnerEntry(7, ("127.0.0.1", 5), 0)]
    assert withdraw(scene, others) == ["need", "exit", "register", *["own" for _ in others], "update"]


@pytest.mark.parametrize("uploads", [1, None], ids=["credit", "not named"])
def test_a_node_stays_if_it_has_credit_or_is_not_named(scene: AnnouncerScene, uploads: int | None) -> None:
    """EXIT would delete the credit. A tracker that does not name the node needs no EXIT."""
    scene.tracker.owners = [] if uploads is None else [OwnerEntry(7, ("127.0.0.1", 5), uploads)]
    assert withdraw(scene, [OTHER]) == ["need", "update"]


def test_a_file_that_was_never_announced_is_not_taken_back(scene: AnnouncerScene) -> None:
    scene.start()
    scene.announcer.withdraw(FILE)
    scene.announcer.credit(CREDIT)
    scene.hears("update")
    assert not any(what == "need" for what, _ in scene.tracker.said.queue)


def test_a_tracker_that_takes_files_back_keeps_the_node(scene: AnnouncerScene) -> None:
    scene.tracker.files_after_withdraw = 1
    assert withdraw(scene, [OTHER]) == ["withdraw", "update"]
